"""The public Python API of a home's log."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Self, Unpack

import msgspec

from hookline.log import rotate
from hookline.log.append import line_of
from hookline.log.appender import Appender, Buffer
from hookline.log.compose import Composer, Said, dumps
from hookline.log.errors import LogReplaced
from hookline.log.follow import Follower
from hookline.log.home import Home
from hookline.log.query import Found, Query, select
from hookline.model import cause as causes
from hookline.model.attributes import Fields, stored_time
from hookline.model.cause import Handled, with_cause
from hookline.model.clock import Clock, rfc3339
from hookline.model.envelope import LineTooLong
from hookline.model.errors import BadData
from hookline.model.event import Event, decode
from hookline.model.position import Position
from hookline.model.types import domain_of


class LogWarning(UserWarning):
    """A part of the log cannot be read, or is not what it was; reading went on behind it."""


class Log:
    """The log of one home.

    Appending is for any number of threads and processes at once; each `read` and `follow` is for
    one thread. Nothing has to be closed.
    """

    def __init__(
        self,
        home: Home | Path | str,
        *,
        clock: Clock | None = None,
        cause: Handled | None = None,
    ) -> None:
        """`home` is the folder that has `coordination/`; `cause` is the event that this process
        handles, unless `model.cause.handling` is one."""
        self._cause = cause
        self.home = home if isinstance(home, Home) else Home(Path(home))
        self._composer = Composer(clock)
        self._appender: Appender | Buffer = Appender(self.home)

    def append(
        self,
        type: str,
        *,
        source: str,
        data: object = None,
        id: str | None = None,
        time: datetime | str | None = None,
        sync: bool = False,
        **said: Unpack[Said],
    ) -> Event:
        """Append an event and return it; `sync`: it is on disk then.

        `data` is made of dict (str keys), list, tuple, str, int, float, bool and None, and nothing
        of it is altered to fit; None is no data. Data too long for a line goes to a file of its
        own, see `value`. Raises BadData, CannotCreate or TryAgain, and then nothing was stored;
        WriteFailed, and then it may be stored or not: append it again with the same id.
        """
        text = b"" if data is None else dumps(data)
        if id is None and time is None:
            cause = causes.handling or self._cause
            try:
                event, domain, line = self._composer.compose(source, type, said, cause, text)
            except LineTooLong:
                pass
            else:
                self._appender.append(domain, line, sync)
                return event
        fields = self._composer.fields(source, type, said, text, id, time)
        return self.append_fields(fields, sync=sync)

    def append_fields(self, fields: Fields, *, sync: bool = False) -> Event:
        """Append an event from fields such as `envelope.from_outside` gives; else as `append`."""
        fields = with_cause(fields, causes.handling or self._cause)
        line = line_of(self.home.root, fields)
        self._appender.append(domain_of(fields["type"]), line + b"\n", sync)
        return decode(line)

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """A log whose appends are written some hundred at a time, and all of them at the end.

        For one thread. An append raises what went wrong with those before it, too.
        """
        log = copy(self)
        buffer = Buffer(self._appender)
        log._appender = buffer
        try:
            yield log
        finally:
            buffer.flush()

    def value(self, event: Event) -> object:
        """The decoded data of an event, wherever it lies; None where there is none.

        Raises BadData when it cannot be decoded, or its file is gone.
        """
        return self.with_data(event).value()

    def with_data(self, event: Event) -> Event:
        """The event with its data in it, when that lies in a file of its own. Raises BadData."""
        if event.dataref is None:
            return event
        path = self.home.events / event.dataref
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise BadData(f"{path}: {error.strerror}") from error
        return msgspec.structs.replace(event, data=msgspec.Raw(raw), dataref=None)

    def read(
        self,
        pattern: str = "*",
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> Iterator[Event]:
        """All events of the types that a pattern takes in, from `since` on and before `until`.

        Merged by time; within a domain always in the order of its log, which is the only order
        there is. Warns with LogWarning of what cannot be read, and reads on behind it.
        """
        query = Query(pattern=pattern, since=_stored(since), until=_stored(until))
        return _events(select(self.home, query, _warn))

    def follow(
        self,
        pattern: str = "*",
        *,
        since: datetime | str | None = None,
        idle_s: float | None = None,
    ) -> Iterator[Event]:
        """The events from now on as they come, those since a time first; blocks in between.

        Ends only when nothing has come for `idle_s`. From now on means from this call on.
        """
        query = Query(pattern=pattern, since=_stored(since))
        follower = Follower(self.home, query, _warn)
        return self._follow(follower, query, idle_s)

    def rotate(self, domain: str) -> Position | None:
        """Close the live log of a domain; where the next one begins, None for an empty log."""
        return rotate.rotate(self.home, domain)

    def _follow(self, follower: Follower, query: Query, idle_s: float | None) -> Iterator[Event]:
        with follower:
            if query.since is not None:
                yield from _events(select(self.home, query, _warn, stop=follower.positions))
            for found in follower.rounds(idle_s):
                yield from _events(iter(found))


def _events(found: Iterator[Found]) -> Iterator[Event]:
    return (each.record.event for each in found if each.record.event is not None)


def _stored(time: datetime | str | None) -> str | None:
    if time is None:
        return None
    return stored_time(time) if isinstance(time, str) else rfc3339(time)


def _warn(trouble: LogReplaced) -> None:
    warnings.warn(str(trouble), LogWarning, stacklevel=2)
