"""What the handlers read of a domain: each stretch of a log is read and parsed once, however many
want it.

The first to read a stretch also sees to what is no event (it goes to `rejected/`) and to events
that were stored twice.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from hookline.dispatch.subscription import Cursor
from hookline.log.home import Home
from hookline.log.lines import RECORD_PREFIX
from hookline.log.read import Record, records
from hookline.log.rejected import reject
from hookline.log.stream import LogReplaced, Stream
from hookline.model import envelope
from hookline.model.position import Position

CHUNKS_KEPT: Final = 4
IDENTITIES_KEPT: Final = 200_000
"""How many events back an event stored twice is known again: about a day at two a second, 20 MB at
most."""


class Chunk(NamedTuple):
    """A stretch of a domain's events, by type."""

    by_type: dict[str, list[Record]]
    last: Record | None
    """The last whole line of the stretch."""
    next: Position
    """Where to read on; the position that was asked for, at the end of the log."""


def line_of(record: Record) -> bytes:
    """The line of an event as handlers are given it: a Cortex line in a log is translated."""
    if record.event is None or record.raw.startswith(RECORD_PREFIX):
        return record.raw
    fields = {
        name: value
        for name, value in msgspec.structs.asdict(record.event).items()
        if value and name != "specversion"
    }
    return envelope.line(**{**fields, "data": bytes(record.event.data)})


class Feed:
    """The reading of one domain."""

    def __init__(self, home: Home, domain: str, noted: Callable[[str], None]) -> None:
        self.home = home
        self.restless = False
        """Whether it is to be read again soon, since what it waits for is silent."""
        self._noted = noted
        self.domain = domain
        self.stream = Stream.of_domain(home, domain)
        self._chunks: OrderedDict[Position, Chunk] = OrderedDict()
        self._frontier: Position | None = None
        self._identities: OrderedDict[tuple[str, str], Position] = OrderedDict()

    def read(self, position: Position) -> Chunk:
        """The events from `position` on, as many as one read gives; none at the end."""
        known = self._chunks.get(position)
        if known is not None:
            return known
        if self._frontier is None:
            self._warm_up(position)
        try:
            raw = self.stream.read(position)
        except LogReplaced as replaced:
            self._noted(f"{self.domain}: {replaced}")
            self._chunks.clear()
            return Chunk({}, None, replaced.resume)
        self.restless = raw.again_s is not None
        lines = list(records(raw))
        chunk = Chunk(self._by_type(lines), lines[-1] if lines else None, raw.next)
        if lines:
            self._chunks[position] = chunk
            if len(self._chunks) > CHUNKS_KEPT:
                self._chunks.popitem(last=False)
        return chunk

    def line_at(self, position: Position) -> Record | None:
        """The event whose line begins just there, or None."""
        for record in records(self.stream.read(position, limit_bytes=1)):
            return record if record.position == position and record.event else None
        return None

    def still_there(self, cursor: Cursor) -> Cursor:
        """The cursor, if the log is the one that it was made for; else the beginning of its
        segment.

        A power cut may take the tail of a log, and new events come to lie where others were.
        """
        if cursor.position > self.stream.end():
            return self._rewound(cursor)
        if cursor.event:
            marked = self.line_at(Position(cursor.position.segment, cursor.mark))
            event = marked.event if marked else None
            if event is None or (event.id, event.source) != (cursor.event, cursor.source):
                return self._rewound(cursor)
        return cursor

    def _rewound(self, cursor: Cursor) -> Cursor:
        end = self.stream.end()
        return Cursor(Position(min(cursor.position.segment, end.segment), 0))

    def _by_type(self, lines: Iterable[Record]) -> dict[str, list[Record]]:
        by_type: dict[str, list[Record]] = {}
        for record in lines:
            if record.event is None:
                if record.kind == "torn":
                    reject(self.home, self.domain, record.position, record.raw, record.why)
            elif not self._stored_before(record):
                by_type.setdefault(record.event.type, []).append(record)
        return by_type

    def _stored_before(self, record: Record) -> bool:
        """Whether the same identity lies further up in the log."""
        if record.event is None:
            return False
        identity = (record.event.source, record.event.id)
        first = self._identities.get(identity)
        if first is not None and first != record.position:
            return first < record.position
        if self._frontier is None or record.position >= self._frontier:
            self._frontier = record.end
            self._identities[identity] = record.position
            if len(self._identities) > IDENTITIES_KEPT:
                self._identities.popitem(last=False)
        return False

    def _warm_up(self, position: Position) -> None:
        """Learn the identities of what lies before the first read: its segment, and the one
        before."""
        at = Position(max(1, position.segment - 1), 0)
        while at < position:
            raw = self.stream.read(at)
            for record in records(raw):
                if record.event is not None and record.position < position:
                    self._stored_before(record)
            if raw.next == at:
                break
            at = raw.next
        self._frontier = position
