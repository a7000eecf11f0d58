"""The scheduler of a home: appends each tick when it is due."""

import math
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from hookline.dispatch.handlers import Handler
from hookline.dispatch.signals import asked_to_stop, hear
from hookline.log.errors import LogReplaced
from hookline.log.follow import Follower
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import Query
from hookline.log.stream import BEGINNING
from hookline.log.watch import Watch
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import BadConfig, HooklineError, is_shortage, told
from hookline.model.position import Position
from hookline.notify import Notifier
from hookline.schedule import kernel, memory
from hookline.schedule.adapt import adapt
from hookline.schedule.alarm import Alarm
from hookline.schedule.kernel import Memory, State, Tick
from hookline.schedule.lock import Lock
from hookline.schedule.machine import Gauge
from hookline.schedule.maintenance import is_maintenance
from hookline.schedule.memory import Recollection, Saved
from hookline.schedule.recurrence import SECOND_US, microseconds, utc_time
from hookline.schedule.schedule import Schedule
from hookline.schedule.table import Timetable
from hookline.schedule.tick import SOURCE, fields_of
from hookline.schedule.work import Successes, Work

SAVE_S: Final = 10.0
"""How long saving is put off; the logs have it until then."""
AGAIN_S: Final = 1.0
"""When something could not be written, and is tried again."""
ADAPT_S: Final = 1.0
"""How often the speeds are thought over."""
SETTLE_S: Final = 0.2
"""How long a configuration that changes is left alone, which may just be being written."""
LONG_S: Final = 2.0
"""When reading the logs at the start takes longer, it is said."""
_NEVER_S: Final = math.inf
_FILE: Final = "coordination/config/schedules.toml"
_GONE: Final = f"{_FILE} is gone: put it back, or an empty one if there is to be nothing"
_UNTOLD: Final = "what is due cannot be appended, and is tried again"
_UNSAVED: Final = "what is remembered cannot be saved, and is tried again"
_LONG: Final = "the logs are read from where the last scheduler was, which takes a while"
_UNREAD: Final = "the journal cannot be read"


class Ear(Protocol):
    """Is told what a scheduler does."""

    def ticked(self, schedule: Schedule, tick: Tick, late_ms: float) -> None:
        """A tick lies in the log."""

    def noted(self, text: str) -> None:
        """Something that a person may have to see to."""


