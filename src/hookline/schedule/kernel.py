"""The scheduler's decisions: what is due, given what is remembered. Pure.

`due(schedules, state, now)` gives the ticks and the next state; nothing else moves time on. What
the log says besides (ticks that were appended just before a crash, pauses, events that count)
comes in through `recall`, `pause`, `resume`, `heard` and `with_speed`.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Final, NamedTuple

import msgspec

from hookline.schedule.recurrence import DAY_US, SECOND_US, Asked, Lapse, Recurrence
from hookline.schedule.schedule import Schedule

GRACE_US: Final = 60 * SECOND_US
MADE_UP_US: Final = 31 * DAY_US
"""Of so long a time `catch_up = "all"` makes each its tick; a clock that begins in 1970 and is then
set would else have it make millions."""
AT_ONCE_MAX: Final = 1000
"""How many ticks of one schedule are due in one go; what is left is due at once after that."""
CATCH_UP: Final = "catch-up"
_replace = msgspec.structs.replace


_Moment = Annotated[int, msgspec.Meta(ge=0, le=250_000_000_000_000_000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of one schedule. Moments are microseconds since 1970."""

    when: str
    """How its recurrence was written when this began."""
    since_us: _Moment
    """The nominal times up to this one are decided."""
    nominal_us: _Moment | None = None
    """The next one; None: there is none, or none yet."""
    fires_us: _Moment | None = None
    """When that is due, with stagger and jitter."""
    aim: tuple[int, int, int | None] = (0, 0, None)
    """What else was said when that was reckoned: `Schedule.aim`."""
    era: _Count = 0
    """How often the clock was set back so far that nominal times come again."""
    missed: _Count = 0
    """How many nominal times were given up since the last tick."""
    seen: _Count = 0
    """How many events have come since then that count."""
    speed: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 1.0
    """2.0 is twice as often; 0.0: it stands still."""
    speed_reason: str = ""
    paused: bool = False
    pause_reason: str = ""
    deferred: bool = False
    """Whether something came due while nothing was to fire."""

    def is_due(self, now_us: int) -> bool:
        """Whether something of it is to fire now, if nothing else is in the way."""
        return self.fires_us is not None and self.fires_us <= now_us and not self.paused


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that is due."""

    schedule: str
    nominal_us: int
    fires_us: int
    reason: str
    """`time`, `count`, `catch-up` or `maintenance is over`."""
    coalesced: int = 0
    """How many misfires it stands for besides its own time."""
    missed: int = 0
    era: int = 0
    speed: float = 1.0
    speed_reason: str = ""
    own_id: str = ""
    """For a tick that is not that of a nominal time."""

    @property
    def id(self) -> str:
        """See `tick_id`: reckoned when it is asked for."""
        return self.own_id or tick_id(self.schedule, self.nominal_us, self.era)


State = Mapping[str, Memory]
"""What is remembered, by the names of the schedules."""


class _Time(NamedTuple):
    nominal_us: int
    fires_us: int
    """When it is due."""


class _Due(NamedTuple):
    """Which of a schedule's nominal times are due, and what is to become of them."""

    fires: list[_Time]
    coalesced: int
    """How many misfires the first of them stands for besides."""
    lost: int
    """How many misfires are given up."""
    last_us: int
    """The last nominal time that is decided with this."""
    next: _Time | None


def due(
    schedules: Mapping[str, Schedule],
    state: State,
    now_us: int,
    *,
    busy: Collection[str] = (),
    deferring: bool = False,
) -> tuple[list[Tick], dict[str, Memory]]:
    """The ticks that are due now, in the order in which they were, and what is remembered then.

    `busy`: the schedules whose last tick is still being handled. `deferring`: nothing fires now,
    and what comes due meanwhile fires once it is over. A schedule that is new begins now: it
    catches up with nothing from before; one that is gone is forgotten.
    """
    ticks: list[Tick] = []
    after: dict[str, Memory] = {}
    for name, schedule in schedules.items():
        memory = remembered(schedule, state.get(name), now_us)
        if memory.is_due(now_us):
            fires, memory = decide(schedule, memory, now_us, busy=name in busy, deferring=deferring)
            ticks += fires
        after[name] = memory
    ticks.sort(key=_order)
    return ticks, after


