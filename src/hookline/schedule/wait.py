"""Waiting for the tick of a schedule, with a timer of one's own when none comes.

`scripts/events/lib/wait-for-tick.sh` does the same; both obey `testing/vectors/ticks.jsonl`.
"""

import os
import select
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from hookline.log.compose import Composer, Said, dumps
from hookline.log.follow import Follower
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import Query
from hookline.model.clock import Clock, SystemClock, rfc3339
from hookline.model.errors import BadData, HooklineError
from hookline.model.event import Event
from hookline.model.types import check_type
from hookline.schedule.maintenance import is_maintenance

SOURCE: Final = "wait-for-tick"
"""The source of what a waiter says, and of the ticks of its own timer."""
FALLBACK: Final = "schedule.fallback"
FALLBACK_ENDED: Final = "schedule.fallback_ended"
SILENT_ROUNDS: Final = 2
"""So many rounds without a tick are silence."""
EVERY_S_MIN: Final = 0.01
_DEAF_S: Final = 1.0
"""How long not to look at a log that cannot be read."""


class Ears(Protocol):
    """Hears events of one type."""

    def hear(self, timeout_s: float) -> Sequence[Event]:
        """What came since the last call; if nothing did, what comes within that time, or sooner
        nothing."""

    def wake(self) -> None:
        """End the waiting, of any thread, now and from now on."""

    def close(self) -> None:
        """Give everything back."""


