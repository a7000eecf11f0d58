"""What the dispatcher wants from each kind of handler: begin a run, hear about its descriptors, end
it in time."""

from typing import NamedTuple, Protocol

from hookline.dispatch.decide import Outcome
from hookline.dispatch.handlers import Handler
from hookline.dispatch.subscription import Delivery


class Ended(NamedTuple):
    """A run is over: the first `done` of its deliveries are done, and if one is left, `outcome` is
    what it came to.

    Deliveries behind that one were not run.
    """

    done: int
    outcome: Outcome
    goes_on: bool = False
    """Only these are over: those behind are under way still, and make up the run from now on."""
    of_all: bool = False
    """The outcome is that of all of them together: which one is to blame is not known."""


class Run(Protocol):
    """One run of a handler over one or more deliveries."""

    handler: Handler
    deliveries: list[Delivery]
    failed: str
    """Why it could not start; it is over then."""
    deadline_s: float
    """Monotonic; when `overdue` must be called."""

    def ends(self) -> list[int]:
        """The descriptors that tell its end, if any do and are not spoilt."""

    def outputs(self) -> list[int]:
        """The descriptors that have what it prints, and have not come to their end."""

    def readable(self, fd: int) -> Ended | None:
        """One of them has something to read; the end of the run, if that was it."""

    def overdue(self, now_s: float) -> None:
        """The deadline has passed: set a new one, or end what runs."""


class Runner(Protocol):
    """Starts the runs of one kind of handler."""

    def start(self, handler: Handler, deliveries: list[Delivery], now_s: float) -> Run:
        """Begin. Every delivery has its `raw` line.

        Raises:
            BlockingIOError, OSError: the machine is short of something; no event is to blame.
        """

    def limit(self, handler: Handler) -> int:
        """How many deliveries may ride in one run."""

    def exited(self, pid: int, status: int) -> tuple[Run, Ended] | None:
        """A process has ended with this wait status: the run that is over thereby, if it was one of
        ours."""

    def forget(self, handler: Handler) -> None:
        """The handler was replaced or removed: end what idles for it."""

    def close(self) -> None:
        """End everything."""
