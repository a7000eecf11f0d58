"""Some events in a row, and the text of their lines: what is done with all of them is done once."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, pairwise
from typing import Self

from hookline.log.stream import Chunk
from hookline.model.event import Event, decode_again, decode_lines
from hookline.model.position import Position


class Stretch:
    """Events of one segment, in log order.

    `text` is their lines, each with its newline; `position` and `last` are where the first and the
    last one lie, `end` is behind that; `last_id` and `last_source` are the last one's identity.
    There may be other lines between them.
    """

    __slots__ = (
        "_bounds", "_count", "_events", "end", "last", "last_id", "last_source", "position", "text",
    )  # fmt: skip

    def __init__(
        self,
        segment: int,
        bounds: Sequence[tuple[int, int]],
        text: bytes,
        events: list[Event],
    ) -> None:
        """`bounds` are the offsets of each line and behind it, or of all if no other is between."""
        start, end = bounds[-1]
        if len(bounds) != len(events):
            start = end - len(text) + text.rfind(b"\n", 0, -1) + 1
        self.position = Position(segment, bounds[0][0])
        self.last = Position(segment, start)
        self.end = Position(segment, end)
        self.last_id, self.last_source = events[-1].id, events[-1].source
        self.text = text
        self._events: list[Event] | None = events
        self._count = len(events)
        self._bounds = bounds

    @classmethod
    def of(cls, chunk: Chunk) -> Self | None:
        """The whole of a chunk; None when there may be something else in it, too."""
        if not chunk.is_plain:
            return None
        events = decode_lines(chunk.data)
        if events is None:
            return None
        segment, start = chunk.start
        return cls(segment, [(start, start + len(chunk.data))], chunk.data, events)

    @property
    def events(self) -> list[Event]:
        """The events."""
        if self._events is None:
            self._events = decode_again(self.text)
        return self._events

    def forget(self) -> None:
        """Keep the text only, a fifth of it all: the events are decoded again for who asks."""
        self._events = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[tuple[int, int], bytes, Event]]:
        """Each event's bounds, its line and itself."""
        return zip(self.bounds, self.lines, self.events, strict=True)

    @property
    def lines(self) -> list[bytes]:
        """The line of each event, without its newline."""
        return self.text.split(b"\n")[:-1]

    @property
    def bounds(self) -> Sequence[tuple[int, int]]:
        """The offsets of each line and behind it."""
        if len(self._bounds) != self._count:
            sizes = (len(line) + 1 for line in self.lines)
            self._bounds = list(pairwise(accumulate(sizes, initial=self.position.offset)))
        return self._bounds

    def part(self, start: int, stop: int) -> Self:
        """The events from number `start` up to `stop`: one at least."""
        lines = self.lines[start:stop]
        text = b"".join([line + b"\n" for line in lines])
        bounds = self.bounds[start:stop]
        return type(self)(self.position.segment, bounds, text, self.events[start:stop])

    def of_types(self, types: Iterable[str]) -> Self | None:
        """The events of these types; None when there are none."""
        wanted = set(types)
        chosen = [event.type in wanted for event in self.events]
        events = list(compress(self.events, chosen))
        if not events:
            return None
        text = b"".join([line + b"\n" for line in compress(self.lines, chosen)])
        bounds = list(compress(self.bounds, chosen))
        return type(self)(self.position.segment, bounds, text, events)
