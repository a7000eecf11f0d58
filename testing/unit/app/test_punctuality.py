"""Whether schedules are run: what `status` and `doctor` say of it."""

import json
import os
from datetime import timedelta

import pytest

from hookline.app.punctuality import OVERDUE_S, STALLED_S, maintenance_of, punctuality
from hookline.app.schedules import load_schedules, load_timetable, set_paused
from hookline.cli.main import main
from hookline.log.log import Log
from hookline.log.stream import Stream
from hookline.schedule import memory
from hookline.schedule.kernel import Tick
from hookline.schedule.lock import Lock
from hookline.schedule.memory import Saved, look
from hookline.schedule.recurrence import microseconds
from hookline.schedule.tick import fields_of
from testing.unit.log.clocks import HandClock

TABLES = """
[schedule.heartbeat]
every = "1s"
event = "schedule.tick"

[schedule.scan]
every = "365d"
event = "trigger.scan"
adaptive = true
"""


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def scheduled(home):
    (home.config / "schedules.toml").write_text(TABLES)
    return home


def tick(home, clock, name, speed=1.0):
    """What a scheduler appends."""
    now_us = microseconds(clock.now())
    tick = Tick(
        schedule=name, nominal_us=now_us, fires_us=now_us, reason="time",
        speed=speed,
    )  # fmt: skip
    return Log(home, clock=clock).append_fields(fields_of(load_schedules(home)[name], tick, now_us))


def save(home, clock):
    """What a scheduler saves when it ends."""
    state = look(home, load_timetable(home), microseconds(clock.now()))
    with Stream.of_domain(home, "schedule") as stream:
        memory.save(home, Saved(schedules=state, positions={"schedule": stream.end()}))


def test_without_schedules_there_is_nothing_to_run(home, clock):
    assert punctuality(home, clock).state == "none"
    assert main(["status"]) == 0


def test_schedules_that_nobody_has_ever_run_are_told(scheduled, clock, capsys):
    found = punctuality(scheduled, clock)
    assert (found.state, found.process, found.schedules) == ("missing", None, 2)
    assert found.wrong == "there are schedules (2) and nobody runs them"
    assert main(["status"]) == os.EX_TEMPFAIL
    assert "hookline up, or hookline schedule run-due from cron" in capsys.readouterr().out
    main(["doctor", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    finding = next(each for each in lines if each["check"] == "scheduler")
    assert not finding["well"]
    assert finding["next"].startswith("hookline up")


def test_what_waits_for_events_is_overdue_once_one_has_asked(home, clock):
    home.config.mkdir(exist_ok=True)
    (home.config / "schedules.toml").write_text(
        '[schedule.alarm]\nmoment = "due"\nof = "alarm.set"\nevent = "alarm.due"\n'
    )
    assert punctuality(home, clock).state == "resting"
    Log(home, clock=clock).append("alarm.set", source="me", data={"due": clock.now().isoformat()})
    clock.advance(OVERDUE_S - 1)
    assert punctuality(home, clock).state == "resting"
    clock.advance(2)
    assert punctuality(home, clock).wrong.endswith("overdue are alarm")


def test_what_cron_runs_is_well_until_it_is_overdue(scheduled, clock):
    tick(scheduled, clock, "scan")
    tick(scheduled, clock, "heartbeat")
    save(scheduled, clock)
    clock.advance(OVERDUE_S)
    assert punctuality(scheduled, clock).state == "resting"
    clock.advance(5)
    found = punctuality(scheduled, clock)
    assert found.state == "missing"
    assert found.wrong.endswith("nobody runs them, and overdue are heartbeat")
    clock.advance(366 * 86_400)
    assert punctuality(scheduled, clock).wrong.endswith("overdue are heartbeat scan")
    set_paused(scheduled, "heartbeat", paused=True)
    assert punctuality(scheduled, clock).wrong.endswith("overdue are scan")
    scheduled.maintenance.touch()
    assert punctuality(scheduled, clock).state == "resting"


def test_a_scheduler_that_does_not_tick_is_stalled(scheduled, clock):
    lock = Lock(scheduled)
    found = punctuality(scheduled, clock)
    assert (found.state, found.process, found.last_tick) == ("running", os.getpid(), None)
    clock.advance(60)
    assert punctuality(scheduled, clock).state == "stalled"
    last = tick(scheduled, clock, "heartbeat")
    found = punctuality(scheduled, clock)
    assert (found.state, found.last_tick, found.last_schedule) == (
        "running", last.time, "heartbeat",
    )  # fmt: skip
    clock.advance(2 + STALLED_S)
    assert punctuality(scheduled, clock).state == "running"
    clock.advance(0.1)
    tick(scheduled, clock, "scan")
    found = punctuality(scheduled, clock)
    assert found.state == "stalled"
    assert found.wrong == (
        f"the scheduler (process {os.getpid()}) runs and has not ticked for 7 s: heartbeat is due "
        "each 1 s"
    )
    assert found.next.startswith(f"kill {os.getpid()}")
    scheduled.maintenance.touch()
    assert punctuality(scheduled, clock).state == "running"
    lock.close()


def test_a_slow_heartbeat_is_waited_for_longer(scheduled, clock):
    lock = Lock(scheduled)
    clock.advance(60)
    tick(scheduled, clock, "heartbeat", speed=0.1)
    clock.advance(20 + STALLED_S)
    assert punctuality(scheduled, clock).state == "running"
    clock.advance(0.1)
    assert punctuality(scheduled, clock).state == "stalled"
    lock.close()


def test_a_heartbeat_that_is_paused_or_not_there_is_not_missed(scheduled, clock):
    lock = Lock(scheduled)
    clock.advance(3600)
    set_paused(scheduled, "heartbeat", paused=True)
    save(scheduled, clock)
    assert punctuality(scheduled, clock).state == "running"
    (scheduled.config / "schedules.toml").write_text(TABLES[TABLES.index("[schedule.scan]") :])
    assert punctuality(scheduled, clock).state == "running"
    lock.close()


def test_a_bad_configuration_is_told_with_its_path(scheduled, clock, capsys):
    (scheduled.config / "schedules.toml").write_text("[schedule.x]\nevry = '1s'\n")
    found = punctuality(scheduled, clock)
    assert "schedules.toml" in found.wrong
    assert main(["status"]) == os.EX_TEMPFAIL
    assert main(["doctor"]) == os.EX_CONFIG
    assert "evry" in capsys.readouterr().out


def test_maintenance_is_shown_with_its_age_and_reason(home, clock, capsys):
    assert maintenance_of(home, clock) is None
    home.maintenance.write_text("new\x1b disk\n")
    began = clock.now() - timedelta(minutes=12)
    os.utime(home.maintenance, (began.timestamp(), began.timestamp()))
    found = maintenance_of(home, clock)
    assert found is not None
    assert (found.reason, round(found.age_s)) == ("new\\u001b disk", 720)
    assert main(["status"]) == 0
    assert "12 minutes: new\\u001b disk (rm" in capsys.readouterr().out
    main(["status", "--json"])
    assert json.loads(capsys.readouterr().out)["maintenance"]["marker"] == str(home.maintenance)
    main(["doctor"])
    assert f"note   maintenance: since {found.since}" in capsys.readouterr().out
