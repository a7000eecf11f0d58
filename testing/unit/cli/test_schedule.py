"""`hookline schedule` as its users call it."""

import json
import os
import subprocess
import sys
import time

import pytest

from hookline.cli import schedule as command
from hookline.cli.main import main
from hookline.log.log import Log
from hookline.model.clock import rfc3339
from hookline.model.errors import WriteFailed
from hookline.schedule.recurrence import SECOND_US, utc_time
from testing.unit.schedule.desk import MINUTELY, Desk

TWO = MINUTELY + '[schedule.daily]\ncron = "0 3 * * *"\nevent = "d.due"\nabout = "clean up"\n'
ACTIONS = ["list", "plan", "drift", "run-due"]


@pytest.fixture(autouse=True)
def write(home):
    write = (home.config / "schedules.toml").write_text
    write(TWO)
    return write


@pytest.fixture
def call(capsys):
    """Calls it; what it exits with, prints and says."""

    def call(*args):
        status = main(["schedule", *args])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def told(call):
    """The objects that it prints with --json."""

    def told(*args):
        status, out, err = call(*args, "--json")
        assert (status, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    return told


def test_help_names_every_action(capsys):
    assert main(["schedule", "--help"]) == 0
    said = capsys.readouterr().out
    for action in command._TAKES:
        assert action in said


# -- list ---------------------------------------------------------------------------------


def test_it_lists_what_there_is(call):
    status, out, err = call()
    assert (status, err) == (0, "")
    heads, minutely, daily = [line.split("\t") for line in out.splitlines()]
    assert heads == ["SCHEDULE", "WHEN", "EVENT", "STATE", "NEXT", "ABOUT"]
    assert minutely[:4] == ["m", "every 1m", "m.due", "on"]
    assert daily[0] == "daily"
    assert daily[4].endswith("T03:00:00.000000Z")
    assert daily[5] == "clean up"


def test_it_lists_those_that_are_named(call, told):
    assert [each["name"] for each in told("list", "daily")] == ["daily"]
    assert call("list", "x")[0] == os.EX_DATAERR
    assert "run-due takes no NAME" in call("run-due", "m")[2]


def test_on_a_terminal_it_is_aligned(call, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert call()[1].startswith("SCHEDULE  WHEN ")


def test_programs_get_all_of_it(told):
    minutely, daily = told("list")
    assert minutely["name"] == "m"
    assert (daily["state"], daily["next"][10:]) == ("on", "T03:00:00.000000Z")
    assert set(daily) == {
        "name", "when", "event", "about", "state", "next", "nominal", "decided", "missed", "seen",
        "factor", "reason", "catch_up", "overlap", "adaptive",
    }  # fmt: skip


def test_what_is_paused_is_listed_with_the_reason(call, told):
    assert call("pause", "m", "--reason", "it \x1bhurts")[:2] == (0, "paused m\n")
    assert call("pause", "daily")[0] == 0
    _, minutely, daily = [line.split("\t") for line in call()[1].splitlines()]
    assert (minutely[3], daily[3]) == ("paused: it \\u001bhurts", "paused")
    assert [(each["state"], each["reason"]) for each in told()] == [
        ("paused", "it \x1bhurts"), ("paused", ""),
    ]  # fmt: skip
    assert call("resume", "m", "daily") == (0, "resumed m\nresumed daily\n", "")
    assert {each["state"] for each in told()} == {"on"}


def test_without_any_it_says_where_they_are_written(call, home):
    for text in ("", None):
        if text is None:
            (home.config / "schedules.toml").unlink()
        else:
            (home.config / "schedules.toml").write_text(text)
        status, out, err = call()
        assert (status, out.count("\n")) == (0, 1)
        assert err == f"no schedules: write them in {home.config / 'schedules.toml'}\n"
        assert call("plan")[0] == call("drift")[0] == call("run-due")[0] == 0


# -- plan ---------------------------------------------------------------------------------


def test_the_plan_says_when_what_fires_and_who_wakes(told, home):
    path = home.handlers / "on-m-due.sh"
    path.write_text("#!/bin/bash\n")
    path.chmod(0o750)
    first, *rest = told("plan", "m", "--for", "10m")
    assert len(rest) == 9
    assert list(first) == ["name", "nominal", "fires_at", "event", "handlers", "notes"]
    assert first | {"nominal": "", "fires_at": ""} == {
        "name": "m", "nominal": "", "fires_at": "", "event": "m.due",
        "handlers": ["on-m-due.sh"], "notes": [],
    }  # fmt: skip
    assert first["nominal"] == first["fires_at"] < rest[0]["fires_at"]
    assert {each["name"] for each in told("plan", "--for", "2d")} == {"m", "daily"}


def test_people_see_the_first_thousand_and_how_to_see_more(call, monkeypatch):
    monkeypatch.setattr(command, "PLANNED_MAX", 3)
    status, out, err = call("plan", "m", "--for", "3m")
    assert (status, len(out.splitlines()), err) == (0, 4, "")
    assert out.splitlines()[1].split("\t")[1:4] == ["m", "m.due", "none"]
    status, out, err = call("plan", "m")
    assert (status, len(out.splitlines())) == (0, 4)
    assert err == "and more than 3: --json prints all, --for 10m fewer\n"


def test_of_what_is_paused_nothing_is_planned(call, told):
    call("pause", "m")
    assert told("plan", "m") == []
    assert call("plan", "m")[2] == "m is paused: hookline schedule resume m\n"
    assert call("plan", "daily")[2] == ""


def test_a_plan_says_that_the_home_is_in_maintenance(call, home):
    home.maintenance.touch()
    assert (
        call("plan", "daily")[2]
        == f"in maintenance nothing fires until {home.maintenance} is gone\n"
    )


@pytest.mark.parametrize("span", ["soon", "-5m", "", "40000d"])
@pytest.mark.parametrize("option", [("plan", "--for"), ("drift", "--simulate")])
def test_a_span_that_is_none_is_usage(call, option, span):
    action, name = option
    status, out, err = call(action, f"{name}={span}")
    assert (status, out) == (os.EX_USAGE, "")
    assert err.count("\n") == 1


# -- trigger, pause, resume ---------------------------------------------------------------


def test_a_tick_that_is_asked_for_lies_in_the_log(call, told, home):
    status, out, _ = call("trigger", "m")
    (event,) = Log(home).read("m.*")
    assert (status, out) == (0, f"appended m.due of m: {event.id}\n")
    (said,) = told("trigger", "m")
    assert said == {"schedule": "m", "event": "m.due", "id": list(Log(home).read("m.*"))[1].id}


@pytest.mark.parametrize("action", ["trigger", "pause", "resume"])
def test_one_of_several_names_that_is_unknown_leaves_all_alone(call, home, action):
    status, out, err = call(action, "m", "dayly")
    assert (status, out) == (os.EX_DATAERR, "")
    assert "no schedule 'dayly': there are daily, m (hookline schedule list)" in err
    assert list(Log(home).read("*")) == []


@pytest.mark.parametrize("action", ["trigger", "pause", "resume"])
def test_without_a_name_the_next_step_is_told(call, action):
    status, _, err = call(action)
    assert status == os.EX_USAGE
    assert f"{action} wants the name of a schedule: hookline schedule list" in err


@pytest.mark.parametrize(
    "args",
    [
        ("plan", "--reason", "x"), ("trigger", "m", "--for", "1h"),
        ("resume", "m", "--reason", "x"), ("run-due", "m"), ("list", "--verbose"),
        ("drift", "--simulate", "1h", "--since", "1h"), ("drift", "--since", "yesterday"),
    ],
)  # fmt: skip
def test_what_an_action_does_not_take_is_usage(call, args):
    status, out, err = call(*args)
    assert (status, out) == (os.EX_USAGE, "")
    assert err.count("\n") == 1


@pytest.mark.parametrize("action", ["plan", "drift"])
def test_a_name_that_is_not_there_is_told(call, action):
    status, _, err = call(action, "x")
    assert status == os.EX_DATAERR
    assert "no schedule 'x'" in err


@pytest.mark.parametrize("action", [*ACTIONS, "run", "trigger m", "pause m"])
def test_a_wrong_configuration_is_told_with_the_key(call, write, action):
    write('[schedule.m]\nevery = "5s"\nevent = "m.due"\ncatchup = "all"\n')
    status, out, err = call(*action.split())
    assert (status, out) == (os.EX_CONFIG, "")
    assert "schedules.toml" in err
    assert "catchup" in err
    assert err.count("\n") == 1


# -- drift --------------------------------------------------------------------------------


@pytest.fixture
def late(home):
    """Ten ticks, the n-th one n * 10 ms late."""
    desk = Desk(home, TWO)
    for n in range(1, 11):
        desk.at(60 * n + n * 0.01)
    desk.close()
    return rfc3339(utc_time(desk.begin_us - SECOND_US))


def test_how_late_ticks_were_is_counted(told, late):
    (said,) = told("drift", "--since", late)
    assert said == {
        "name": "m", "ticks": 10, "manual": 0, "p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 100.0,
        "max_ms": 100.0, "coalesced": 0, "missed": 0, "hours": 0.15, "drift_ms": 0.0,
        "off_grid": 0,
    }  # fmt: skip


def test_people_get_a_table_of_it(call, late):
    _, out, err = call("drift", "m", "--since", late)
    assert out.splitlines()[1].split("\t") == [
        "m", "10", "50.0 ms", "90.0 ms", "100.0 ms", "100.0 ms", "0", "0", "0.15", "0 ms",
    ]  # fmt: skip
    assert err == ""


def test_without_ticks_the_next_step_is_told(call):
    assert call("drift")[2] == "no ticks yet: hookline schedule run appends them\n"


def test_a_run_in_virtual_time_needs_no_ticks(told):
    daily, minutely = told("drift", "--simulate", "48h")
    assert (minutely["ticks"], minutely["drift_ms"], daily["ticks"]) == (2880, 0.0, 2)
    assert told("drift", "daily", "--simulate", "48h")[0]["ticks"] == 2


# -- run-due, run -------------------------------------------------------------------------


@pytest.fixture
def desk(home, monkeypatch):
    """Its clock is the command's."""
    desk = Desk(home, MINUTELY.replace("1m", "1s") + 'catch_up = "all"\n').close()
    monkeypatch.setattr("hookline.app.schedules.SystemClock", lambda: desk.clock)
    return desk


def test_what_is_due_is_appended_all_of_it_and_no_more(call, desk):
    desk.clock.advance(2500)
    assert call("run-due") == (0, "", "")
    assert desk.ticks() == list(range(1, 2501))
    assert call("run-due") == (0, "", "")
    assert len(desk.ticks()) == 2500


def test_each_tick_is_shown_to_who_wants_to_see_it(call, desk):
    desk.clock.advance(1)
    status, out, err = call("run-due", "--verbose")
    assert (status, out, err.count("\n")) == (0, "", 1)
    assert "m.due  m  0.0 ms late, time" in err
    desk.clock.advance(1)
    status, out, err = call("run-due", "--json")
    (said,) = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert set(said) == {"schedule", "event", "id", "nominal", "late_ms", "reason"}


def refuse(*_, **__):
    raise WriteFailed("No space left on device")


def test_what_cannot_be_appended_is_told_and_exits_75(call, desk, monkeypatch):
    desk.clock.advance(5)
    monkeypatch.setattr(Log, "append_fields", refuse)
    status, out, err = call("run-due")
    assert (status, out) == (os.EX_TEMPFAIL, "")
    assert err.endswith("cannot be appended, and is tried again: No space left on device\n")
    monkeypatch.undo()


def test_what_cannot_be_saved_is_told_and_exits_75(call, desk, monkeypatch):
    desk.clock.advance(5)
    monkeypatch.setattr("hookline.schedule.memory.save", refuse)
    status, out, err = call("run-due")
    assert (status, out, len(desk.ticks())) == (os.EX_TEMPFAIL, "", 5)
    assert err.count("\n") == 1
    assert "what is remembered cannot be saved" in err


def test_a_second_one_exits_75(call, home):
    desk = Desk(home, TWO)
    status, out, err = call("run-due")
    desk.close()
    assert (status, out) == (os.EX_TEMPFAIL, "")
    assert "a scheduler runs already" in err


def test_nobody_has_to_take_what_it_says(home, write):
    write(MINUTELY.replace("1m", "100ms"))
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "hookline", "schedule", "run", "-v", "--home", home.root],
            stderr=full,
        )  # fmt: skip
        deadline_s = time.monotonic() + 60
        while len(list(Log(home).read("m.*"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.02)  # nothing tells of what somebody else appends
        process.terminate()
        assert process.wait(60) == 0


def test_it_runs_until_it_is_told_to_end(home, write):
    write(MINUTELY.replace("1m", "100ms"))
    process = subprocess.Popen(
        [sys.executable, "-m", "hookline", "schedule", "run", "--json", "--home", home.root],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = json.loads(process.stdout.readline())
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    ids = [said["id"], *(json.loads(line)["id"] for line in out.splitlines())]
    assert ids == [event.id for event in Log(home).read("m.*")]
