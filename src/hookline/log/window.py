"""What can be read of a segment from one place: whole lines, or pieces of one too long."""

from typing import NamedTuple

from hookline.log.lines import SEAM, Line, as_line, first_byte
from hookline.log.opened import Opened
from hookline.model.envelope import RECORD_PREFIX
from hookline.model.position import Position

_BLOCK_BYTES = 1 << 16
_OVERLAP_BYTES = len(RECORD_PREFIX) - 1


class Rewritten(Exception):
    """The file is not the one that was read so far."""


class Taken(NamedTuple):
    """Bytes of whole lines, or the lines themselves; the offset behind them.

    `all_read`: there is nothing more in the file now that could be taken.
    """

    data: bytes
    lines: list[Line] | None
    after: int
    all_read: bool


class Window:
    """Reads forward; remembers how far it has searched a line without an end."""

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._searched = (0, 0, 0)

    def take(self, opened: Opened, offset: int, limit_bytes: int, *, final: bool) -> Taken:
        """What stands at `offset`. `final`: the file's end ends its last line.

        Raises Rewritten.
        """
        data, all_read = _read_on(opened, offset, limit_bytes)
        used = len(data) if final and all_read else data.rfind(b"\n") + 1
        if not used and not all_read:
            return self._long_line(opened, offset, final)
        if used != len(data):
            data = data[:used]
        return Taken(data, None, offset + used, all_read)

    def _long_line(self, opened: Opened, offset: int, final: bool) -> Taken:
        start = _skip_nuls(opened, offset)
        head = opened.read(start, self._line_bytes_max)
        newline = head.find(b"\n")
        if newline >= 0:
            return self._one(opened, start, head[:newline], start + newline + 1)
        if len(head) < self._line_bytes_max:
            if final:
                return self._one(opened, start, head, start + len(head))
            return Taken(b"", None, offset, True)
        seam = self._seam(opened, start)
        if seam is None and not final:
            return Taken(b"", None, offset, True)
        stop, after = seam or (opened.size(), opened.size())
        return self._one(opened, start, head[: stop - start], after)

    def _one(self, opened: Opened, start: int, piece: bytes, after: int) -> Taken:
        if not piece:
            return Taken(b"", [], after, False)
        position = Position(opened.ordinal, start)
        return Taken(b"", [as_line(piece, position, after, self._line_bytes_max)], after, False)

    def _seam(self, opened: Opened, start: int) -> tuple[int, int] | None:
        """Where the piece from `start` on ends and the next one begins; None: not to be seen yet.

        Goes on where the last search stopped: a tail without an end may grow to gigabytes.
        """
        at = start + 1
        if self._searched[:2] == (opened.ordinal, start):
            at = max(at, self._searched[2])
        while True:
            block = opened.read(at, _BLOCK_BYTES)
            found = SEAM.search(block)
            if found is not None:
                return at + found.start(), at + found.end()
            at = max(start + 1, at + len(block) - _OVERLAP_BYTES)
            if len(block) < _BLOCK_BYTES:
                self._searched = (opened.ordinal, start, at)
                return None


def _read_on(opened: Opened, offset: int, limit_bytes: int) -> tuple[bytes, bool]:
    """The bytes from there, and whether they are all there are now."""
    if offset == 0 or offset != opened.boundary:
        data = opened.read(offset, limit_bytes)
        if not data and offset and not opened.damage and opened.size() < offset:
            raise Rewritten("is shorter than what was read of it")
        return data, len(data) < limit_bytes
    # The newline before must still be there: that one byte more gives most rewritten files away.
    data = opened.read(offset - 1, limit_bytes + 1)
    if data[:1] != b"\n":
        raise Rewritten("was rewritten")
    return data[1:], len(data) <= limit_bytes


def _skip_nuls(opened: Opened, offset: int) -> int:
    while block := opened.read(offset, _BLOCK_BYTES):
        found = first_byte(block, 0)
        offset += found
        if found < len(block):
            break
    return offset
