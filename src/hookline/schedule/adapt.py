"""At which speed adaptive schedules go: by what was heard, by the machine, by their backlog. Pure.

`hear` keeps what events say, `adapt` gives the changes that are due. A speed goes down at once; up,
or to another cause, only `hold` after the last change. The slowest of several slow-downs counts;
only without any does a speed-up, and then the fastest.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from hookline.model.clock import rfc3339
from hookline.schedule.adaptive import Adaptive, Response, Threshold
from hookline.schedule.kernel import State
from hookline.schedule.machine import Machine
from hookline.schedule.recurrence import SECOND_US, utc_time
from hookline.schedule.schedule import Schedule

STEP: Final = 1.2
"""A speed that differs by less than this factor is not worth a change, unless it is 1 or 0."""
DARES_AFTER: Final = 10
"""So many intervals a schedule at half its speed goes without a backlog before the whole is tried
again; at a quarter, half as many before the half is, and so on."""
LOAD: Final = "high load"
MEMORY: Final = "little memory"
BACKLOG: Final = "backlog"
_replace = msgspec.structs.replace

Backlogs = Mapping[str, Mapping[str, int]]
"""By schedule, by handler: how many of its ticks that handler has not settled. One that is paused
is left out: it would hold up the others for ever."""


class Heard(msgspec.Struct, frozen=True):
    """Events of one type. Moments are microseconds since 1970."""

    since_us: int
    """When the first of them came, of those without a break in between."""
    last_us: dict[str, int]
    """When the last one came, by severity; "" for one without."""


class Adapted(msgspec.Struct, frozen=True):
    """The last change of a schedule's speed."""

    at_us: int
    cause: str
    """The type of an event, `LOAD`, `MEMORY`, `BACKLOG`; "" when it is back to normal."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered besides the speeds themselves."""

    heard: dict[str, Heard] = {}
    """By event type, while it is in force."""
    loaded: bool = False
    short: bool = False
    """Of memory."""
    backlogged: dict[str, int] = {}
    """By schedule: how often its speed is halved for its backlog; once more: it stands still."""
    adapted: dict[str, Adapted] = {}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that is to go at another speed, or for another reason."""

    schedule: str
    before: float
    speed: float
    cause: str
    """See `Adapted`."""
    reason: str

    def data(self) -> dict[str, object]:
        """What `schedule.adapted` says of it."""
        return {
            "schedule": self.schedule,
            "from": self.before,
            "to": self.speed,
            "cause": self.cause,
            "reason": self.reason,
        }


class _Wish(NamedTuple):
    speed: float
    cause: str
    reason: str


def hear(
    config: Adaptive, conditions: Conditions, type: str, data: object, at_us: int
) -> Conditions:
    """What is in force once an event has come; those of `config.types` are the ones that matter."""
    heard = {
        each: known
        for each, known in conditions.heard.items()
        if each not in config.on or type not in config.on[each].until
    }
    response = config.on.get(type)
    if response is not None:
        severity = data.get("severity", "") if isinstance(data, Mapping) else ""
        level = severity if isinstance(severity, str) and severity in response.severity else ""
        known = heard.get(type)
        if known is None or _speed(response, known, at_us) is None:
            known = Heard(at_us, {})
        last_us = max(at_us, known.last_us.get(level, at_us))
        heard[type] = Heard(known.since_us, {**known.last_us, level: last_us})
    return _replace(conditions, heard=heard)


def recall(conditions: Conditions, schedule: str, cause: str, at_us: int) -> Conditions:
    """What is remembered once a change is known to lie in the log."""
    adapted = {**conditions.adapted, schedule: Adapted(at_us, cause)}
    return _replace(conditions, adapted=adapted)


def adapt(
    config: Adaptive,
    schedules: Mapping[str, Schedule],
    state: State,
    conditions: Conditions,
    machine: Machine,
    backlogs: Backlogs,
    now_us: int,
) -> tuple[list[Change], Conditions]:
    """The changes that are due now, and what is remembered once they are made (`with_speed`)."""
    conditions = _settled(config, schedules, conditions, machine, backlogs, now_us)
    common, hold_us = _common_wishes(config, conditions, machine, now_us), config.hold_us
    changes = []
    for name, schedule in schedules.items():
        if name not in state:
            continue
        speed = state[name].speed
        if not schedule.adaptive:
            if speed != 1.0:
                changes.append(_change(name, speed, _Wish(1.0, "", "it is not adaptive any more")))
            continue
        wishes = [wish for wish, response in common if not response or response.concerns(schedule)]
        if name in conditions.backlogged:
            halved = conditions.backlogged[name]
            wishes.append(_backlog_wish(config, halved, backlogs.get(name, {})))
        last = conditions.adapted.get(name, Adapted(0, ""))
        wish = _chosen(config, wishes, last.cause)
        held = now_us - last.at_us < hold_us
        matters = _matters(speed, wish.speed)
        if (matters and wish.speed < speed) or (not held and (matters or wish.cause != last.cause)):
            changes.append(_change(name, speed, wish))
    made = {each.schedule: Adapted(now_us, each.cause) for each in changes}
    return changes, _replace(conditions, adapted={**conditions.adapted, **made})


def _change(name: str, before: float, wish: _Wish) -> Change:
    return Change(
        schedule=name, before=before, speed=wish.speed, cause=wish.cause, reason=wish.reason
    )


def _matters(before: float, after: float) -> bool:
    if before == after:
        return False
    return 0.0 in (before, after) or after == 1.0 or max(before / after, after / before) >= STEP


def _chosen(config: Adaptive, wishes: list[_Wish], cause: str) -> _Wish:
    """The wish that counts, within the bounds. Of equals, the one that counts already."""
    bounded = [
        each._replace(speed=each.speed and min(max(each.speed, config.speed_min), config.speed_max))
        for each in wishes
    ]
    slow = [each for each in bounded if each.speed < 1]
    fast = [each for each in bounded if each.speed > 1]
    if slow:
        return min(slow, key=lambda each: (each.speed, each.cause != cause, each.cause))
    if fast:
        return min(fast, key=lambda each: (-each.speed, each.cause != cause, each.cause))
    return _Wish(1.0, "", f"{cause} is over" if cause else "nothing speaks against it")


def _common_wishes(
    config: Adaptive, conditions: Conditions, machine: Machine, now_us: int
) -> list[tuple[_Wish, Response | None]]:
    """What does not depend on the schedule, each with what says which schedules it concerns."""
    wishes: list[tuple[_Wish, Response | None]] = []
    for type, heard in conditions.heard.items():
        response = config.on[type]
        speed = _speed(response, heard, now_us)
        if speed is not None:
            wishes.append((_Wish(speed, type, _reason(type, heard, response)), response))
    if conditions.loaded and machine.load is not None:
        reason = f"load {machine.load:.1f} on {_counted(machine.processors, 'processor')}"
        wishes.append((_Wish(config.load.speed, LOAD, reason), None))
    if conditions.short and machine.memory_used is not None:
        reason = f"{machine.memory_used:.0%} of the memory is in use"
        wishes.append((_Wish(config.memory.speed, MEMORY, reason), None))
    return wishes


def _backlog_wish(config: Adaptive, halved: int, backlog: Mapping[str, int]) -> _Wish:
    count, handler = _most(backlog)
    speed = 0.5**halved if halved <= _halvings_max(config) else 0.0
    ticks = _counted(count, "tick")
    if count > config.backlog.normal_at:
        reason = f"{ticks} wait{'s' if count == 1 else ''} for {handler}"
    else:
        reason = f"the backlog is down to {ticks}"
    return _Wish(speed, BACKLOG, reason)


def _reason(type: str, heard: Heard, response: Response) -> str:
    ends = [f"{response.for_} without another"] if response.for_ else []
    ends += response.until
    since = rfc3339(utc_time(heard.since_us // SECOND_US * SECOND_US)).replace(".000000", "")
    return f"{type} since {since} until {' or '.join(ends)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _most(backlog: Mapping[str, int]) -> tuple[int, str]:
    """The longest backlog, and of which handler."""
    return max(((count, handler) for handler, count in backlog.items()), default=(0, ""))


def _halvings_max(config: Adaptive) -> int:
    """So many take the speed to its least."""
    return math.ceil(-math.log2(config.speed_min))


def _settled(
    config: Adaptive,
    schedules: Mapping[str, Schedule],
    conditions: Conditions,
    machine: Machine,
    backlogs: Backlogs,
    now_us: int,
) -> Conditions:
    """The conditions as they are now: what is over is forgotten, what is still to come is now."""
    heard = {
        type: Heard(
            min(each.since_us, now_us), {key: min(at, now_us) for key, at in each.last_us.items()}
        )
        for type, each in conditions.heard.items()
        if type in config.on and _speed(config.on[type], each, now_us) is not None
    }
    adapted = {
        name: Adapted(min(each.at_us, now_us), each.cause)
        for name, each in conditions.adapted.items()
        if name in schedules
    }
    conditions = _replace(conditions, heard=heard, adapted=adapted)
    load = None if machine.load is None else machine.load / machine.processors
    return _replace(
        conditions,
        loaded=_is_over(config.load, load, conditions.loaded),
        short=_is_over(config.memory, machine.memory_used, conditions.short),
        backlogged=dict(_backlogged(config, schedules, conditions, backlogs, now_us)),
    )


def _is_over(threshold: Threshold, measure: float | None, before: bool) -> bool:
    if measure is None:
        return False
    return measure > threshold.normal_at if before else measure >= threshold.slow_at


def _backlogged(
    config: Adaptive,
    schedules: Mapping[str, Schedule],
    conditions: Conditions,
    backlogs: Backlogs,
    now_us: int,
) -> Iterator[tuple[str, int]]:
    halvings_max, hold_us = _halvings_max(config), config.hold_us
    for name, schedule in schedules.items():
        count, _ = _most(backlogs.get(name, {}))
        halved = conditions.backlogged.get(name, 0)
        if count >= config.backlog.stop_at:
            halved = halvings_max + 1
        elif count >= config.backlog.slow_at:
            halved = max(halved, min(count // config.backlog.slow_at, halvings_max))
        elif halved and count <= config.backlog.normal_at:
            last = conditions.adapted.get(name, Adapted(0, ""))
            wait_us = max(hold_us, DARES_AFTER * (schedule.interval_us or 0) >> (halved - 1))
            if now_us - last.at_us >= wait_us:
                halved = min(halved, halvings_max + 1) - 1
        if halved:
            yield name, halved


def _speed(response: Response, heard: Heard, now_us: int) -> float | None:
    """The speed that a response has by now; None: it is over.

    Its severities are a ladder: each that is quiet for `for` makes room for the next milder one.
    """
    last_us: dict[float, int] = {}
    for severity, speed in {"": response.speed, **response.severity}.items():
        if severity in heard.last_us:
            last_us[speed] = max(heard.last_us[severity], last_us.get(speed, 0))
    speeds = sorted({response.speed, *response.severity.values()}, key=_strength)
    end_us = None
    for speed in speeds:
        begin_us = max(
            (each for each in (last_us.get(speed), end_us) if each is not None), default=None
        )
        if begin_us is None:
            continue
        if response.span_us is None or now_us < begin_us + response.span_us:
            return speed
        end_us = begin_us + response.span_us
    return None


def _strength(speed: float) -> float:
    """Less is stronger: how far from 1 a speed is, either way."""
    return speed if speed <= 1 else 1 / speed
