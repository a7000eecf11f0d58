"""Layers of a home: run one, and what there is to know about all of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from hookline.app.config import load_config
from hookline.app.environment import passed_environment
from hookline.app.event_file import read_event_file
from hookline.app.log import Log
from hookline.app.schedules import load_timetable, remembered
from hookline.dispatch.environment import MARK
from hookline.log.home import Home
from hookline.model.clock import Clock, parse_rfc3339, rfc3339
from hookline.schedule.kernel import Memory
from hookline.schedule.layer import Layer
from hookline.schedule.layer_run import LayerRunner, Occasion
from hookline.schedule.layers import load_layers
from hookline.schedule.recurrence import local_time
from hookline.schedule.runs import Run, Tick, Trigger, last_runs
from hookline.schedule.schedule import Schedule
from hookline.schedule.tick import MANUAL

_CATCH_UP: Final = ("catch-up", "overdue", "maintenance")
"""How the reasons of ticks begin that come later than they should."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule of a layer. Times are RFC 3339."""

    schedule: str
    when: str
    timezone: str
    paused: bool
    next: str | None
    """When it is due next, as its scheduler remembers; None: it is not, or not by time."""
    next_local: str | None
    """The same in its own time zone."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A layer, when it is due, and how it went last."""

    layer: str
    category: str
    description: str
    steps: int
    schedules: tuple[Timing, ...]
    last: Run | None


class Jobs(msgspec.Struct, frozen=True, kw_only=True):
    """What `jobs` tells."""

    jobs: tuple[Job, ...]
    wrong: tuple[str, ...]
    """What cannot be run, and why."""


def runner(home: Home, clock: Clock, tell: Callable[[str], None] = lambda _: None) -> LayerRunner:
    """What runs the layers of a home. Raises BadConfig."""
    passed = passed_environment(load_config(home))
    attempt = os.environ.get(MARK, "")
    return LayerRunner(home, Log(home), clock, passed, attempt=attempt, tell=tell)


def run_for(home: Home, layer: Layer, event_file: Path, clock: Clock) -> Run:
    """Run a layer for the event in a file, unless a run has served that event already."""
    return runner(home, clock).run(layer, _occasion(home, event_file))


def _occasion(home: Home, event_file: Path) -> Occasion:
    """Raises BadData, TryAgain."""
    line, event = read_event_file(event_file)
    said = Log(home).value(event)
    told = said if isinstance(said, dict) else {}
    return Occasion(
        trigger=_trigger(str(told.get("reason", ""))),
        event=line,
        at=parse_rfc3339(event.time),
        tick=Tick(id=event.id, source=event.source),
        schedule=str(told.get("schedule", "")),
    )


def _trigger(reason: str) -> Trigger:
    if reason.startswith(MANUAL):
        return "manual"
    return "catch-up" if reason.startswith(_CATCH_UP) else "schedule"


def jobs(home: Home) -> Jobs:
    """The layers with their schedules, and the schedules of layers that there are not. Raises
    BadConfig for what schedules.toml says."""
    layers, wrong = load_layers(home)
    timetable = load_timetable(home)
    schedules, state = timetable.schedules, remembered(home, timetable)
    timings: dict[str, list[Timing]] = {}
    for name, schedule in schedules.items():
        if schedule.layer:
            timings.setdefault(schedule.layer, []).append(_timing(schedule, state[name]))
    names = {layer.name for layer in layers}
    for name in sorted(timings.keys() - names):
        said = ", ".join(each.schedule for each in timings[name])
        if not any(f"{name}." in each for each in wrong):
            wrong.append(f"schedule {said}: there is no layer {name} in {home.layers}")
    last = last_runs(home, names)
    return Jobs(
        jobs=tuple(
            Job(
                layer=each.name,
                category=each.plan.category,
                description=each.plan.description,
                steps=len(each.plan.steps),
                schedules=tuple(timings.get(each.name, ())),
                last=last.get(each.name),
            )
            for each in layers
        ),
        wrong=tuple(wrong),
    )


def _timing(schedule: Schedule, memory: Memory) -> Timing:
    fires_us = None if memory.paused else memory.fires_us
    zone = getattr(schedule.when, "zone", ZoneInfo("UTC"))
    local = None if fires_us is None else local_time(fires_us, zone)
    return Timing(
        schedule=schedule.name,
        when=str(schedule.when),
        timezone=zone.key,
        paused=memory.paused,
        next=None if local is None else rfc3339(local),
        next_local=None if local is None else local.isoformat(timespec="seconds"),
    )
