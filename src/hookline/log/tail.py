"""Finding the last lines of a log from its end."""

from hookline.log.errors import LogReplaced
from hookline.log.opened import Opened
from hookline.log.stream import Stream
from hookline.model.position import Position

_BLOCK_BYTES = 1 << 16


def start_of_last(stream: Stream, lines: int) -> Position:
    """Where the last `lines` whole lines begin, or the whole log when it has fewer."""
    for ordinal in (stream.live_ordinal(), *reversed(stream.ordinals())):
        try:
            opened = stream.segments.open(Position(ordinal, 0))
        except LogReplaced:
            # Deleted meanwhile, and all before it then too.
            break
        if opened is not None:
            offset, lines = _back(opened, lines)
            if lines == 0:
                return Position(opened.ordinal, offset)
    return stream.first()


def _back(opened: Opened, lines: int) -> tuple[int, int]:
    """Where the last lines begin, and how many are missing; blank ones count too."""
    stop = opened.size()
    # The newline that ends the last line is not the one before the first of them.
    newlines = lines + 1
    while stop > 0:
        start = max(0, stop - _BLOCK_BYTES)
        block = opened.read(start, stop - start)
        here = block.count(b"\n")
        if here >= newlines:
            at = len(block)
            for _ in range(newlines):
                at = block.rfind(b"\n", 0, at)
            return start + at + 1, 0
        newlines -= here
        stop = start
    return 0, newlines - 1
