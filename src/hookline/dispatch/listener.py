"""A handler at work: its file's wishes, its subscription, and whether it may run just now."""

from collections.abc import Iterable
from typing import Final

import msgspec

from hookline.dispatch.decide import HOPS_MAX, WAIT_MAX_S, window_s
from hookline.dispatch.handlers import Handler
from hookline.dispatch.ledger import Pending, Place, Progress, Standing
from hookline.dispatch.subscription import Cursor, Delivery, Subscription
from hookline.log.stretch import Stretch
from hookline.model.clock import Clock
from hookline.model.position import Position

PROBE_S: Final = 60.0
"""How long a handler that cannot be run is left alone before one event tries it again."""
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL: Final = msgspec.Raw(b"null")
_TYPES_KEPT: Final = 10_000


class Listener:
    """One handler in a running dispatcher."""

    def __init__(
        self, handler: Handler, progress: Progress, clock: Clock, awake: dict["Listener", None]
    ) -> None:
        """It puts itself among those that are `awake` when there is something to do for it."""
        self.handler = handler
        self._clock = clock
        self._awake = awake
        self.standing: Standing = progress
        self._held_until_s = 0.0
        """When it is probed again, if it cannot be run."""
        self.rests_until_s = 0.0
        """Until when its program is left alone that has ended; monotonic."""
        self.leaving = False
        """Its file was replaced or removed: nothing new starts, and it goes when nothing runs."""
        self.behind: set[str] = set()
        """Domains in which there may be something to read for it."""
        self.moved: set[str] = set()
        """Domains whose cursor may have moved since the last commit."""
        self.unread: list[Delivery] = []
        """Replays whose key is not known, since their log cannot be read."""
        self.subscription = Subscription(concurrency=handler.concurrency, keyed=bool(handler.key))
        self._recovered = dict(progress.pending)
        self._stretch: Pending | None = None
        """The stretch that was under way when the last dispatcher died, while it is admitted."""
        self._passed = 0
        self.blamed: list[Delivery] = []
        """Which events of stretches were at work then, as far as that is not written down."""
        self._wants: dict[str, bool] = {}

    @property
    def name(self) -> str:
        """The handler's file name."""
        return self.handler.name

    def wants(self, type: str) -> bool:
        """Whether events of this type are for it; remembered, since there are few types."""
        known = self._wants.get(type)
        if known is None:
            if len(self._wants) >= _TYPES_KEPT:
                self._wants.clear()
            known = self._wants[type] = self.handler.wants(type)
        return known

    def may_start(self, now_s: float) -> bool:
        """Whether a run may start."""
        if self.leaving or self.standing.paused or now_s < self.rests_until_s:
            return False
        return not self.standing.held or now_s >= self._held_until_s

    def hold(self, reason: str, now_s: float) -> bool:
        """It cannot be run; True when that is news."""
        news = not self.standing.held
        self.standing.held, self._held_until_s = reason, now_s + PROBE_S
        return news

    def track(self, domain: str, cursor: Cursor, settled: dict[Position, str]) -> None:
        """Follow a domain from a cursor on."""
        self.subscription.track(domain, cursor, settled)
        self.hear(domain)

    def hear(self, domain: str) -> None:
        """There may be something to read for it."""
        self.behind.add(domain)
        self._awake[self] = None

    def replay(self, delivery: Delivery) -> None:
        """Take an event once more."""
        self.subscription.replay(delivery)
        self._awake[self] = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do for it until it hears of something."""
        return not (self.behind or self.blamed or self.subscription.open)

    def recovered(self, place: Place) -> Pending | None:
        """What was known of a delivery before a restart."""
        return self._recovered.pop(place, None)

    def replays(self) -> Iterable[Pending]:
        """The replays that were open before a restart."""
        found = [pending for pending in self._recovered.values() if pending.replay]
        for pending in found:
            del self._recovered[pending.place]
        return found

    def takes_whole(self, domain: str, events: Stretch) -> bool:
        """Whether these are to be one delivery: nothing tells one of them from the others."""
        if self.handler.kind not in ("python", "stream") or any(
            place == domain and events.position <= position < events.end
            for place, position, _ in self._recovered
        ):
            return False
        known = self._stretch
        if known and known.domain == domain and known.end and events.position < known.end:
            return False
        if max([event.hops for event in events.events]) > HOPS_MAX:
            return False
        return self.subscription.takes_whole(domain, events)

    def admit(self, delivery: Delivery) -> None:
        """Take an event, with what was known of it before a restart."""
        pending = self.recovered(delivery.place)
        if pending is not None and pending.event == delivery.event:
            if pending.end:
                self._stretch, self._passed = pending, 0
            else:
                self.restore(delivery, pending)
        if self._stretch:
            self._restore_from(self._stretch, delivery)
        self.subscription.admit(delivery)
        self.moved.add(delivery.domain)

    def _restore_from(self, stretch: Pending, delivery: Delivery) -> None:
        """Give an event of a stretch what was known of it: it runs alone, and one is to blame."""
        if delivery.domain != stretch.domain:
            return
        if stretch.end and delivery.position >= stretch.end:
            self._stretch = None
            return
        delivery.alone = True
        if self._passed == stretch.at:
            delivery.attempt, delivery.interrupted = 1, True
            self.blamed.append(delivery)
        self._passed += 1

    def restore(self, delivery: Delivery, pending: Pending) -> None:
        """Give a delivery what was known of it before a restart."""
        delivery.attempt, delivery.due_at_s = pending.attempt, pending.due_at_s
        delivery.interrupted = pending.running
        delivery.alone = True
        # The clock of the wall may have been set meanwhile: it may shorten a pause, not prolong it.
        # Only these choose their own.
        chosen = self.handler.kind in ("python", "stream")
        most_s = WAIT_MAX_S if chosen else window_s(pending.attempt, self.handler.policy)
        wait_s = pending.due_at_s - self._clock.now().timestamp()
        delivery.due_s = self._clock.monotonic_s() + min(max(wait_s, 0.0), most_s)

    def retries(self) -> list[float]:
        """When those that are to be tried again are due, in seconds since 1970."""
        return [each.due_at_s for each in self.subscription.unsettled() if each.due_at_s]

    def next_start_s(self) -> float | None:
        """When something of it may start next, None when that is not a matter of time."""
        due_s = self.subscription.next_due_s()
        if due_s is None or self.leaving or self.standing.paused:
            return None
        due_s = max(due_s, self.rests_until_s)
        return max(due_s, self._held_until_s) if self.standing.held else due_s

    def rests(self, until_s: float) -> bool:
        """Whether something of it waits just for the end of its rest, which comes until then."""
        return 0.0 < self.rests_until_s <= until_s and self.next_start_s() == self.rests_until_s


def key_of(handler: Handler, line: bytes) -> str | None:
    """The key of an event for a handler, None when it has none: the JSON text of the value at the
    key's path.

    An event without that value shares one key with all others that have none.
    """
    value = msgspec.Raw(line)
    for name in handler.key:
        try:
            value = _MEMBERS.decode(value).get(name, _NULL)
        except msgspec.MsgspecError:
            return "null"
    return bytes(value).decode("utf-8", "replace") if handler.key else None
