"""The log as handlers and programs use it: what a handler appends says which event caused it."""

from pathlib import Path

from hookline.app.cause import cause
from hookline.app.root import root
from hookline.log import log
from hookline.log.home import Home


class Log(log.Log):
    """The log of one home; see `hookline.log.log.Log`.

    In a handler, an event that is appended carries `causationid`, `correlationid`, `hops` and
    `traceparent` of the event that is being handled, as far as the caller does not say otherwise.
    """

    def __init__(self, home: Home | Path | str | None = None) -> None:
        """`home` is the folder that has `coordination/`; by default the one that is meant here."""
        super().__init__(root() if home is None else home, cause=cause())