def next_us(state: State, busy: Collection[str] = ()) -> int | None:
    """When something is due next, None when that is not a matter of time."""
    return min(
        (
            each.fires_us
            for name, each in state.items()
            if each.fires_us is not None and not each.paused and name not in busy
        ),
        default=None,
    )


def remembered(schedule: Schedule, memory: Memory | None, now_us: int) -> Memory:
    """What is remembered of a schedule, made to fit what it says now and the clock."""
    when = str(schedule.when)
    if memory is None:
        return aimed(schedule, Memory(when=when, since_us=now_us))
    if memory.when != when:
        # Of other nominal times: those before now were never its own.
        memory = _replace(memory, when=when, nominal_us=None, seen=0, deferred=False)
        return aimed(schedule, _replace(memory, since_us=now_us))
    if now_us < memory.since_us - schedule.when.rewind_us:
        # What was due and had to wait comes again, too.
        memory = _replace(memory, since_us=now_us, era=memory.era + 1, deferred=False)
        return aimed(schedule, memory)
    if memory.aim != schedule.aim:
        if memory.nominal_us is None:
            # It may have been over, and what came meanwhile was not its own.
            return aimed(schedule, _replace(memory, since_us=max(memory.since_us, now_us)))
        return _aimed_at(schedule, memory, memory.nominal_us)
    if schedule.after and memory.nominal_us is not None and memory.nominal_us > now_us:
        # The last event that counted claims to be of a time that is still to come.
        return _aimed_at(schedule, memory, max(now_us, memory.since_us + 1))
    return memory


def decide(
    schedule: Schedule, memory: Memory, now_us: int, *, busy: bool, deferring: bool
) -> tuple[list[Tick], Memory]:
    """The ticks of one schedule of which something is due, and what is remembered then."""
    if deferring:
        return [], _replace(memory, deferred=True)
    skips = busy and schedule.overlap == "skip"
    if busy and (schedule.overlap == "queue" or (skips and memory.deferred)):
        # What maintenance has put off is not given up after it.
        return [], memory
    found = _due_times(schedule, memory, now_us)
    if skips:
        found = found._replace(
            fires=[], coalesced=0, lost=found.lost + found.coalesced + len(found.fires)
        )
    ticks: list[Tick] = []
    missed = memory.missed + found.lost
    for place, each in enumerate(found.fires):
        tick = Tick(
            schedule=schedule.name,
            nominal_us=each.nominal_us,
            fires_us=each.fires_us,
            reason=_reason(schedule, memory, found, place, now_us),
            coalesced=0 if place else found.coalesced,
            missed=missed,
            era=memory.era,
            speed=memory.speed,
            speed_reason=memory.speed_reason,
        )
        ticks.append(tick)
        missed = 0
    memory = _replace(
        memory,
        since_us=found.last_us,
        nominal_us=found.next[0] if found.next else None,
        fires_us=found.next[1] if found.next else None,
        missed=missed,
        seen=0,
        deferred=False,
    )
    return ticks, memory


def _reason(schedule: Schedule, memory: Memory, found: _Due, place: int, now_us: int) -> str:
    if memory.deferred:
        return "maintenance is over"
    is_late = now_us - found.fires[place].fires_us > _grace_us(schedule)
    # Without a grace of its own, all but the last are late as soon as the next one is due.
    is_followed = schedule.grace_us is None and place < len(found.fires) - 1
    if is_late or is_followed or (found.coalesced and not place):
        return CATCH_UP
    return "count" if schedule.after else "time"


