"""One handler's progress: which events it has been offered, which it still owes an answer.

A pure state machine: no clock, no disk, no randomness. The dispatcher admits events in log order
and is told which deliveries may run now; keys keep their order, whatever fails or waits.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, Self

import msgspec

from hookline.dispatch.decide import Plan
from hookline.log.stretch import Stretch
from hookline.model.event import as_replay
from hookline.model.position import Position

KEYED_OPEN_MAX: Final = 10_000
"""How many unsettled deliveries a keyed handler may hold: how far it can look past a blocked
key."""
SERIAL_OPEN_MAX: Final = 1_000
SERIAL_BYTES_MAX: Final = 2 << 20
"""How much of their lines: whole stretches are kept until they have been run."""
RUN_BYTES_MAX: Final = 1 << 20
_REPLAYS: Final = "replays"
"""The lane of a serial handler's replays."""


class Cursor(msgspec.Struct, frozen=True):
    """Everything of a domain before `position` is settled.

    The line at offset `mark` of the same segment, the last event before `position` or the one that
    begins there, has the identity `source` and `event`: that tells whether the log is still the one
    that the cursor was made for. Empty where there is no event yet.
    """

    position: Position
    mark: int = 0
    event: str = ""
    source: str = ""


class Delivery(msgspec.Struct, kw_only=True, eq=False):
    """One event for one handler, until it is settled. Only its subscription changes it."""

    domain: str
    position: Position
    end: Position
    event: str
    source: str
    type: str
    key: str | None = None
    attempt: int = 0
    """Runs begun so far."""
    due_s: float = 0.0
    """Monotonic."""
    due_at_s: float = 0.0
    """The same in seconds since 1970, for those who come after a restart."""
    running: bool = False
    raw: bytes | None = None
    """The line, when it is in memory; of several events, the stretch has them."""
    kept_bytes: int = 0
    """How much of it is there for longer than a run."""
    hops: int = 0
    interrupted: bool = False
    """Its last run was cut short by the dispatcher's own end, and has no verdict yet."""
    alone: bool = False
    """Whether it must not ride in a run with others: a dispatcher died or a batch failed when it
    was under way."""
    replay: str = ""
    """The name of the dead letter or the replay that it repeats; empty when it comes from the
    log."""
    stretch: Stretch | None = None
    """Its events, when it is of several: their first run is one. The other fields are then those of
    the first event, but `end`."""

    @classmethod
    def of(cls, domain: str, stretch: Stretch) -> Self:
        """The delivery of these events."""
        first = stretch.events[0]
        return cls(
            domain=domain,
            position=stretch.position,
            end=stretch.end,
            event=first.id,
            source=first.source,
            type=first.type,
            hops=first.hops,
            raw=stretch.text[:-1] if len(stretch) == 1 else None,
            stretch=stretch if len(stretch) > 1 else None,
        )

    @property
    def events(self) -> int:
        """How many it is of."""
        return len(self.stretch) if self.stretch else 1

    @property
    def behind(self) -> Cursor:
        """The cursor behind it."""
        events = self.stretch
        if events is None:
            return Cursor(self.end, self.position.offset, self.event, self.source)
        return Cursor(self.end, events.last.offset, events.last_id, events.last_source)

    def singles(self) -> Iterator[Self]:
        """A delivery for each of its events, as if they had been admitted one by one."""
        if self.stretch is None:
            yield self
            return
        segment = self.position.segment
        for (start, end), line, event in self.stretch:
            yield msgspec.structs.replace(
                self,
                position=Position(segment, start),
                end=Position(segment, end),
                event=event.id,
                source=event.source,
                type=event.type,
                hops=event.hops,
                raw=line,
                stretch=None,
            )

    @property
    def place(self) -> tuple[str, Position, str]:
        """What tells this delivery from every other of its handler."""
        return self.domain, self.position, self.replay

    def is_of(self, id: str, source: str) -> bool:
        """Whether this is its event. Lines of older versions do not name the source."""
        return id == self.event and self.source in ("", source)

    @property
    def has_line(self) -> bool:
        """Whether what its handler is to see is in memory."""
        return self.raw is not None or self.stretch is not None

    @property
    def line(self) -> bytes:
        """The event as its handler is to see it: a replay says so."""
        raw = self.raw or b""
        return as_replay(raw, self.replay) if self.replay else raw

    @property
    def each(self) -> list[tuple[str, bytes]]:
        """The id of each of its events, and the event as its handler is to see it."""
        if self.stretch is None:
            return [(self.event, self.line)]
        ids = [event.id for event in self.stretch.events]
        return list(zip(ids, self.stretch.lines, strict=True))

    @property
    def lines(self) -> bytes:
        """The same of each of its events, with newlines."""
        return self.stretch.text if self.stretch else self.line + b"\n"


def end_of(run: Sequence[Delivery]) -> Position | None:
    """Past the last event of a run; None for a run of one."""
    return run[-1].end if len(run) > 1 or run[0].events > 1 else None


def _state_of(delivery: Delivery) -> dict[str, Any]:
    """What the parts of a delivery have in common."""
    return {
        name: getattr(delivery, name) for name in ("key", "attempt", "due_s", "due_at_s", "running")
    }


