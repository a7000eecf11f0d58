"""`hookline migrate compare`: an old timer beside its schedule, now and from the log."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hookline.app import comparison
from hookline.cli.main import main
from hookline.log.log import Log
from hookline.model.clock import SystemClock
from hookline.schedule.kernel import Tick
from hookline.schedule.recurrence import microseconds
from hookline.schedule.table import Table, schedules_of
from hookline.schedule.tick import SOURCE, fields_of

HOOKLINE = Path(sys.executable).with_name("hookline")
START = SystemClock().now().replace(microsecond=0) - timedelta(hours=2)
DEADLINE_S = 60


@pytest.fixture
def beat(home):
    """A home with a schedule each minute; `ticks` and `fires` append what was."""
    (home.config / "schedules.toml").write_text(
        '[schedule.beat]\nevery = "1m"\nevent = "heart.beat"\n'
        '[schedule.often]\nevery = "300ms"\nevent = "heart.often"\n'
        '[schedule.daily]\ncron = "0 3 * * *"\nevent = "day.began"\n'
        '[schedule.once]\nat = "2030-01-01T00:00:00Z"\nevent = "year.began"\n'
    )
    return home


def at(minute):
    return START + timedelta(minutes=minute)


def ticks(home, *at_minutes, name="beat", event="heart.beat", reason="time"):
    schedule = schedules_of({name: Table(every="1m", event=event)})[name]
    log = Log(home)
    for minute in at_minutes:
        nominal_us = microseconds(at(minute))
        tick = Tick(
            schedule=name, nominal_us=nominal_us,
            fires_us=nominal_us, reason=reason,
        )  # fmt: skip
        log.append_fields(fields_of(schedule, tick, nominal_us))


def fires(home, *at_minutes, type="legacy.beat"):
    log = Log(home)
    for minute in at_minutes:
        log.append(type, source="old-daemon", time=at(minute))


def run(capsys, *arguments):
    """The exit status, stdout and stderr."""
    capsys.readouterr()
    status = main(["migrate", "compare", *arguments])
    return status, *capsys.readouterr()


def compared(capsys, *arguments):
    status, out, _ = run(capsys, *arguments, "--json")
    return status, json.loads(out.splitlines()[-1])


def test_two_that_fire_alike_agree(beat, capsys):
    ticks(beat, *range(10, 60))
    fires(beat, *(each + 0.3 for each in range(10, 60)))
    status, out, _ = run(capsys, "beat", "--old", "legacy.beat", "--since", "2h")
    assert status == 0
    assert "  old timer  50, 1m apart\n  ticks      50, 1m apart\n" in out
    assert "  pairs      50, ticks -18000.0 ms after the old timer\n" in out
    assert out.endswith("they agree\n")


def test_what_is_missed_extra_and_late_is_told_and_they_do_not_agree(beat, capsys):
    ticks(beat, *range(10, 20), *range(21, 40), 40.2, 41, 42)
    fires(beat, *range(10, 30), *range(31, 43))
    arguments = ["beat", "--old", "legacy.*", "--since", "2h"]
    status, told = compared(capsys, *arguments)
    assert status == 1
    assert (told["old"], told["new"], told["matched"], told["agrees"]) == (32, 32, 31, False)
    assert [len(told[each]) for each in ("missed", "extra", "late", "early")] == [1, 1, 1, 0]
    assert told["missed"] == [at(20).isoformat(timespec="microseconds").replace("+00:00", "Z")]
    status, out, _ = run(capsys, *arguments, "--each")
    assert re.search(r"^missed  \S+$", out, re.MULTILINE)
    assert re.search(r"^late  \S+  \S+  12000\.0$", out, re.MULTILINE)
    assert status == 1
    assert run(capsys, *arguments, "--tolerance", "20s")[1].count("late       0\n") == 1


def test_ticks_that_were_asked_for_and_events_of_the_schedule_itself_are_none(beat, capsys):
    ticks(beat, 10, 11, 12)
    ticks(beat, 10.5, reason="manual")
    Log(beat).append("heart.beat", source=SOURCE, data={"schedule": "another"})
    fires(beat, 10, 11, 12, type="heart.beat")
    status, told = compared(capsys, "beat", "--old", "heart.beat", "--since", "2h")
    assert (status, told["old"], told["new"]) == (0, 3, 3)


def test_the_lines_of_a_log_tell_when_the_old_timer_fired(beat, capsys, tmp_path):
    ticks(beat, 10, 11, 12, 13)
    lines = [
        f"{at(10).isoformat()} began",
        f"[{at(10).isoformat(sep=' ', timespec='milliseconds')[:-6]},Z] no time, glued",
        "no time at all",
        f"[{at(11).strftime('%Y-%m-%d %H:%M:%S.%f')}Z] began",
        f"[{(at(11) + timedelta(seconds=2)).strftime('%Y-%m-%d %H:%M:%S')}Z] ended",
        f"{at(12).strftime('%Y-%m-%dT%H:%M:%S%z')} began",
        f"{at(13).strftime('%Y-%m-%d %H:%M:%S,%f')[:-3]} +00:00 began",
    ]
    log = tmp_path / "old.log"
    log.write_text("\n".join(lines))
    status, told = compared(capsys, "beat", "--old", str(log), "--since", "2h")
    assert (status, told["old"], told["matched"]) == (0, 4, 4)


def test_a_time_without_a_zone_is_that_of_the_machine(monkeypatch):
    monkeypatch.setattr(comparison, "machine_zone", lambda: "Asia/Tokyo")
    moment = comparison._stamp("2026-03-01 09:00:00 x")
    assert moment == microseconds(datetime(2026, 3, 1, tzinfo=UTC))
    assert comparison._stamp("2026-13-01 09:00:00 x") is None


@pytest.mark.usefixtures("beat")
def test_without_a_firing_it_says_where_to_look(beat, capsys):
    arguments = ["beat", "--old", "legacy.beat", "--since", "2h"]
    status, out, _ = run(capsys, *arguments)
    assert (status, out.splitlines()[-1][:8]) == (1, "no ticks")
    ticks(beat, 10)
    assert "the old timer was not seen" in run(capsys, *arguments)[1]


@pytest.mark.usefixtures("beat")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["beat", "--old", "a.b"], os.EX_USAGE),
        (["beat", "--old", "a.b", "--for", "1h", "--since", "1h"], os.EX_USAGE),
        (["beat", "--for", "1h"], os.EX_USAGE),
        (["beat", "--for", "1h", "--run", "true"], os.EX_USAGE),
        (["beat", "--for", "1h", "--old", "a.b", "--run", "true", "--every", "1s"], os.EX_USAGE),
        (["beat", "--since", "1h", "--run", "true", "--every", "1s"], os.EX_USAGE),
        (["beat", "--for", "1h", "--old", "nothing"], os.EX_USAGE),
        (["beat", "--for", "1h", "--old", "/nowhere/x"], os.EX_USAGE),
        (["other", "--since", "1h", "--old", "a.b"], os.EX_DATAERR),
        (["once", "--since", "1h", "--old", "a.b"], os.EX_DATAERR),
    ],
)
def test_what_makes_no_sense_is_a_mistake(arguments, status, capsys):
    assert run(capsys, *arguments)[0] == status


@pytest.fixture
def scheduler(beat):
    """The home's scheduler, as a process of its own."""
    process = subprocess.Popen([HOOKLINE, "schedule", "run"], stderr=subprocess.DEVNULL)
    wait_until(lambda: beat.live("heart").exists())
    yield process
    process.terminate()
    process.wait(DEADLINE_S)