class Scheduler:
    """What is remembered, brought forward by the clock and by what the logs say."""

    _notifier = Notifier()

    def __init__(
        self,
        home: Home,
        *,
        read: Callable[[], Timetable],
        handlers: Callable[[], Sequence[Handler]],
        clock: Clock,
        ear: Ear,
    ) -> None:
        """`read`: what the configuration says now. Raises TryAgain when another one runs,
        BadConfig."""
        self._home, self._clock, self._ear, self._read = home, clock, ear, read
        self._log = Log(home, clock=clock)
        self._work = Work(home, handlers)
        # To ask a Python handler what it wants takes as long as a Python takes to start.
        handlers()
        self._gauge = Gauge()
        # First the watch, then the look.
        self._watch = Watch([home.config])
        self._timetable = read()
        saved = memory.load(home)
        if saved is not None and saved.schedules and self._is_gone(self._timetable):
            raise BadConfig(_GONE)
        self._lock = Lock(home)
        self._changes: Watch | None = None
        """Of `coordination/`, where maintenance and deliveries end; while something waits for
        it."""
        # Once more: the last scheduler may have gone on until the lock was had.
        saved = memory.load(home)
        self._recollection = Recollection(saved, self._timetable)
        self._successes = Successes(home, saved.journal if saved else BEGINNING)
        self._follower = self._follow(memory.start(home, saved, self._timetable))
        self._adaptive = _adaptive(self._timetable)
        self._adapt_at_s = 0.0
        self._reload_at_s = _NEVER_S
        # What a schedule is now, where it is new or another, is to outlive a kill at once.
        self._save_at_s = 0.0
        self._again_s = 0.0
        self._rejected = ""
        """Why the configuration of now is not taken."""
        self._unsaid: dict[str, str] = {}
        """What is new, and has still to be said: by name, the type of the event."""
        self._troubles: set[str] = set()
        """What was said of what cannot be done now."""
        self._waiting: set[str] = set()
        """What is due and waits for something else than time."""
        self._alarm = Alarm()
        self._due_us: int | None = None
        """When something is due next, if that is a matter of time."""
        self._fired_us = 0
        """Of when that is true."""
        self._stopping = False
        self._wake = -1
        self.ticks = 0
        self.troubled = False
        """Whether something could not be appended or saved."""
        self.hear()
        for found in self._follower.ahead():
            self._recollection.expect(found, microseconds(clock.now()))
        self._recollection.begun()

    @property
    def state(self) -> dict[str, Memory]:
        """What is remembered of each of them."""
        return self._recollection.state

    def run(self, notifier: Notifier = _notifier) -> None:
        """Turn after turn, until somebody stops it."""
        self._notifier = notifier
        while not self._stopping:
            self._wait(self.turn())
        notifier.stop()

    def turn(self) -> float:
        """Append what is due now; for how many seconds there is nothing to do then."""
        now_s = self._clock.monotonic_s()
        if self._watch.wait(0):
            self._watch.read()
            self._reload_at_s = min(self._reload_at_s, now_s + SETTLE_S)
        if now_s >= self._reload_at_s:
            self._reload()
        self.hear()
        if now_s >= self._again_s:
            now_us = microseconds(self._clock.now())
            if now_s >= self._adapt_at_s:
                self._adapt_at_s = now_s + ADAPT_S
                self._adapt(now_us)
            if self._may_fire(now_us):
                self.fire()
            if now_s >= self._save_at_s:
                self.save()
        return self._pause_s()

    def hear(self) -> None:
        """Read what came in the logs."""
        ends_s = self._clock.monotonic_s() + LONG_S
        for found in self._follower.news():
            paused = self._paused()
            self._recollection.hear(found, microseconds(self._clock.now()))
            self._save_soon()
            if self._paused() != paused:
                # As `_adapt` says.
                self._save_at_s = 0.0
            if (now_s := self._clock.monotonic_s()) > ends_s:
                self._say(_LONG)
                self._notifier.turn(now_s)
        self._mended(_LONG)

    def _may_fire(self, now_us: int) -> bool:
        """Whether anything has changed since the last time: the clock may have been set back."""
        by_time = self._due_us is not None and self._due_us <= now_us
        changed = self._recollection.changed or now_us < self._fired_us
        return by_time or changed or bool(self._waiting)

    def fire(self) -> None:
        """Append what is due now."""
        schedules, now_us = self._timetable.schedules, microseconds(self._clock.now())
        self._hear_successes(now_us)
        before = self.state
        due = [name for name, each in before.items() if each.is_due(now_us)]
        deferring = bool(due) and is_maintenance(self._home)
        ticks, after = kernel.due(
            schedules, before, now_us, busy=self._busy(due), deferring=deferring
        )
        left = self._append_all(ticks)
        # What was not appended is due again; of those before them the log tells.
        after.update({name: before[name] for name in left if name in before})
        self._recollection.state, self._recollection.changed = after, False
        fired = {tick.schedule for tick in ticks}
        self._waiting = {
            name for name in due if name in after and after[name].is_due(now_us)
        } - fired
        self._due_us, self._fired_us = kernel.next_us(after, self._waiting), now_us
        if ticks or after != before:
            self._save_soon()
        # No log tells of what is put off. Of what was, once is enough.
        if after.keys() != before.keys() or any(
            after[name].deferred and not before[name].deferred for name in due if name in after
        ):
            self._save_at_s = 0.0
        self._say_what_is_new(before, after)

    def _say_what_is_new(self, before: State, after: State) -> None:
        """Since when a schedule is what it is: else nobody could tell once `state/` is gone."""
        for name, each in after.items():
            known = before.get(name)
            if known is None or known.when != each.when:
                self._unsaid[name] = memory.BEGUN if known is None else memory.CHANGED
        for name, type in list(self._unsaid.items()):
            now = after.get(name)
            if now is not None:
                since = rfc3339(utc_time(now.since_us))
                if not self._tell(type, schedule=name, when=now.when, since=since):
                    return
            del self._unsaid[name]

    def make_up(self, overdue: Callable[[Mapping[str, Schedule], State, int], list[Tick]]) -> None:
        """Append what should have been long ago: `overdue` says it of schedules, state and now."""
        self.turn()
        now_us = microseconds(self._clock.now())
        self._append_all(overdue(self._timetable.schedules, self.state, now_us))

    def save(self) -> None:
        """Save what is remembered, and not before the logs that say it are on disk."""
        self._save_at_s = _NEVER_S
        try:
            # Also the ticks that were appended just now.
            self.hear()
            self._follower.sync()
            memory.save(self._home, self._saved())
        except (HooklineError, OSError) as error:
            self._trouble(_UNSAVED, error)
            self._save_soon()
        else:
            self._save_at_s = _NEVER_S
            self._mended(_UNSAVED)

    def stop(self) -> None:
        """End `run` after this turn."""
        self._stopping = True

    def close(self) -> None:
        """Save, and give everything back."""
        if self._save_at_s < _NEVER_S:
            self.save()
        self._follower.close()
        self._successes.close()
        self._watch.close()
        self._alarm.close()
        if self._changes is not None:
            self._changes.close()
        self._lock.close()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT and SIGHUP stop it."""
        with hear(asked_to_stop(lambda _: self.stop())) as wake:
            self._wake = wake
            try:
                yield
            finally:
                self._wake = -1

    def _append_all(self, ticks: Sequence[Tick]) -> set[str]:
        """The schedules of which not all ticks lie in the log: behind the first that does not, none
        of them, since those before it tell how far the schedule is."""
        left: set[str] = set()
        failed = False
        for tick in ticks:
            if self._stopping:
                left.add(tick.schedule)
            elif tick.schedule not in left and not self._append(tick):
                left.add(tick.schedule)
                failed = True
        if failed:
            self._again_s = self._clock.monotonic_s() + AGAIN_S
        elif ticks:
            self._mended(_UNTOLD)
        return left

    def _append(self, tick: Tick) -> bool:
        """Whether it lies in the log."""
        schedule = self._timetable.schedules[tick.schedule]
        now_us = microseconds(self._clock.now())
        try:
            self._log.append_fields(fields_of(schedule, tick, now_us))
        except (HooklineError, OSError, MemoryError) as error:
            self._trouble(_UNTOLD, error)
            return False
        self.ticks += 1
        self._ear.ticked(schedule, tick, (now_us - tick.fires_us) / 1000)
        return True

    def _trouble(self, what: str, error: BaseException) -> None:
        self.troubled = True
        self._say(f"{what}: {told(error)}")

    def _say(self, text: str) -> None:
        """Once, until it is mended."""
        if text not in self._troubles:
            self._troubles.add(text)
            self._ear.noted(text)

    def _mended(self, what: str) -> None:
        self._troubles = {each for each in self._troubles if not each.startswith(what)}

    def _save_soon(self) -> None:
        self._save_at_s = min(self._save_at_s, self._clock.monotonic_s() + SAVE_S)

    def _adapt(self, now_us: int) -> None:
        """Change the speeds that are to change, and say so first."""
        schedules, known, adaptive = self._timetable.schedules, self._recollection, self._adaptive
        if not adaptive and all(each.speed == 1.0 for each in known.state.values()):
            return
        changes, conditions = adapt(
            self._timetable.adaptive,
            schedules,
            known.state,
            known.conditions,
            self._gauge.read(self._clock.monotonic_s()),
            self._backlogs(adaptive),
            now_us,
        )
        for change in changes:
            if not self._tell(memory.ADAPTED, **change.data()):
                return
            name, reason = change.schedule, "" if change.speed == 1.0 else change.reason
            known.put(
                schedules[name],
                kernel.with_speed(schedules[name], known.state[name], change.speed, reason, now_us),
            )
            # Who waits for its ticks reads there for how long.
            self._save_at_s = 0.0
        known.conditions = conditions

    def _backlogs(self, names: Sequence[str], ticks: int = 0) -> dict[str, dict[str, int]]:
        """How many of so many last ticks of these (0: of all that are looked at) each handler has
        not settled."""
        last = {name: places for name in names if (places := self._recollection.last.get(name))}
        if not last:
            return {}
        try:
            self._work.look()
        except (HooklineError, OSError) as error:
            self._trouble(_UNREAD, error)
            return {}
        schedules = self._timetable.schedules
        return {
            name: self._work.unsettled(schedules[name].event, places[-ticks:])
            for name, places in last.items()
        }

    def _busy(self, due: Sequence[str]) -> set[str]:
        """Which of those that are due have a last tick that is still being handled."""
        minding = [name for name in due if self._minds(name)]
        found = self._backlogs(minding, 1)
        return {name for name, counts in found.items() if any(counts.values())}

    def _hear_successes(self, now_us: int) -> None:
        """Read on in the journal, if a silence of handlers would be over now."""
        schedules = self._timetable.schedules
        if not any(
            schedules[name].watches_handler and each.is_due(now_us)
            for name, each in self.state.items()
            if name in schedules
        ):
            return
        try:
            for handler, at_us in self._successes.news():
                self._recollection.succeeded(handler, min(at_us, now_us))
        except (HooklineError, OSError) as error:
            self._trouble(_UNREAD, error)

    def _paused(self) -> set[str]:
        return {name for name, each in self.state.items() if each.paused}

    def _minds(self, name: str) -> bool:
        schedule = self._timetable.schedules.get(name)
        return schedule is not None and schedule.overlap != "allow"

    def _reload(self) -> None:
        self._reload_at_s = _NEVER_S
        try:
            timetable = self._read()
            if self._is_gone(timetable):
                raise BadConfig(_GONE)
        except HooklineError as error:
            if is_shortage(error):
                self._reload_at_s = self._clock.monotonic_s() + AGAIN_S
            if str(error) != self._rejected:
                self._rejected = str(error)
                self._tell("config.rejected", file=_FILE, error=str(error))
                self._ear.noted(f"{error}; what was configured before stays")
            return
        self._rejected = ""
        if timetable.is_same_as(self._timetable):
            return
        self.save()
        self._timetable = timetable
        self._recollection.plan(timetable)
        self._adaptive = _adaptive(timetable)
        positions = self._follower.positions
        self._follower.close()
        self._follower, self._save_at_s = self._follow(positions), 0.0
        self._tell("config.reloaded", file=_FILE)

    def _is_gone(self, timetable: Timetable) -> bool:
        """Whether there is no configuration at all, as git does it for a moment."""
        return not (timetable.schedules or (self._home.root / _FILE).exists())

    def _tell(self, type: str, **data: object) -> bool:
        """Append an event about the scheduler itself; whether that was possible."""
        try:
            self._log.append(type, source=SOURCE, data=data)
        except (HooklineError, OSError) as error:
            self._trouble(_UNTOLD, error)
            return False
        return True

    def _follow(self, start: dict[str, Position]) -> Follower:
        query = Query(pattern="*")
        only = memory.domains_of(self._timetable)
        return Follower(
            self._home, query, self._replaced, start=start, only=only, clock=self._clock
        )

    def _replaced(self, trouble: LogReplaced) -> None:
        self._ear.noted(str(trouble))
        # Where the last ticks lay, there may be other events now, or none.
        self._recollection.last.clear()

    def _saved(self) -> Saved:
        only = memory.domains_of(self._timetable)
        return Saved(
            schedules=self.state,
            positions=dict.fromkeys(only or (), BEGINNING) | self._follower.positions,
            everything=only is None,
            last=self._recollection.last,
            conditions=self._recollection.conditions,
            journal=self._successes.position,
        )

    def _pause_s(self) -> float:
        now_s = self._clock.monotonic_s()
        ends_s = [self._reload_at_s, self._notifier.turn(now_s)]
        pauses = [self._follower.pause_s()]
        if self._again_s > now_s:
            ends_s.append(self._again_s)
        else:
            ends_s += [self._save_at_s, self._adapt_at_s if self._adaptive else _NEVER_S]
            if self._due_us is not None:
                pauses.append((self._due_us - microseconds(self._clock.now())) / SECOND_US)
        return max(0.0, min(*pauses, min(ends_s) - now_s))

    def _wait(self, pause_s: float) -> None:
        """Until something may be to do."""
        if self._waiting and self._changes is None:
            # First the watch, then the look.
            self._changes = Watch([self._home.coordination])
            return
        if not self._waiting and self._changes is not None:
            self._changes.close()
            self._changes = None
        fds = [
            each.fd for each in (self._follower, self._watch, self._changes, self._alarm) if each
        ]
        poll = select.poll()
        for fd in [*fds, *([self._wake] if self._wake >= 0 else [])]:
            poll.register(fd, select.POLLIN)
        # poll counts in milliseconds, and not while the machine is suspended.
        is_put_off = self._again_s > self._clock.monotonic_s()
        if self._alarm.set(None if is_put_off else self._due_us) and not self._stopping:
            poll.poll(math.ceil(pause_s * 1000))
        if self._changes is not None:
            self._changes.read()


def _adaptive(timetable: Timetable) -> list[str]:
    return [name for name, schedule in timetable.schedules.items() if schedule.adaptive]