class LogEars:
    """The ears that hear a home's log."""

    def __init__(self, home: Home, type: str, clock: Clock) -> None:
        self._home, self._query, self._clock = home, Query(pattern=type), clock
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._follower: Follower | None = None
        with suppress(HooklineError, OSError):
            self._listen()

    def hear(self, timeout_s: float) -> Sequence[Event]:
        """See `Ears`."""
        try:
            follower = self._follower or self._listen()
            events = _news(follower)
            if not events and timeout_s > 0:
                self._wait(min(timeout_s, follower.pause_s()), follower.fd)
                events = _news(follower)
        except (HooklineError, OSError):
            # No right to read it, or no descriptor left: the timer goes on.
            self._wait(min(timeout_s, _DEAF_S))
            return []
        return events

    def wake(self) -> None:
        """See `Ears`."""
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """See `Ears`."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        if self._wake >= 0:
            os.close(self._wake)
        self._wake = -1

    def _listen(self) -> Follower:
        self._follower = Follower(self._home, self._query, lambda _: None, clock=self._clock)
        return self._follower

    def _wait(self, timeout_s: float, *fds: int) -> None:
        poll = select.poll()
        for fd in (self._wake, *fds):
            poll.register(fd, select.POLLIN)
        poll.poll(max(0.0, timeout_s) * 1000)


def _news(follower: Follower) -> list[Event]:
    news = (found for each in follower.news() for found in each)
    return [each.record.event for each in news if each.record.event is not None]


class Ticks:
    """The ticks of a schedule, one after another, as a daemon's loop wants them:

        with Ticks(home, "trigger.introspection", every_s=5) as ticks:
            for tick in ticks:
                scan()

    A tick is an event of that type; those that came while the loop was busy are one, the latest.
    After two rounds without any (longer ones, when the last tick's factor said that its schedule is
    slow) a timer of its own ticks, once each round, until one comes: `is_local`, and no log has
    those ticks. Both turns are said on stderr and, where the home can be written to, by an event.
    In maintenance, and while its schedule is paused or stands still, that timer does so, too. What
    counts is what comes after this was made.
    """

    def __init__(
        self,
        home: Home | Log | Path | str,
        type: str,
        *,
        every_s: float,
        schedule: str | None = None,
        clock: Clock | None = None,
        ears: Ears | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """`schedule`: only ticks of that one; else any event of the type is a tick. Raises BadData
        for what is no type, and for rounds shorter than ten milliseconds."""
        check_type(type)
        if not every_s >= EVERY_S_MIN:
            raise BadData(f"every_s = {every_s} is less than {EVERY_S_MIN}")
        self.is_local = False
        """Whether the last tick was one of its own timer."""
        if isinstance(home, Log):
            home = home.home
        self._home = home if isinstance(home, Home) else Home(Path(home))
        self._type, self._every_s, self._schedule = type, every_s, schedule
        self._told = schedule
        """Whose ticks they are, by name; None: that was not said so far."""
        self._clock = clock or SystemClock()
        self._ears = ears or LogEars(self._home, type, self._clock)
        self._say = say or _say
        self._composer = Composer(self._clock)
        self._stopped = False
        self._alone: int | None = None
        """How many local ticks there were since the last real one; None: those are not missed."""
        self._factor = 1.0
        self._since_s = self._clock.monotonic_s()
        self._due_s = self._since_s + SILENT_ROUNDS * self._round_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """Wait for the next tick. Ends once it was stopped."""
        while not self._stopped:
            heard = self._ears.hear(self._due_s - self._clock.monotonic_s())
            ticks = [each for each in heard if self._is_tick(each)]
            now_s = self._clock.monotonic_s()
            if ticks:
                return self._ticked(ticks[-1], now_s)
            if now_s < self._due_s:
                continue
            speed = self._speed()
            if not speed:
                self._due_s = now_s + self._round_s
            elif speed < self._factor:
                # Slowed down since its last tick: the silence is to be that of longer rounds.
                self._factor = speed
                self._due_s = max(now_s, self._since_s + SILENT_ROUNDS * self._round_s)
            else:
                return self._tick_alone(now_s)
        raise StopIteration

    def stop(self) -> None:
        """End the loop, which may be in another thread or below a signal handler."""
        self._stopped = True
        self._ears.wake()

    def close(self) -> None:
        """Give everything back, after the loop."""
        self._stopped = True
        self._ears.close()

    @property
    def _round_s(self) -> float:
        return self._every_s / self._factor

    def _is_tick(self, event: Event) -> bool:
        return self._schedule is None or _data(event).get("schedule") == self._schedule

    def _ticked(self, event: Event, now_s: float) -> Event:
        data = _data(event)
        told, factor = data.get("schedule"), data.get("factor")
        if isinstance(told, str):
            self._told = told
        if isinstance(factor, (int, float)) and 0.001 <= factor < 1e6:
            self._factor = float(factor)
        self._due_s = now_s + SILENT_ROUNDS * self._round_s
        if self._alone is not None:
            waited_s = self._tell(FALLBACK_ENDED, now_s, ticks=self._alone)
            self._say(
                f"{self._type} ticks again after {waited_s:.3f} s, in which its own timer ticked "
                f"for it: {self._alone}"
            )
        self._alone, self._since_s, self.is_local = None, now_s, False
        return event

    def _speed(self) -> float:
        """That of its schedule, as far as its scheduler has saved it; 0: nobody is to tick, nor
        in maintenance or while it is paused."""
        # Only here is all of a scheduler loaded.
        from hookline.schedule import memory

        if is_maintenance(self._home):
            return 0.0
        saved = memory.load(self._home) if self._told is not None else None
        known = saved.schedules.get(self._told or "") if saved else None
        if known is None:
            return self._factor
        return 0.0 if known.paused else known.speed

    def _tick_alone(self, now_s: float) -> Event:
        """Nothing came by `_due_s`."""
        if self._alone is None:
            self._alone = 0
            waited_s = self._tell(FALLBACK, now_s)
            self._say(
                f"no tick of {self._type} for {waited_s:.3f} s: its own timer ticks until one "
                "comes; see: hookline status"
            )
        self._alone += 1
        self.is_local = True
        late_s = now_s - self._due_s
        # Rounds that are over by now are this one tick.
        self._due_s += self._round_s * (late_s // self._round_s + 1)
        return self._local(late_s)

    def _local(self, late_s: float) -> Event:
        """What the tick would have been."""
        now = self._clock.now()
        data = {
            **({} if self._schedule is None else {"schedule": self._schedule}),
            "nominal": rfc3339(now - timedelta(seconds=late_s)),
            "fired": rfc3339(now),
            "late_ms": round(late_s * 1000, 3),
            "factor": self._factor,
            "reason": "fallback",
            "coalesced": 0,
            "missed": 0,
        }
        event, _, _ = self._composer.compose(SOURCE, self._type, Said(), None, dumps(data))
        return event

    def _tell(self, type: str, now_s: float, **more: int) -> float:
        """Append an event, where that can be; how long there was no tick."""
        waited_s = round(now_s - self._since_s, 3)
        data: dict[str, object] = {"type": self._type}
        if self._schedule is not None:
            data["schedule"] = self._schedule
        data |= {"waited_s": waited_s, **more, "pid": os.getpid()}
        if self._home.coordination.is_dir():
            # A home that cannot be written to is no reason to stop working.
            with suppress(HooklineError, OSError):
                Log(self._home, clock=self._clock).append(type, source=SOURCE, data=data)
        return waited_s


def _data(event: Event) -> dict[str, object]:
    try:
        data = event.value()
    except BadData:
        return {}
    return data if isinstance(data, dict) else {}


def _say(text: str) -> None:
    # A full disk or a closed terminal is no reason for a daemon to end.
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{SOURCE}: {text}\n")