def _due_times(schedule: Schedule, memory: Memory, now_us: int) -> _Due:
    only_last = memory.deferred or (schedule.grace_us is None and schedule.catch_up != "all")
    gives_up = schedule.catch_up == "none" and not memory.deferred
    late_us = MADE_UP_US if schedule.catch_up == "all" else _grace_us(schedule)
    late, fires, last, later = _split(schedule, memory, now_us, 0 if only_last else late_us)
    if only_last:
        # A misfire is what has something later due behind it. The last is one when it is old.
        late += len(fires) - 1
        is_old = gives_up and now_us - last.fires_us > late_us
        late, fires = (late + 1, []) if is_old else (late, [last])
    elif not fires and not gives_up:
        late, fires = late - 1, [last]
    return _Due(fires, 0 if gives_up else late, late if gives_up else 0, last.nominal_us, later)


def _split(
    schedule: Schedule, memory: Memory, now_us: int, late_us: int
) -> tuple[int, list[_Time], _Time, _Time | None]:
    """How many nominal times are due and later than that, the others that are due, the last of them
    all, and the next one."""
    assert memory.nominal_us is not None  # something is due
    assert memory.fires_us is not None
    recurrence = pace(schedule, memory)
    last = _Time(memory.nominal_us, memory.fires_us)
    following = _aim(schedule, recurrence, recurrence.after(last.nominal_us))
    if following is None or following.fires_us > now_us:
        is_late = now_us - last.fires_us > late_us
        return int(is_late), [] if is_late else [last], last, following
    late, others = 0, list[_Time]()
    following = last
    # Later than that whatever their jitter is: counted, and not looked at one by one.
    old_us = now_us - late_us - schedule.offset_us - schedule.jitter_us - 1
    if schedule.expires_us is not None:
        old_us = min(old_us, schedule.expires_us - 1)
    if last.nominal_us <= old_us:
        late, last_us = recurrence.span(last.nominal_us, old_us)
        last = _Time(last_us, fires_at(schedule, recurrence, last_us))
        following = _aim(schedule, recurrence, recurrence.after(last_us))
    while following is not None and following.fires_us <= now_us and len(others) < AT_ONCE_MAX:
        last = following
        if now_us - last.fires_us > late_us:
            late += 1
        else:
            others.append(last)
        following = _aim(schedule, recurrence, recurrence.after(last.nominal_us))
    return late, others, last, following


def _grace_us(schedule: Schedule) -> int:
    return GRACE_US if schedule.grace_us is None else schedule.grace_us


def pace(schedule: Schedule, memory: Memory) -> Recurrence:
    """The recurrence at the speed that is remembered.

    At another speed than 1 each nominal time is counted from the one before, which is exact too;
    back at 1 it is on the clock's grid again.
    """
    if memory.speed == 1.0 or schedule.interval_us is None:
        return schedule.when
    if not memory.speed:
        return Asked("stands still")
    return Lapse(max(1, round(schedule.interval_us / memory.speed)), "at another speed")


def aimed(schedule: Schedule, memory: Memory) -> Memory:
    """The same with the next nominal time, and when it is due."""
    if not schedule.is_asked:
        return _aimed_at(schedule, memory, pace(schedule, memory).after(memory.since_us))
    if memory.nominal_us is not None and memory.nominal_us > memory.since_us:
        return _aimed_at(schedule, memory, memory.nominal_us)
    return _aimed_at(schedule, memory, None)


def _aimed_at(schedule: Schedule, memory: Memory, nominal_us: int | None) -> Memory:
    found = _aim(schedule, pace(schedule, memory), nominal_us)
    nominal_us, fires_us = (None, None) if found is None else found
    return _replace(memory, nominal_us=nominal_us, fires_us=fires_us, aim=schedule.aim)


def _aim(schedule: Schedule, recurrence: Recurrence, nominal_us: int | None) -> _Time | None:
    """That nominal time, if there is one before the schedule ends."""
    if nominal_us is None or (
        schedule.expires_us is not None and nominal_us >= schedule.expires_us
    ):
        return None
    return _Time(nominal_us, fires_at(schedule, recurrence, nominal_us))


