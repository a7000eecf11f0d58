"""Whether the schedules of a home are run, and whether it is in maintenance."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from hookline.app.schedules import load_timetable, remembered
from hookline.log.home import Home
from hookline.log.read import domains, records
from hookline.log.stream import Stream
from hookline.log.tail import start_of_last
from hookline.model.clock import Clock, from_epoch_s, parse_rfc3339, rfc3339
from hookline.model.errors import BadConfig, printable
from hookline.model.types import domain_of
from hookline.schedule import memory
from hookline.schedule.lock import began_s, holder
from hookline.schedule.maintenance import is_maintenance, maintenance
from hookline.schedule.recurrence import SECOND_US, microseconds
from hookline.schedule.schedule import Schedule
from hookline.schedule.table import Timetable
from hookline.schedule.tick import Proof, proof_of

HEARTBEAT: Final = "schedule.tick"
"""The event of the schedule that shows that the scheduler lives."""
STALLED_S: Final = 5.0
"""Besides two of its intervals, so long may a heartbeat not be there."""
OVERDUE_S: Final = 120.0
"""Cron comes once a minute."""
LINES: Final = 200
"""So many of the last lines of a log are looked at for ticks."""


class SchedulerView(msgspec.Struct, kw_only=True):
    """How a home's schedules are run."""

    state: str
    """`none`: there are no schedules; `running`; `stalled`: somebody is to run them and does not;
    `resting`: nobody stays, and nothing is overdue, as with cron; `missing`: nobody runs them."""
    process: int | None
    """The process that schedules, or null."""
    schedules: int
    last_tick: str | None
    """When the last of all ticks was appended; null: none is to be seen."""
    last_schedule: str | None
    wrong: str = ""
    next: str = ""
    """What helps."""


class MaintenanceView(msgspec.Struct, kw_only=True):
    """Since when a home is in maintenance, how long that is, and why."""

    since: str
    age_s: float
    reason: str
    marker: str


def punctuality(home: Home, clock: Clock) -> SchedulerView:
    """Look once. Never raises for what is configured wrongly: it says so."""
    process = holder(home)
    view = SchedulerView(
        state="none" if process is None else "running",
        process=process, schedules=0, last_tick=None, last_schedule=None,
    )  # fmt: skip
    try:
        timetable = load_timetable(home)
    except BadConfig as error:
        view.wrong, _, view.next = str(error).rpartition(": ")
        return view
    schedules = timetable.schedules
    view.schedules = len(schedules)
    ticks = _last_ticks(home, schedules)
    if ticks:
        last = max(ticks.values(), key=lambda each: each.fired)
        view.last_tick, view.last_schedule = last.fired, last.schedule
    if process is not None:
        _judge_running(home, clock, schedules, ticks, view)
    elif schedules:
        _judge_resting(home, clock, timetable, view)
    return view


def maintenance_of(home: Home, clock: Clock) -> MaintenanceView | None:
    """None: the home is in none."""
    found = maintenance(home)
    if found is None:
        return None
    since = from_epoch_s(found.since_s)
    return MaintenanceView(
        since=rfc3339(since),
        age_s=round(max(0.0, (clock.now() - since).total_seconds()), 3),
        reason=printable(found.reason),
        marker=str(home.maintenance),
    )


def _judge_running(
    home: Home,
    clock: Clock,
    schedules: Mapping[str, Schedule],
    ticks: Mapping[str, Proof],
    view: SchedulerView,
) -> None:
    saved = memory.load(home)
    known = saved.schedules if saved else {}
    for name, schedule in schedules.items():
        paused = name in known and known[name].paused
        if schedule.event != HEARTBEAT or schedule.interval_us is None or paused:
            continue
        since = from_epoch_s(began_s(home) or 0.0)
        factor = 1.0
        if name in ticks:
            since = max(since, parse_rfc3339(ticks[name].fired))
            factor = ticks[name].factor or 1.0
        interval = timedelta(microseconds=schedule.interval_us / factor)
        silent = clock.now() - since
        if silent > 2 * interval + timedelta(seconds=STALLED_S) and not is_maintenance(home):
            view.state = "stalled"
            view.wrong = (
                f"the scheduler (process {view.process}) runs and has not ticked for "
                f"{silent.total_seconds():.0f} s: {name} is due each {interval.total_seconds():g} s"
            )
            view.next = f"kill {view.process}, and hookline up starts another"


def _judge_resting(home: Home, clock: Clock, timetable: Timetable, view: SchedulerView) -> None:
    view.state = "resting"
    if is_maintenance(home):
        return
    late: list[str] = []
    # Where all wait for events, there may have been nothing to do yet.
    asked = all(each.is_asked for each in timetable.schedules.values())
    if asked or memory.load(home) is not None or view.last_tick is not None:
        limit_us = microseconds(clock.now()) - round(OVERDUE_S * SECOND_US)
        known = remembered(home, timetable)
        late = [name for name, each in known.items() if each.is_due(limit_us)]
        if not late:
            return
    view.state = "missing"
    overdue = f", and overdue are {' '.join(late)}" if late else ""
    view.wrong = f"there are schedules ({view.schedules}) and nobody runs them{overdue}"
    view.next = "hookline up, or hookline schedule run-due from cron"


def _last_ticks(home: Home, schedules: Mapping[str, Schedule]) -> dict[str, Proof]:
    """The last tick of each schedule, of those that are among the last lines of their logs."""
    found: dict[str, Proof] = {}
    wanted = {domain_of(schedule.event) for schedule in schedules.values()}
    for domain in wanted.intersection(domains(home)):
        with Stream.of_domain(home, domain) as stream:
            for chunk in stream.look(start_of_last(stream, LINES)):
                for record in records(chunk):
                    proof = proof_of(record.event) if record.event is not None else None
                    if proof is not None and proof.schedule in schedules:
                        found[proof.schedule] = proof
    return found
