"""What the handlers read of a domain: each stretch of a log is read and parsed once, however many
want it.

The first to read a stretch also sees to what is no event (it goes to `rejected/`) and to events
that were stored twice.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from hookline.dispatch.handlers import Handler
from hookline.dispatch.identities import Identities
from hookline.dispatch.subscription import Cursor
from hookline.log import stream
from hookline.log.read import Record, records
from hookline.log.stream import CHUNK_BYTES, LogReplaced, SegmentDamaged, SegmentGone
from hookline.log.stretch import Stretch
from hookline.log.sync import Sync
from hookline.model import envelope
from hookline.model.envelope import RECORD_PREFIX
from hookline.model.errors import HooklineError
from hookline.model.event import Event
from hookline.model.position import Position

CHUNKS_KEPT: Final = 2
CHUNKS_CAUGHT_UP: Final = 16


class Chunk:
    """A stretch of a domain's log, as its readers see it.

    `events`: those that were not stored before, None when there are none; `mark`: a cursor behind
    it, when it ends with an event; `next`: where to read on, the position that was asked for at the
    end of the log; `replaced`: whether the log is not the one that was read so far, and what waits
    of it is to be forgotten.
    """

    __slots__ = ("_of_types", "_types", "events", "mark", "next", "replaced")

    def __init__(
        self,
        next: Position,
        events: Stretch | None = None,
        mark: Cursor | None = None,
        *,
        replaced: bool = False,
    ) -> None:
        self.next, self.events, self.mark, self.replaced = next, events, mark, replaced
        self._types = {event.type for event in events.events} if events else set()
        self._of_types: dict[frozenset[str], Stretch | None] = {}

    def wanted(self, wants: Callable[[str], bool]) -> Stretch | None:
        """The events of the types that somebody wants; None when there are none."""
        types = frozenset(filter(wants, self._types))
        if not types or self.events is None:
            return None
        if len(types) == len(self._types):
            return self.events
        if types not in self._of_types:
            self._of_types[types] = self.events.of_types(types)
        return self._of_types[types]

    def forget(self) -> None:
        """Nobody reads it any more: who has its events for longer has their lines."""
        for events in (self.events, *self._of_types.values()):
            if events is not None:
                events.forget()


class Log(Protocol):
    """The log of a domain: `DomainLog`."""

    def read(self, position: Position, limit_bytes: int = CHUNK_BYTES) -> stream.Chunk:
        """The whole lines from there on. Raises LogReplaced."""

    def first(self) -> Position:
        """Where the oldest segment that there is begins."""

    def end(self) -> Position:
        """Behind the last whole line."""

    def start(self, handler: Handler) -> Position:
        """Where a handler that was never seen before begins."""

    def reject(self, record: Record) -> None:
        """Set aside what is no event, once. Raises HooklineError."""

    def begin_sync(self, *, whole: bool = False) -> Sync:
        """The sync of what was read up to now; `whole`: of what was not, too. Raises
        HooklineError."""

    def close(self) -> None:
        """Let go of its files."""


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


def _stretch_of(found: list[Record]) -> Stretch | None:
    if not found:
        return None
    bounds = [(each.position.offset, each.end.offset) for each in found]
    text = b"".join([line_of(each) + b"\n" for each in found])
    events = [each.event for each in found if each.event]
    return Stretch(found[0].position.segment, bounds, text, events)


class Feed:
    """The reading of one domain."""

    def __init__(
        self, domain: str, log: Log, identities: Identities, noted: Callable[[str], None]
    ) -> None:
        self.domain = domain
        self.log = log
        self.catching_up = False
        """Whether the last read gave nothing because there was too much to look at before."""
        self._identities = identities
        self._noted = noted
        self._chunks: OrderedDict[Position, Chunk] = OrderedDict()
        self._trouble = ""
        self._replacements = 0
        self._resume = Position(1, 0)
        self._end: Position | None = None
        """Where the log ended, and ends still as far as we have heard."""
        self._furthest = Position(0, 0)
        """How far anybody has read the log as it is now."""
        self._awaited: set[Position] = set()
        """Where somebody waits for what is silent, each at its own place."""
        self._told: dict[str, int] = {}
        """For each reader, the last replacement that it knows of."""

    @property
    def restless(self) -> bool:
        """Whether it is to be read again soon, since nothing will say that there is more."""
        return bool(self._awaited)

    def looked_at(self, position: Position) -> bool:
        """Whether everything before a position was looked at."""
        return self._identities.reached(self.domain) >= position

    def begin(self, position: Position) -> None:
        """Somebody listens from here on."""
        self._identities.begin(self.domain, position)
        if not self._is_as_it_was():
            self._identities.rewind(self.domain, position)
        self._identities.forget_twins(self.domain, self.log.first())

    def _is_as_it_was(self) -> bool:
        """Whether the log still has what was looked at, as far as its last event tells."""
        last = self._identities.last(self.domain)
        if self._identities.reached(self.domain) > self.log.end():
            return False
        if last is None or last < self.log.first():
            return True
        record = self.line_at(last)
        event = record.event if record else None
        return event is not None and self._identities.is_last(self.domain, event.source, event.id)

    def changed(self) -> None:
        """The log may have grown, or become another."""
        self._end = None

    def join(self, reader: str) -> None:
        """Somebody reads from now on, in the log as it is now."""
        self._told[reader] = self._replacements

    def replaced_for(self, reader: str) -> Position | None:
        """Where a reader has to begin again when the log has become another since it joined, or
        since it asked last: whoever of all readers has met with that."""
        if self._told.setdefault(reader, self._replacements) == self._replacements:
            return None
        self.join(reader)
        return self._resume

    def read(self, position: Position) -> Chunk:
        """The events from `position` on, as many as one read gives; none at the end."""
        known = self._chunks.get(position)
        if known is not None:
            return known
        if position == self._end:
            self.catching_up = False
            return Chunk(position)
        self._awaited.discard(position)
        try:
            if not self._catch_up(position):
                return Chunk(position)
            raw = self.log.read(position)
        except (SegmentGone, SegmentDamaged) as gap:
            # What was read before it stays as true as it was: only the log goes on further behind.
            self._noted(f"{self.domain}: {gap}")
            self._identities.reach(self.domain, gap.resume)
            return Chunk(gap.resume)
        except LogReplaced as replaced:
            self._replaced(replaced)
            return Chunk(replaced.resume, replaced=True)
        except HooklineError as error:
            return self._nothing(position, error)
        if raw.next.segment > position.segment:
            # Now and then is enough: closed segments are deleted from time to time.
            self._identities.forget_twins(self.domain, self.log.first())
        if raw.again_s is not None:
            self._awaited.add(raw.next)
        self._furthest = max(self._furthest, raw.next)
        try:
            chunk = self._chunk(raw)
        except HooklineError as error:
            # What is no event must be set aside before it is passed over: a full disk.
            return self._nothing(position, error)
        self._trouble = ""
        if raw.at_end and raw.again_s is None:
            self._end = raw.next
        if chunk.next != position:
            self._keep(position, chunk)
        return chunk

    def _keep(self, position: Position, chunk: Chunk) -> None:
        self._chunks[position] = chunk
        if len(self._chunks) > CHUNKS_KEPT:
            _, oldest = self._chunks.popitem(last=False)
            oldest.forget()

    def line_at(self, position: Position) -> Record | None:
        """The event whose line begins just there, or None. Raises HooklineError for a log that
        cannot be read."""
        try:
            chunk = self.log.read(position, limit_bytes=1)
        except LogReplaced as replaced:
            # Whoever reads in another segment does so in the log that it was, and what is asked for
            # once more may be of an older one.
            is_gap = isinstance(replaced, SegmentGone | SegmentDamaged)
            furthest = self._furthest
            if not is_gap and furthest.segment == position.segment and furthest > position:
                self._replaced(replaced)
            return None
        for record in records(chunk):
            return record if record.position == position and record.event else None
        return None

    def marked(self, position: Position) -> Cursor:
        """A cursor there, with the last event before it in its segment, if there is one near, or
        the last that was looked at."""
        segment, offset = position
        begins = [Position(segment, max(0, offset - CHUNK_BYTES))] if offset else []
        last = self._identities.last(self.domain)
        if last is not None and last.segment == segment and last < position:
            begins.append(last)
        for begin in begins:
            # To go on without a mark is not to go on wrongly: who reads on is told what is wrong.
            with suppress(HooklineError):
                for record in reversed(records(self.log.read(begin))):
                    if record.event and record.end <= position:
                        event = record.event
                        return Cursor(position, record.position.offset, event.id, event.source)
        return Cursor(position)

    def still_there(self, cursor: Cursor) -> Cursor:
        """The cursor, if the log is the one that it was made for; else the beginning of its
        segment.

        A power cut may take the tail of a log, and new events come to lie where others were.
        """
        if cursor.position > self.log.end():
            return self._rewound(cursor)
        if cursor.event:
            marked = self.line_at(Position(cursor.position.segment, cursor.mark))
            event = marked.event if marked else None
            if event is None or (event.id, event.source) != (cursor.event, cursor.source):
                return self._rewound(cursor)
            if marked and cursor.position in (marked.position, marked.end):
                return cursor
        return self._rewound(cursor) if self._in_a_line(cursor.position) else cursor

    def _in_a_line(self, position: Position) -> bool:
        """Whether a line goes on there, and no event begins that is glued to another: the log has
        lost its end, and has grown again."""
        if not position.offset:
            return False
        before = Position(position.segment, position.offset - 1)
        try:
            lines = self.log.read(before, limit_bytes=1).lines
        except LogReplaced:
            # Whoever reads on there is told what is wrong.
            return False
        # A closed segment may end without a newline.
        goes_on = any(line.position == before and len(line.raw) > 1 for line in lines)
        return goes_on and self.line_at(position) is None

    def _nothing(self, position: Position, why: HooklineError) -> Chunk:
        """Nothing can be had just now, and it is said once; again soon."""
        self._awaited.add(position)
        if self._trouble != str(why):
            self._trouble = str(why)
            self._noted(f"{self.domain}: {why}")
        return Chunk(position)

    def _replaced(self, replaced: LogReplaced) -> None:
        self._noted(f"{self.domain}: {replaced}")
        self._chunks.clear()
        self._awaited.clear()
        self._end = None
        self._identities.rewind(self.domain, replaced.resume)
        self._replacements += 1
        self._resume = self._furthest = replaced.resume

    def _rewound(self, cursor: Cursor) -> Cursor:
        resume = Position(min(cursor.position.segment, self.log.end().segment), 0)
        # What was read ahead of the cursor, and settled by nobody, may lie elsewhere now.
        self._identities.rewind(self.domain, resume)
        return Cursor(resume)

    def _chunk(self, raw: stream.Chunk) -> Chunk:
        stretch = Stretch.of(raw)
        if stretch is not None and self._identities.are_new(self.domain, stretch):
            last = stretch.events[-1]
            return Chunk(raw.next, stretch, self._mark(raw, stretch.last, last))
        lines = records(raw)
        kept: list[Record] = []
        for record in lines:
            if record.event is None:
                if record.kind == "torn":
                    self.log.reject(record)
            elif not self._identities.is_twin(
                self.domain, record.position, record.end, record.event.source, record.event.id
            ):
                kept.append(record)
        mark = self._mark(raw, lines[-1].position, lines[-1].event) if lines else None
        return Chunk(raw.next, _stretch_of(kept), mark)

    @staticmethod
    def _mark(raw: stream.Chunk, position: Position, last: Event | None) -> Cursor | None:
        if last is None or position.segment != raw.next.segment:
            return None
        return Cursor(raw.next, position.offset, last.id, last.source)

    def _catch_up(self, position: Position) -> bool:
        """Look at what nobody has looked at yet, up to where one wants to read; False when there is
        more of it than fits into one round."""
        self.catching_up = False
        for _ in range(CHUNKS_CAUGHT_UP):
            reached = self._identities.reached(self.domain)
            if reached >= position:
                return True
            try:
                raw = self.log.read(reached)
            except (SegmentGone, SegmentDamaged) as gap:
                # Nobody needs what is missing: he who wants to read on is past it.
                self._identities.reach(self.domain, min(gap.resume, position))
                continue
            self._chunk(raw)
            if raw.next == reached:
                return True
            self._identities.reach(self.domain, raw.next)
        self.catching_up = True
        return False
