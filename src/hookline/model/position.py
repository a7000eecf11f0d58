"""Where an event lies: the only order there is."""

from typing import NamedTuple


class Position(NamedTuple):
    """The place of a line within its domain; tuples compare in log order.

    `segment` is the ordinal of the segment, from 1; `offset` is the byte offset of the line's first
    byte in the uncompressed segment, from 0.
    """

    segment: int
    offset: int
