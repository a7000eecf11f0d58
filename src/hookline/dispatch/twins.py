"""Where the events of a domain lie that were stored before."""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from hookline.model.position import Position


class Twins:
    """As stretches of the log, since a producer that repeats itself does so many times in a row: a
    million lines side by side are two numbers."""

    def __init__(self, stretches: Mapping[int, Sequence[int]] | None = None) -> None:
        """See `stretches`."""
        found = stretches.items() if stretches else ()
        self._bounds = {segment: array("Q", bounds) for segment, bounds in found}

    def add(self, position: Position, end: Position) -> None:
        """The event from `position` to `end`, which lies behind all that were added before."""
        bounds = self._bounds.setdefault(position.segment, array("Q"))
        if bounds and bounds[-1] == position.offset:
            bounds[-1] = end.offset
        else:
            bounds.extend((position.offset, end.offset))

    def __contains__(self, position: Position) -> bool:
        """Whether the event that begins there is one of them."""
        bounds = self._bounds.get(position.segment, ())
        return bisect_right(bounds, position.offset) % 2 == 1

    def touch(self, start: Position, end: Position) -> bool:
        """Whether one of them begins between these places of a segment."""
        bounds = self._bounds.get(start.segment, ())
        before = bisect_right(bounds, start.offset)
        return before % 2 == 1 or (before < len(bounds) and bounds[before] < end.offset)

    def forget_before(self, position: Position) -> None:
        """The segments before that one are gone."""
        for segment in [each for each in self._bounds if each < position.segment]:
            del self._bounds[segment]

    def stretches(self) -> dict[int, list[int]]:
        """By segment: the offset where a stretch begins, where it ends, where the next one
        begins..."""
        return {segment: bounds.tolist() for segment, bounds in self._bounds.items()}
