"""Cutting bytes into lines: pure, whatever a torn write or a power cut has left in them."""

import re
from typing import Final, NamedTuple

from hookline.model.envelope import LINE_BYTES_MAX, RECORD_PREFIX
from hookline.model.position import Position

SHOWN_BYTES_MAX: Final = 4096
"""How much is kept of a line that is too long to be one."""

_NOT_NUL = re.compile(rb"[^\0]")
SEAM: Final = re.compile(rb"\n|\0+|(?=" + re.escape(RECORD_PREFIX) + rb")")
"""Where a piece of a too long line ends (`start`) and the next one begins (`end`)."""


class Line(NamedTuple):
    """One line of a log, or a piece of one that is too long.

    `position` is that of its first byte that is not NUL, `end` the offset behind its newline.
    `raw` has neither the newline nor NULs at its edges; when `too_long`, only 4,096 bytes of it.
    """

    position: Position
    end: int
    raw: bytes
    too_long: bool = False


def cut(data: bytes, segment: int, offset: int, line_bytes_max: int = LINE_BYTES_MAX) -> list[Line]:
    """The lines of `data`, which lies at `offset` and ends with a newline or at the segment's end.

    Empty lines and lines of NULs only are left out. A line over the limit is cut behind NULs and
    before each record prefix, since a whole record may hang behind a torn one.
    """
    lines: list[Line] = []
    # A named tuple's own constructor is a Python function, three times as slow.
    new = tuple.__new__
    plain = b"\0" not in data
    pieces = data.split(b"\n")
    last = len(pieces) - 1
    for index, piece in enumerate(pieces):
        end = offset + len(piece) + (index < last)
        if plain and len(piece) < line_bytes_max:
            if piece:
                lines.append(new(Line, (new(Position, (segment, offset)), end, piece, False)))
        else:
            lines += _odd(piece, segment, offset, end, line_bytes_max)
        offset = end
    return lines


def _odd(piece: bytes, segment: int, offset: int, end: int, line_bytes_max: int) -> list[Line]:
    lines = []
    following = 0
    while (start := first_byte(piece, following)) < len(piece):
        stop = following = len(piece)
        if stop - start >= line_bytes_max and (seam := SEAM.search(piece, start + 1)):
            stop, following = seam.span()
        position = Position(segment, offset + start)
        line_end = end if following == len(piece) else offset + following
        lines.append(as_line(piece[start:stop], position, line_end, line_bytes_max))
    return lines


def as_line(piece: bytes, position: Position, end: int, line_bytes_max: int) -> Line:
    """A piece that does not begin with a NUL as a line."""
    raw = piece.rstrip(b"\0")
    if len(raw) >= line_bytes_max:
        return Line(position, end, raw[: min(SHOWN_BYTES_MAX, line_bytes_max)], True)
    return Line(position, end, raw)


def first_byte(data: bytes, start: int) -> int:
    """Where the first byte that is not NUL stands, from `start` on; the length when none does."""
    found = _NOT_NUL.search(data, start)
    return found.start() if found else len(data)
