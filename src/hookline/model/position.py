"""Where an event lies: the only order there is."""

from typing import Annotated, Final, NamedTuple

import msgspec

ORDINAL_MAX: Final = 99_999_999
"""The last ordinal that eight digits can name."""
_COUNT_MAX: Final = (1 << 53) - 1

Ordinal = Annotated[int, msgspec.Meta(ge=1, le=ORDINAL_MAX + 1)]
"""A segment's ordinal in a file that others may have written; behind the last one lies what can be
closed no more."""
Count = Annotated[int, msgspec.Meta(ge=0, le=_COUNT_MAX)]
"""A number of bytes, or of anything, in such a file."""


class Position(NamedTuple):
    """The place of a line within its domain; tuples compare in log order.

    `segment` is the ordinal of the segment, from 1; `offset` is the byte offset of the line's first
    byte in the uncompressed segment, from 0.
    """

    segment: Ordinal
    offset: Count
