"""Following all domains of a home as they grow."""

import os
from collections.abc import Collection, Iterator, Mapping
from operator import itemgetter
from types import TracebackType
from typing import Final, Self

from hookline.log.errors import LogReplaced
from hookline.log.home import Home, domain_of_live_name
from hookline.log.query import Found, OnTrouble, Query, domains_for
from hookline.log.read import records
from hookline.log.stream import Stream
from hookline.log.sync import sync_now
from hookline.log.watch import Watch
from hookline.model.clock import Clock, SystemClock
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern

LOOK_S: Final = 5.0
"""How often to look at everything, told or not: a parent folder's move is not told, for one."""

_CHUNKS_A_ROUND = 16


class _Followed:
    """One domain's log, and how far it has been read."""

    __slots__ = ("mark", "position", "stream")

    def __init__(self, stream: Stream, position: Position) -> None:
        self.stream = stream
        self.position = position
        self.mark = ""


class Follower:
    """Gives what a query chooses from where it began, as it comes.

    A domain that is there already is read from its place in `start`, or else from its end; one that
    comes up later from its beginning. Several processes may follow the same log.
    """

    def __init__(
        self,
        home: Home,
        query: Query,
        on_trouble: OnTrouble,
        *,
        start: Mapping[str, Position] | None = None,
        only: Collection[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`only`: no other domains than these."""
        self._home = home
        self._query = query
        self._on_trouble = on_trouble
        self._clock = clock or SystemClock()
        named = domain_of_pattern(query.pattern)
        self._only = only if named is None else {named}
        # First the watch, then the look: what comes between is told.
        self._watch = Watch([home.events], poll_only=os.path.exists(home.locked_append))
        self._followed: dict[str, _Followed] = {}
        # Of the monotonic clock: when to look at a domain although nothing was told.
        self._again_s: dict[str, float] = {}
        for domain in self._domains():
            stream = Stream.of_domain(home, domain)
            begin = (start or {}).get(domain) or stream.end()
            self._followed[domain] = _Followed(stream, begin)
            self._again_s[domain] = 0.0
        self._look_at_s = self._clock.monotonic_s() + LOOK_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def positions(self) -> dict[str, Position]:
        """How far each domain has been read."""
        return {domain: each.position for domain, each in self._followed.items()}

    def close(self) -> None:
        """Close all files."""
        self._watch.close()
        for followed in self._followed.values():
            followed.stream.close()

    def rounds(self, idle_s: float | None = None) -> Iterator[list[Found]]:
        """What came, round by round, for ever; or until nothing has come for `idle_s`."""
        last_s = self._clock.monotonic_s()
        while True:
            found = self.tick()
            now_s = self._clock.monotonic_s()
            if found:
                last_s = now_s
                yield found
            elif idle_s is not None and now_s - last_s >= idle_s:
                return
            else:
                self.wait(None if idle_s is None else last_s + idle_s - now_s)

    @property
    def fd(self) -> int:
        """What to wait for, at most for `pause_s`: see `Watch`."""
        return self._watch.fd

    def pause_s(self) -> float:
        """How long nothing is to be done unless something comes."""
        due_s = min(self._again_s.values(), default=self._look_at_s)
        return max(0.0, min(due_s, self._look_at_s) - self._clock.monotonic_s())

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until something may have come, at most so long."""
        wait_s = self.pause_s()
        self._watch.wait(wait_s if timeout_s is None else min(wait_s, max(0.0, timeout_s)))

    def sync(self) -> None:
        """What was read up to now, and all of the live files, is on disk when this returns. Raises
        HooklineError."""
        for followed in self._followed.values():
            sync_now(followed.stream.begin_sync(whole=True))

    def news(self) -> Iterator[list[Found]]:
        """All that has come since the last call, without waiting."""
        while (found := self.tick()) or self.pause_s() <= 0.0:
            yield found

    def ahead(self) -> Iterator[list[Found]]:
        """What stands behind closed segments that somebody may still write to. It is there already,
        and comes with the news once nobody can."""
        for domain, followed in self._followed.items():
            for chunk in followed.stream.look(followed.position):
                yield [Found(domain, record) for record in records(chunk)]

    def tick(self) -> list[Found]:
        """What has come since the last call, by time, without waiting."""
        now_s = self._clock.monotonic_s()
        names = self._watch.read()
        if now_s >= self._look_at_s:
            names = None
        if names is None:
            self._look_at_s = now_s + LOOK_S
            due = {*self._domains(), *self._followed}
        else:
            due = {domain for name in names if (domain := self._domain(name)) is not None}
        for domain, again_s in self._again_s.items():
            if again_s <= now_s:
                due.add(domain)
        found: list[tuple[str, Found]] = []
        for domain in due:
            found += self._read(domain, now_s)
        found.sort(key=itemgetter(0))
        return [each for _, each in found]

    def _domains(self) -> list[str]:
        found = domains_for(self._home, self._query.pattern)
        return [domain for domain in found if self._only is None or domain in self._only]

    def _domain(self, name: str) -> str | None:
        domain = domain_of_live_name(name)
        return domain if self._only is None or domain in self._only else None

    def _read(self, domain: str, now_s: float) -> list[tuple[str, Found]]:
        followed = self._followed.get(domain)
        if followed is None:
            stream = Stream.of_domain(self._home, domain)
            followed = self._followed[domain] = _Followed(stream, stream.first())
        found: list[tuple[str, Found]] = []
        for _ in range(_CHUNKS_A_ROUND):
            try:
                chunk = followed.stream.read(followed.position)
            except LogReplaced as trouble:
                self._on_trouble(trouble)
                followed.position = trouble.resume
                continue
            for record in records(chunk):
                if record.event is not None and record.event.time > followed.mark:
                    followed.mark = record.event.time
                if self._query.takes(domain, record, followed.mark):
                    found.append((followed.mark, Found(domain, record)))
            followed.position = chunk.next
            if chunk.at_end:
                self._again_s.pop(domain, None)
                if chunk.again_s is not None:
                    self._again_s[domain] = now_s + chunk.again_s
                return found
        self._again_s[domain] = now_s
        return found