class _Track:
    """A domain as one handler sees it: how far it was read, and what of that is not settled, in log
    order."""

    __slots__ = ("open", "read", "settled_ahead", "since")

    def __init__(self, cursor: Cursor, settled_ahead: dict[Position, str]) -> None:
        self.since = cursor.position
        """Where this handler's reading began: what lies before is not its own, or is settled."""
        self.read = cursor
        self.open: OrderedDict[Position, Delivery] = OrderedDict()
        self.settled_ahead = settled_ahead


class Subscription:
    """The unsettled deliveries of one handler and the order that they must keep."""

    def __init__(self, *, concurrency: int = 1, keyed: bool = False) -> None:
        self._concurrency = concurrency if keyed else 1
        self._keyed = keyed
        self.bytes_max = SERIAL_BYTES_MAX
        """How much of its lines a serial handler may have in memory before it takes no more."""
        self._tracks: dict[str, _Track] = {}
        self._lanes: dict[str | None, deque[Delivery]] = {}
        self._ready: list[tuple[float, int, str | None]] = []
        self._sequence = 0
        self._open = 0
        self._running = 0
        self._kept_bytes = 0
        self._replays: set[tuple[str, Position, str]] = set()

    def track(self, domain: str, cursor: Cursor, settled_ahead: dict[Position, str]) -> None:
        """Begin to follow a domain at `cursor`, knowing what was settled beyond it."""
        self._tracks[domain] = _Track(cursor, settled_ahead)

    @property
    def domains(self) -> list[str]:
        """The domains that it follows."""
        return list(self._tracks)

    @property
    def open(self) -> int:
        """How many deliveries are admitted and unsettled."""
        return self._open

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return self._running

    @property
    def room(self) -> int:
        """How many more events of the logs it takes now."""
        if not self._keyed and self._kept_bytes >= self.bytes_max:
            return 0
        open_max = KEYED_OPEN_MAX if self._keyed else SERIAL_OPEN_MAX
        return open_max - self._open + len(self._replays)

    @property
    def kept_bytes(self) -> int:
        """How many bytes of lines it keeps in memory."""
        return self._kept_bytes

    def head(self, domain: str) -> Position:
        """Where the next event for it is to be read."""
        return self._tracks[domain].read.position

    def cursor(self, domain: str) -> Cursor:
        """Where to begin again after the loss of everything in memory: all before it is settled."""
        track = self._tracks[domain]
        first = next(iter(track.open.values()), None)
        if first is None and track.read.event:
            return track.read
        if first is None:
            # No event tells this log from another: what was passed over is passed over once more.
            return Cursor(max(track.since, Position(track.read.position.segment, 0)))
        return Cursor(first.position, first.position.offset, first.event, first.source)

    def admit(self, delivery: Delivery) -> bool:
        """Take the next event of a domain; False when it was settled before a restart."""
        track = self._tracks[delivery.domain]
        track.read = delivery.behind
        known = track.open.get(delivery.position)
        if known is not None and known.event == delivery.event:
            return False
        if track.settled_ahead.pop(delivery.position, "") == delivery.event:
            return False
        track.open[delivery.position] = delivery
        self._queue(delivery)
        return True

    def takes_whole(self, domain: str, events: Stretch) -> bool:
        """Whether these, the next of a domain, may be one delivery: a serial handler runs them one
        after the other, and nothing is known of any of them."""
        if self._keyed:
            return False
        track = self._tracks[domain]
        last = next(reversed(track.open), None)
        return (last is None or last < events.position) and not any(
            events.position <= place < events.end for place in track.settled_ahead
        )

    def pass_over(self, domain: str, read: Cursor) -> None:
        """The domain was read up to here; what was not admitted is not for this handler."""
        track = self._tracks[domain]
        last = track.read
        if not read.event and last.position.segment == read.position.segment:
            read = Cursor(read.position, last.mark, last.event, last.source)
        track.read = read

    def rewind(self, domain: str, position: Position) -> None:
        """From `position` on, the log is another than it was: forget what waits of that, and read
        it again."""
        track = self._tracks[domain]
        for delivery in [each for each in track.open.values() if each.position >= position]:
            del track.open[delivery.position]
            if not delivery.running:
                self._close(delivery)
        for place in [each for each in track.settled_ahead if each >= position]:
            del track.settled_ahead[place]
        track.read = Cursor(position)
        track.since = min(track.since, position)

    def replay(self, delivery: Delivery) -> None:
        """Take an event again, once at a time: behind what its key has waiting, outside any
        domain's order."""
        if delivery.place not in self._replays:
            self._replays.add(delivery.place)
            self._queue(delivery)

    def startable(self, now_s: float) -> Iterator[Delivery]:
        """Deliveries that may run now, at most as many as may run at once; each must be begun or
        left."""
        free = self._concurrency - self._running
        while free > 0 and self._ready and self._ready[0][0] <= now_s:
            _, _, key = heapq.heappop(self._ready)
            lane = self._lanes.get(key)
            # What a rewind has forgotten leaves its place in the heap behind.
            if lane and not lane[0].running and lane[0].due_s <= now_s:
                free -= 1
                yield lane[0]

    def run_of(self, first: Delivery, limit: int) -> list[Delivery]:
        """`first` and what may follow it in one run, in log order: of `limit` events and
        RUN_BYTES_MAX at most, but for a single longer one.

        Only deliveries of one domain that have not failed before ride together: a run is reported
        as one stretch.
        """
        if first.events > limit:
            self.split(first, limit)
        run = [first]
        if first.attempt or first.alone or first.replay or self._keyed:
            return run
        events, size = first.events, first.kept_bytes
        for delivery in islice(self._lanes[first.key], 1, None):
            events, size = events + delivery.events, size + delivery.kept_bytes
            if events > limit or size > RUN_BYTES_MAX or delivery.domain != first.domain:
                break
            if delivery.attempt or delivery.alone or delivery.replay:
                break
            run.append(delivery)
        return run

    def split(self, delivery: Delivery, at: int) -> Delivery:
        """Let the events of a delivery from number `at` on be another one, right behind it."""
        assert delivery.stretch is not None, "a single event is not split"
        front, back = delivery.stretch.part(0, at), delivery.stretch.part(at, delivery.events)
        rest = msgspec.structs.replace(Delivery.of(delivery.domain, back), **_state_of(delivery))
        head = Delivery.of(delivery.domain, front)
        delivery.end, delivery.raw, delivery.stretch = head.end, head.raw, head.stretch
        self._kept_bytes -= delivery.kept_bytes
        for each in (delivery, rest):
            self._keep(each)
        lane = self._lanes[delivery.key]
        lane.insert(lane.index(delivery) + 1, rest)
        self._open += 1
        self._running += delivery.running
        track = self._tracks[delivery.domain]
        if track.open.get(delivery.position) is delivery:
            # In log order, as they are in the lane.
            behind = [each for each in track.open if each > delivery.position]
            track.open[rest.position] = rest
            for position in behind:
                track.open.move_to_end(position)
        return rest

    def split_up(self, deliveries: list[Delivery]) -> list[Delivery]:
        """One delivery for each of their events."""
        singles = []
        for delivery in deliveries:
            singles.append(delivery)
            while singles[-1].events > 1:
                singles.append(self.split(singles[-1], 1))
        return singles

    def begin(self, delivery: Delivery) -> None:
        """A run of the delivery starts."""
        delivery.attempt += 1
        delivery.running = True
        self._running += 1

    def unbegin(self, delivery: Delivery, due_s: float, *, alone: bool = False) -> None:
        """The run did not happen, through no fault of the event: its attempt is given back.
        `alone`: the next one is to be of this event only."""
        delivery.attempt -= 1
        delivery.alone = delivery.alone or alone
        self._stop(delivery)
        self._wait(delivery, due_s)

    def settle(self, delivery: Delivery, plan: Plan, now_s: float) -> None:
        """A run has ended and `plan` is what follows."""
        if plan.then == "held":
            self.unbegin(delivery, now_s)
            return
        self._stop(delivery)
        if plan.then == "retry":
            self._wait(delivery, now_s + plan.wait_s)
            return
        self._close(delivery)

    def next_due_s(self) -> float | None:
        """When the next waiting delivery may run, if one more may run at all."""
        if not self._ready or self._running >= self._concurrency:
            return None
        return self._ready[0][0]

    def unsettled(self) -> Iterator[Delivery]:
        """Every delivery admitted and not settled."""
        for lane in self._lanes.values():
            yield from lane

    def _queue(self, delivery: Delivery) -> None:
        if not self._keyed:
            # In turns with the log's, which a large replay must not keep waiting.
            delivery.key = _REPLAYS if delivery.replay else None
        lane = self._lanes.setdefault(delivery.key, deque())
        lane.append(delivery)
        self._open += 1
        self._keep(delivery)
        self._wait(delivery, delivery.due_s)

    def _keep(self, delivery: Delivery) -> None:
        delivery.kept_bytes = len(
            delivery.stretch.text if delivery.stretch else delivery.raw or b""
        )
        self._kept_bytes += delivery.kept_bytes

    def _wait(self, delivery: Delivery, due_s: float) -> None:
        delivery.due_s = due_s
        if self._lanes[delivery.key][0] is delivery:
            self._sequence += 1
            heapq.heappush(self._ready, (due_s, self._sequence, delivery.key))

    def _stop(self, delivery: Delivery) -> None:
        delivery.running = False
        self._running -= 1
        if not delivery.kept_bytes:
            delivery.raw = None

    def _close(self, delivery: Delivery) -> None:
        lane = self._lanes[delivery.key]
        lane.remove(delivery)
        self._open -= 1
        self._kept_bytes -= delivery.kept_bytes
        self._replays.discard(delivery.place)
        track = self._tracks.get(delivery.domain)
        if track and track.open.get(delivery.position) is delivery:
            del track.open[delivery.position]
        if not lane:
            del self._lanes[delivery.key]
        elif not lane[0].running:
            self._wait(lane[0], lane[0].due_s)
