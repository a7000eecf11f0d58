"""Where a handler that was never seen before starts to listen."""

import os
from typing import Final

from hookline.dispatch.handlers import Handler
from hookline.log.read import Record, records
from hookline.log.stream import Stream
from hookline.model.clock import from_epoch_s, rfc3339
from hookline.model.position import Position

_SCAN_BYTES: Final = 1 << 18


def start_position(stream: Stream, handler: Handler) -> Position:
    """The position of the first event for a new handler, by its `from:`.

    `install`: the first event that was logged after the file came to lie in the folder, whenever a
    dispatcher sees it first. Times are the writers', so that clocks that differ blur this edge, and
    nothing else.
    """
    if handler.start == "beginning":
        return Position(next(iter(stream.ordinals()), stream.live_ordinal()), 0)
    if handler.start == "now":
        return stream.end()
    return _first_since(stream, handler.installed_s)


def _first_since(stream: Stream, since_s: float) -> Position:
    since = rfc3339(from_epoch_s(since_s))
    for ordinal in [*stream.ordinals(), stream.live_ordinal()]:
        path = stream.path(ordinal)
        try:
            status = os.stat(path) if path else None
        except FileNotFoundError:
            status = None
        if status is None or status.st_mtime < since_s - 1:
            continue
        low = 0 if str(path).endswith(".zst") else _narrow(stream, ordinal, status.st_size, since)
        found = _scan(stream, Position(ordinal, low), since)
        if found is not None:
            return found
    return stream.end()


def _narrow(stream: Stream, ordinal: int, size: int, since: str) -> int:
    """An offset before the first event since then, at most a scan's length: times grow along a
    log."""
    low, high = 0, size
    while high - low > _SCAN_BYTES:
        middle = (low + high) // 2
        first = _first_event(stream, Position(ordinal, middle))
        if first is None or (first.event and _is_since(first.event.time, since)):
            high = middle
        else:
            low = first.position.offset
    return low


def _is_since(time: str, since: str) -> bool:
    """Whether an event may be of that time or later: one of a whole second, as Cortex says it, may
    be of any part of that second."""
    return time >= since or (time.endswith(".000000Z") and time[:19] == since[:19])


def _first_event(stream: Stream, position: Position) -> Record | None:
    """The first event that begins after a position that may lie within a line."""
    found = list(records(stream.read(position, limit_bytes=_SCAN_BYTES)))[1:]
    return next((record for record in found if record.event), None)


def _scan(stream: Stream, position: Position, since: str) -> Position | None:
    while True:
        chunk = stream.read(position)
        for record in records(chunk):
            if record.event and _is_since(record.event.time, since):
                return record.position
        if chunk.next == position or chunk.next.segment != position.segment:
            return None
        position = chunk.next
