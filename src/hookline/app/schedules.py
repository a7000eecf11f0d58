"""The schedules of a home, and its scheduler put together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

from hookline.app.config import load_config, load_schedule_tables
from hookline.app.environment import passed_environment
from hookline.dispatch.handlers import Handler, discover
from hookline.dispatch.python_runner import describe
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import Query, select, select_last
from hookline.model import ids
from hookline.model.clock import SystemClock, nanoseconds
from hookline.model.errors import BadConfig, BadData, HooklineError, shown
from hookline.model.event import Event
from hookline.model.types import domain_of
from hookline.schedule import memory
from hookline.schedule.drift import Drift, drifts, simulate
from hookline.schedule.kernel import Memory, State, Tick
from hookline.schedule.memory import PAUSED, RESUMED
from hookline.schedule.overdue import overdue_ticks
from hookline.schedule.recurrence import microseconds
from hookline.schedule.runs import last_done_us, last_runs
from hookline.schedule.schedule import Schedule
from hookline.schedule.scheduler import Ear, Scheduler
from hookline.schedule.table import LAYER_EVENT, Timetable, schedules_of
from hookline.schedule.tick import MANUAL, SOURCE, Proof, fields_of, proof_of

_STARTS: Final = 1000
"""In so many ticks of layers it is looked whether one is there already."""


def load_timetable(home: Home) -> Timetable:
    """What `schedules.toml` means; nothing where there is none. Raises BadConfig, naming the
    key."""
    written = load_schedule_tables(home)
    try:
        return Timetable(schedules_of(written.schedule), written.adaptive)
    except BadData as wrong:
        path = home.config / "schedules.toml"
        raise BadConfig(f"{path}: {wrong}: mend it there; hookline doctor checks it") from wrong


def load_schedules(home: Home) -> dict[str, Schedule]:
    """The schedules of `load_timetable`."""
    return load_timetable(home).schedules


def the_schedule(home: Home, name: str) -> Schedule:
    """One of them. Raises BadData."""
    schedules = load_schedules(home)
    if name not in schedules:
        there = ", ".join(sorted(schedules)) or "none"
        raise BadData(f"no schedule {shown(name)} in {home.config / 'schedules.toml'}: {there}")
    return schedules[name]


def scheduler(home: Home, ear: Ear) -> Scheduler:
    """The home's scheduler, ready to run.

    Raises TryAgain when another one runs, BadConfig when the configuration is wrong.
    """
    return Scheduler(
        home,
        read=lambda: load_timetable(home),
        handlers=KnownHandlers(home),
        clock=SystemClock(),
        ear=ear,
    )


def overdue_layers(
    home: Home, schedules: Mapping[str, Schedule], state: State, now_us: int
) -> list[Tick]:
    """The ticks of layers that have not run for too long, as the log says; not those that it has
    from an earlier start."""
    layers = {schedule.layer for schedule in schedules.values() if schedule.layer}
    if not layers:
        return []
    ticks = overdue_ticks(
        schedules, state, last_runs(home, layers), last_done_us(home, layers), now_us
    )
    told = select_last(home, Query(pattern=LAYER_EVENT), _STARTS, lambda _: None)
    ids_told = {found.record.event.id for found in told if found.record.event is not None}
    return [tick for tick in ticks if tick.id not in ids_told]


class KnownHandlers:
    """The handlers that there are; only those that have changed since are read again."""

    def __init__(self, home: Home) -> None:
        config = load_config(home)
        self._folder = home.handlers
        self._describe = partial(describe, passed=passed_environment(config))
        self._cortex = config.is_cortex
        self._known: Sequence[Handler] = ()

    def __call__(self) -> Sequence[Handler]:
        """Those of now; those of before where they cannot be looked at."""
        with suppress(HooklineError, OSError):
            found = discover(self._folder, self._describe, self._known, cortex=self._cortex)
            self._known = found.handlers
        return self._known


def trigger(home: Home, name: str) -> Event:
    """Append a tick now, whatever the schedule says. Raises BadData."""
    schedule = the_schedule(home, name)
    now = SystemClock().now()
    now_us = microseconds(now)
    speed = remembered(home, load_timetable(home))[name].speed
    tick = Tick(
        schedule=name, nominal_us=now_us, fires_us=now_us, reason=MANUAL, speed=speed,
        own_id=ids.uuid7(nanoseconds(now)),
    )  # fmt: skip
    return Log(home).append_fields(fields_of(schedule, tick, now_us))


def set_paused(home: Home, name: str, *, paused: bool, reason: str = "") -> Event:
    """Ask whoever schedules to pause or to resume one. Raises BadData."""
    the_schedule(home, name)
    data = {"schedule": name, **({"reason": reason} if reason else {})}
    return Log(home).append(PAUSED if paused else RESUMED, source=SOURCE, data=data)


def remembered(home: Home, timetable: Timetable) -> dict[str, Memory]:
    """What is remembered of the schedules now, from what was saved and the logs."""
    return memory.look(home, timetable, microseconds(SystemClock().now()))


def told(home: Home, schedules: Mapping[str, Schedule], since: str | None) -> list[Drift]:
    """How late the ticks of these in the logs were, from a time on."""
    return drifts(schedules, _proofs(home, schedules, since))


def _proofs(home: Home, schedules: Mapping[str, Schedule], since: str | None) -> Iterator[Proof]:
    for domain in sorted({domain_of(schedule.event) for schedule in schedules.values()}):
        query = Query(pattern=f"{domain}.*", since=since)
        for found in select(home, query, lambda _: None):
            event = found.record.event
            told = None if event is None else proof_of(event)
            schedule = schedules.get(told.schedule) if told else None
            if told and event and schedule and event.type == schedule.event:
                yield told


def simulated(schedules: Mapping[str, Schedule], span_us: int) -> list[Drift]:
    """The same of a run in virtual time, in which each turn comes a random while too late."""
    start_us = microseconds(SystemClock().now())
    return drifts(schedules, simulate(schedules, start_us, start_us + span_us, Random()))  # noqa: S311  # delays