def fires_at(schedule: Schedule, recurrence: Recurrence, nominal_us: int) -> int:
    """When a tick is due: its nominal time, its schedule's part of the stagger, its own jitter.

    Before the next nominal time, however long the jitter may be: ticks are due in their order.
    """
    most_us = schedule.jitter_us
    if not most_us:
        return nominal_us + schedule.offset_us
    next_us = recurrence.after(nominal_us)
    if next_us is not None:
        most_us = min(most_us, next_us - nominal_us - 1)
    drawn = int.from_bytes(_hash(f"{schedule.name}\n{nominal_us}")[:8], "big")
    return nominal_us + schedule.offset_us + drawn % (most_us + 1)


def tick_id(name: str, nominal_us: int, era: int = 0) -> str:
    """The id of a tick: whoever finds the schedule due again at that nominal time makes the same.

    A UUIDv8 (RFC 9562) that begins with the nominal millisecond, as a UUIDv7 does.
    """
    digest = _hash(f"{name}\n{nominal_us}\n{era}").hex()
    begin = f"{(nominal_us // 1000) & 0xFFFF_FFFF_FFFF:012x}"
    return f"{begin[:8]}-{begin[8:]}-8{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _order(tick: Tick) -> tuple[int, str]:
    return tick.fires_us, tick.schedule


def recall(schedule: Schedule, memory: Memory, nominal_us: int, era: int = 0) -> Memory:
    """What is remembered once a tick of that nominal time is known to lie in the log."""
    if (era, nominal_us) <= (memory.era, memory.since_us):
        return memory
    memory = _replace(memory, since_us=nominal_us, era=era, missed=0, seen=0, deferred=False)
    return aimed(schedule, memory)


def pause(memory: Memory, reason: str = "") -> Memory:
    """Nothing of it fires until it is resumed."""
    return _replace(memory, paused=True, pause_reason=reason)


def resume(schedule: Schedule, memory: Memory, at_us: int) -> Memory:
    """It goes on; what came due while it was paused is not made up for."""
    if not memory.paused:
        return memory
    since_us = max(memory.since_us, at_us)
    memory = _replace(memory, paused=False, pause_reason="", since_us=since_us, deferred=False)
    return aimed(schedule, memory)


def heard(schedule: Schedule, memory: Memory, at_us: int) -> Memory:
    """An event of those that it counts, or whose silence it watches, has come at that time."""
    if not schedule.after:
        since_us = max(memory.since_us, at_us)
        return aimed(schedule, _replace(memory, since_us=since_us, deferred=False))
    memory = _replace(memory, seen=memory.seen + 1)
    if memory.seen < schedule.after or memory.nominal_us is not None:
        return memory
    return _aimed_at(schedule, memory, max(at_us, memory.since_us + 1))


def named(schedule: Schedule, memory: Memory, moment_us: int, at_us: int) -> Memory:
    """An event of that time has named the moment at which it is due next; one that was over by then
    is due at once."""
    nominal_us = max(moment_us, at_us)
    return memory if nominal_us <= memory.since_us else _aimed_at(schedule, memory, nominal_us)


def asked(schedule: Schedule, memory: Memory) -> Memory:
    """Somebody has made a tick of it: what counts, counts from then on."""
    return _aimed_at(schedule, _replace(memory, seen=0), None) if schedule.after else memory


def with_speed(schedule: Schedule, memory: Memory, speed: float, reason: str, at_us: int) -> Memory:
    """The next tick comes sooner or later from that moment on; at speed 0.0 it does not come.

    What is due by then stays due; times that the new speed would have had before are not made up.
    """
    memory = _replace(memory, speed=speed, speed_reason=reason)
    if memory.nominal_us is not None and memory.nominal_us <= at_us:
        return memory
    recurrence = pace(schedule, memory)
    nominal_us = recurrence.after(memory.since_us)
    if nominal_us is not None and nominal_us < at_us:
        nominal_us = at_us if recurrence is not schedule.when else recurrence.after(at_us - 1)
    return _aimed_at(schedule, memory, nominal_us)
