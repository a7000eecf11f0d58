"""From the lines of a log to its events, whatever else stands between them."""

import os
from typing import Literal

import msgspec

from hookline.log.home import Home, domain_of_live_name, domain_of_stem
from hookline.log.lines import SEAM, Line
from hookline.log.segments import stems
from hookline.log.stream import Chunk
from hookline.log.stretch import Stretch
from hookline.model.envelope import LINE_BYTES_MAX
from hookline.model.errors import BadData
from hookline.model.event import Event, NotAnEvent, decode
from hookline.model.position import Position

Kind = Literal["event", "legacy", "torn"]


class Record(msgspec.Struct, frozen=True, gc=False):
    """What stands at a position: an event, an older daemon's line (`legacy`), or no line at all.

    `raw` is its text without the newline; of a line over the limit, only the beginning. `why` says
    why it is no event.
    """

    position: Position
    end: Position
    raw: bytes
    event: Event | None
    kind: Kind = "event"
    why: str = ""


def records(chunk: Chunk) -> list[Record]:
    """What the lines of a chunk hold, in order; a torn line gives one record for each part."""
    new = tuple.__new__
    stretch = Stretch.of(chunk)
    if stretch is not None:
        segment = chunk.start.segment
        return [
            Record(new(Position, (segment, start)), new(Position, (segment, end)), raw, event)
            for (start, end), raw, event in stretch
        ]
    found: list[Record] = []
    for line in chunk.lines:
        position = line.position
        try:
            event = decode(line.raw)
        except BadData as why:
            found += _odd(line, why)
        else:
            end = new(Position, (position.segment, line.end))
            found.append(Record(position, end, line.raw, event))
    return found


def domains(home: Home) -> list[str]:
    """The domains that have a log, live or closed, in alphabetical order."""
    try:
        names = os.listdir(home.events)
    except FileNotFoundError:
        names = []
    live = map(domain_of_live_name, names)
    closed = map(domain_of_stem, stems(os.fspath(home.segments)))
    return sorted({domain for domain in (*live, *closed) if domain is not None})


def _odd(line: Line, why: BadData) -> list[Record]:
    end = Position(line.position.segment, line.end)
    if line.too_long:
        reason = f"longer than {LINE_BYTES_MAX} bytes"
        return [Record(line.position, end, line.raw, None, "torn", reason)]
    # Whole as JSON: a record prefix inside is somebody's data, not an event behind a torn one.
    if _is_json(line.raw):
        return [_none(line.position, end, line.raw, why)]
    found: list[Record] = []
    start = 0
    while start < len(line.raw):
        seam = SEAM.search(line.raw, start + 1)
        stop, following = seam.span() if seam else (len(line.raw), len(line.raw))
        position = Position(end.segment, line.position.offset + start)
        part_end = Position(end.segment, line.position.offset + following) if seam else end
        found.append(_part(position, part_end, line.raw[start:stop]))
        start = following
    return found


def _part(position: Position, end: Position, raw: bytes) -> Record:
    try:
        return Record(position, end, raw, decode(raw))
    except BadData as why:
        return _none(position, end, raw, why)


def _none(position: Position, end: Position, raw: bytes, why: BadData) -> Record:
    kind: Kind = "legacy" if isinstance(why, NotAnEvent) else "torn"
    return Record(position, end, raw, None, kind, str(why))


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