def wait_until(done):
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # between two looks


@pytest.mark.usefixtures("scheduler")
def test_a_command_is_run_as_the_old_loop_ran_it(beat, capsys, tmp_path):
    command = f"echo run >>{tmp_path}/ran"
    arguments = ["often", "--for", "2s", "--run", command, "--every", "300ms"]
    _, told = compared(capsys, *arguments)
    ran = len((tmp_path / "ran").read_text().splitlines())
    assert ran >= 2
    assert told["old"] == ran
    assert told["matched"] >= 1
    fired = [event for event in Log(beat).read("migrate.*") if event.type == "migrate.old_fired"]
    assert len(fired) == ran


@pytest.mark.usefixtures("scheduler")
def test_stopped_it_tells_what_there_is_and_the_same_command_goes_on(beat, tmp_path):
    touched = tmp_path / "touched"
    command = [HOOKLINE, "migrate", "compare", "often", "--for", "1h", "--old", str(touched)]
    for round in range(2):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        kind = "migrate.comparison_resumed" if round else "migrate.comparison_begun"
        wait_until(lambda kind=kind: kind in _types(beat))
        fired = _types(beat).count("migrate.old_fired")
        touched.write_text(f"round {round}\n")
        wait_until(lambda fired=fired: _types(beat).count("migrate.old_fired") > fired)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode in (0, 1)
        assert f"  old timer  {round + 1}" in out
        assert "stopped; the same command goes on" in err
        assert ("goes on with what began at" in err) == bool(round)


def _types(home):
    return [event.type for event in Log(home).read("migrate.*")]
