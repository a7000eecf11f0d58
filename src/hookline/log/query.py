"""Choosing events from all domains of a home, in the order of their times."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import Final, NamedTuple

from hookline.log.errors import LogReplaced, SegmentDamaged
from hookline.log.home import Home
from hookline.log.read import Record, domains, records
from hookline.log.stream import CHUNK_BYTES, Stream
from hookline.log.tail import start_of_last
from hookline.model.clock import nanoseconds, parse_rfc3339
from hookline.model.errors import BadData, shown
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern, is_pattern, matches

SLACK_NS: Final = 86_400 * 1_000_000_000
"""A segment is passed over unread when it was last written so long before the time asked for."""

_MERGE_BYTES_MAX = 1 << 20
_MERGE_CHUNK_BYTES_MIN = 1 << 12

OnTrouble = Callable[[LogReplaced], None]


class Found(NamedTuple):
    """A record, and the domain whose log it lies in."""

    domain: str
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which records: a pattern of types, and times in the stored form, `until` excluded.

    `old`: older daemons' lines too, where the pattern takes in all of their domain.
    """

    pattern: str = "*"
    since: str | None = None
    until: str | None = None
    old: bool = False

    def __post_init__(self) -> None:
        """Raises BadData for what is no pattern."""
        if not is_pattern(self.pattern):
            raise BadData(
                f"pattern {shown(self.pattern)} is not like 'worker.started', 'worker.*', "
                "'*.failed' or '*'"
            )

    def takes(self, domain: str, record: Record, mark: str) -> bool:
        """Whether it is one of them; `mark` is the latest time up to it, for those without one."""
        event = record.event
        if event is not None:
            if self.pattern != "*" and not matches(self.pattern, event.type):
                return False
            mark = event.time
        elif not (self.old and record.kind == "legacy" and self.pattern in ("*", f"{domain}.*")):
            return False
        return (self.since is None or mark >= self.since) and (
            self.until is None or mark < self.until
        )


def domains_for(home: Home, pattern: str) -> list[str]:
    """The domains with a log whose events a pattern may choose."""
    only = domain_of_pattern(pattern)
    return [domain for domain in domains(home) if only in (None, domain)]


def find_event(home: Home, identity: str) -> Found:
    """The first record with this id, in whichever domain. Raises BadData when no log has it."""
    for domain in domains(home):
        with Stream.of_domain(home, domain) as stream:
            position = stream.first()
            while True:
                chunk = stream.read(position, patient=False)
                if identity.encode() in chunk.data:
                    for record in records(chunk):
                        if record.event is not None and record.event.id == identity:
                            return Found(domain, record)
                if chunk.at_end:
                    break
                position = chunk.next
    raise BadData(f"no log of {home.root} has an event {shown(identity)}")


def select(
    home: Home,
    query: Query,
    on_trouble: OnTrouble,
    *,
    stop: Mapping[str, Position] | None = None,
) -> Iterator[Found]:
    """All that a query chooses, merged by time; within a domain always in the order of its log.

    `stop`: where to stop in some domains. What cannot be read is told to `on_trouble`, and reading
    goes on behind it.
    """
    chosen = domains_for(home, query.pattern)
    limit_bytes = max(_MERGE_CHUNK_BYTES_MIN, _MERGE_BYTES_MAX // max(1, len(chosen)))
    walks = [
        _walk(
            home, domain, query, on_trouble,
            stop=(stop or {}).get(domain), limit_bytes=min(limit_bytes, CHUNK_BYTES),
        )
        for domain in chosen
    ]  # fmt: skip
    return (found for _, found in merge(*walks, key=itemgetter(0)))


def select_last(
    home: Home,
    query: Query,
    count: int,
    on_trouble: OnTrouble,
    *,
    stop: Mapping[str, Position] | None = None,
) -> list[Found]:
    """The last `count` that a query chooses; reads backwards no further than it must."""
    ends: list[tuple[str, Found]] = []
    for domain in domains_for(home, query.pattern):
        ends += _last_of(home, domain, query, count, on_trouble, (stop or {}).get(domain))
    ends.sort(key=itemgetter(0))
    return [found for _, found in ends[-count:]] if count else []


def _last_of(
    home: Home,
    domain: str,
    query: Query,
    count: int,
    on_trouble: OnTrouble,
    stop: Position | None,
) -> list[tuple[str, Found]]:
    lines = count
    with Stream.of_domain(home, domain) as stream:
        first = stream.first()
        while True:
            start = start_of_last(stream, lines)
            walk = _walk(home, domain, query, on_trouble, start=start, stop=stop)
            found = deque(walk, maxlen=count)
            if len(found) == count or start <= first:
                return list(found)
            lines *= 8


def _walk(
    home: Home,
    domain: str,
    query: Query,
    on_trouble: OnTrouble,
    *,
    start: Position | None = None,
    stop: Position | None = None,
    limit_bytes: int = CHUNK_BYTES,
) -> Iterator[tuple[str, Found]]:
    """A domain's records that a query takes, each with the latest time up to it."""
    mark = ""
    with Stream.of_domain(home, domain) as stream:
        for chunk in stream.look(start or first_since(stream, query.since), limit_bytes):
            if chunk.replaced:
                on_trouble(_with_next(chunk.replaced, domain))
            for record in records(chunk):
                if stop is not None and record.position >= stop:
                    return
                if record.event is not None and record.event.time > mark:
                    mark = record.event.time
                if query.takes(domain, record, mark):
                    yield mark, Found(domain, record)
            if stop is not None and chunk.next >= stop:
                return


def _with_next(replaced: LogReplaced, domain: str) -> LogReplaced:
    """The same, with the command that says what to do about it."""
    if isinstance(replaced, SegmentDamaged):
        return SegmentDamaged(f"{replaced}: hookline verify {domain}", replaced.resume)
    return replaced


def first_since(stream: Stream, since: str | None) -> Position:
    """The first segment that can hold an event of that time or later.

    Goes by when segments were last written, so it takes it that no event bears a time more than a
    day after its writing.
    """
    if since is None:
        return stream.first()
    oldest_ns = nanoseconds(parse_rfc3339(since)) - SLACK_NS
    for ordinal in stream.ordinals():
        path = stream.path(ordinal)
        try:
            if path is not None and os.stat(path).st_mtime_ns >= oldest_ns:
                return Position(ordinal, 0)
        except FileNotFoundError:
            # Compressed just now, and so certainly not long ago.
            return Position(ordinal, 0)
    return Position(stream.live_ordinal(), 0)
