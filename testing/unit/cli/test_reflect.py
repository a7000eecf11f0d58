"""`hookline reflect` as its users call it."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from hookline.log.log import Log
from hookline.model.clock import SystemClock, rfc3339

LAYER = """
description = "sums up"
category = "self"
max_targets = 2
[targets]
list = [1, 2, 3]
[[steps]]
name = "s"
run = "((LAYER_TARGET != 2))"
"""
PLAIN = '[[steps]]\nname = "s"\nrun = "echo ran >>$HOOKLINE_HOME/ran"\n'


@pytest.fixture
def reflect(home):
    """Calls the command; what it printed, and how it ended."""
    home.layers.mkdir(0o750)

    def call(*arguments, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "hookline", "reflect", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        call.err = done.stderr
        return done.stdout

    def write(name, text):
        path = home.layers / name
        path.write_text(text)
        path.chmod(0o640)

    call.json = lambda *arguments, status=0: [
        json.loads(line) for line in call(*arguments, "--json", status=status).splitlines()
    ]
    call.write = write
    call.home = home
    return call


def tick(reflect, **said):
    """A file with the event of a tick."""
    event = Log(reflect.home).append(
        "layer.due", source="hookline.schedule", data={"layer": "a", "reason": "time", **said}
    )
    path = reflect.home.root / event.id
    (line,) = [
        line
        for line in reflect.home.live("layer").read_bytes().splitlines()
        if event.id.encode() in line and b'"layer.due"' in line
    ]
    path.write_bytes(line + b"\n")
    return event, path


def test_trigger_shows_how_it_goes_and_what_came_of_it(reflect):
    reflect.write("a.toml", LAYER)
    out = reflect("trigger", "a", status=1)
    assert out.startswith("a: partial; 2 of 3 targets, 1 failed; 2 steps in ")
    assert reflect.err == "s 1\ns 2\ns 2: exit 1\n"
    reflect.write("a.toml", PLAIN)
    assert reflect("trigger", "a").startswith("a: success; 1 step in ")


def test_a_dry_run_runs_no_step_and_appends_nothing(reflect):
    reflect.write("a.toml", LAYER.replace("((", "touch ran; (("))
    (said,) = reflect.json("trigger", "a", "--dry-run")
    assert (said["status"], said["targets"]["matched"], said["steps"]) == ("dry", 3, [])
    assert reflect("trigger", "a", "--dry-run").startswith("a: dry; 0 of 3 targets")
    assert reflect("runs", "a").count("\n") == 1
    assert not (reflect.home.root / "ran").exists()
    assert not reflect.home.live("layer").exists()


def test_targets_that_are_given_come_instead_of_its_own(reflect):
    reflect.write("a.toml", LAYER)
    (said,) = reflect.json("trigger", "a", "--target", "7", "--target", '{"x":1}', status=1)
    assert [each["target"] for each in said["steps"]] == [7, {"x": 1}]
    reflect("trigger", "a", "--target", "x", status=os.EX_DATAERR)
    reflect.write("b.toml", PLAIN)
    reflect("trigger", "b", "--target", "1", status=os.EX_USAGE)
    assert "layer b has no targets" in reflect.err


def test_of_a_layer_that_there_is_not_it_is_same_as_there_is(reflect):
    reflect.write("a.toml", PLAIN)
    for action in ("trigger", "check"):
        reflect(action, "b", status=os.EX_DATAERR)
        assert reflect.err == "hookline reflect: no layer 'b'; there are: a\n"
    reflect("trigger", status=os.EX_USAGE)
    assert "trigger wants the name of a layer" in reflect.err


def test_check_tells_all_that_is_wrong(reflect):
    reflect.write("a.toml", PLAIN)
    reflect.write("b.toml", PLAIN.replace("run", "rnu"))
    out = reflect("check", status=os.EX_DATAERR)
    assert out.startswith("a: 1 step, version ")
    assert "layers/b.toml: Object contains unknown field `rnu` - at `$.steps[0]`" in reflect.err
    good, bad = reflect.json("check", status=os.EX_DATAERR)
    assert (good["layer"], good["steps"]) == ("a", 1)
    assert "b.toml" in bad["error"]
    assert reflect("check", "a")


def test_the_doctor_names_what_cannot_be_run(reflect):
    def doctor():
        command = [sys.executable, "-m", "hookline", "doctor"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert "layers:" not in doctor()
    reflect.write("a.toml", PLAIN)
    reflect.write("b.toml", "steps = 7")
    said = doctor()
    assert "layers: 1 can be run" in said
    assert "layers/b.toml: Expected `array`, got `int`" in said
    assert "hookline reflect check" in said


def test_runs_are_listed_newest_first_and_chosen(reflect):
    reflect.write("a.toml", PLAIN)
    reflect.write("b.toml", PLAIN.replace("echo ran", "exit 3; echo"))
    made = [reflect.json("trigger", name, status=int(name == "b"))[0]["run"] for name in "aba"]
    assert [each["run"] for each in reflect.json("runs")] == made[::-1]
    assert [each["run"] for each in reflect.json("runs", "a")] == [made[2], made[0]]
    assert [each["run"] for each in reflect.json("runs", "--limit", "1")] == made[2:]
    (failed,) = reflect.json("runs", "--status", "failed")
    assert failed["errors"] == [{"error": "exit 3", "step": "s"}]
    assert reflect.json("runs", "--since", rfc3339(SystemClock().now())) == []
    head, *rows = reflect("runs").splitlines()
    assert head.split("\t") == ["RUN", "LAYER", "TRIGGER", "STARTED", "TOOK", "TARGETS", "STATUS"]
    assert [row.split("\t")[0] for row in rows] == made[::-1]
    reflect("runs", "--limit", "0", status=os.EX_USAGE)
    reflect("runs", "--event", "x", status=os.EX_USAGE)


def test_one_run_is_shown(reflect):
    reflect.write("a.toml", LAYER)
    (said,) = reflect.json("trigger", "a", status=1)
    out = reflect("show", said["run"])
    assert out.startswith("a: partial; 2 of 3 targets, 1 failed")
    assert "  s 1: exit 0, " in out
    assert "  error: s 2: exit 1\n" in out
    assert reflect.json("show", said["run"]) == [said]
    reflect("show", "nothing", status=os.EX_DATAERR)
    assert reflect.err == "hookline reflect: no run 'nothing': hookline reflect runs lists them\n"


def test_jobs_tell_when_each_is_due_and_how_it_went(reflect):
    reflect.write("a.toml", PLAIN)
    reflect.write("b.toml", LAYER)
    (reflect.home.config / "schedules.toml").write_text(
        '[schedule.night]\ncron = "0 4 * * *"\ntimezone = "Europe/Berlin"\nlayer = "a"\n'
        '[schedule.often]\nevery = "1h"\nlayer = "a"\n'
    )
    (run,) = reflect.json("trigger", "a")
    first, second = reflect.json("jobs")
    assert (first["layer"], first["last"]) == ("a", run)
    night, often = first["schedules"]
    assert (night["schedule"], night["timezone"]) == ("night", "Europe/Berlin")
    assert night["next"].endswith(("T02:00:00.000000Z", "T03:00:00.000000Z"))
    assert night["next_local"].endswith(("T04:00:00+01:00", "T04:00:00+02:00"))
    assert often["next"].endswith(":00:00.000000Z")
    assert (second["layer"], second["category"], second["description"]) == ("b", "self", "sums up")
    assert (second["schedules"], second["last"]) == ([], None)
    reflect("trigger", "b", status=1)
    assert reflect.json("jobs")[1]["last"]["errors"][0]["target"] == 2
    head, *rows = (line.split("\t") for line in reflect().splitlines())
    assert head == ["LAYER", "SCHEDULE", "WHEN", "NEXT", "LAST RUN", "STATUS"]
    assert rows[0][:3] == ["a", "night", "cron 0 4 * * * Europe/Berlin"]
    assert rows[0][3].endswith(" Europe/Berlin")
    assert rows[0][5] == "success"
    assert rows[2][:4] == ["b", "none", "when asked", ""]
    assert rows[2][5] == "partial"


def test_jobs_name_a_schedule_whose_layer_there_is_not(reflect):
    (reflect.home.config / "schedules.toml").write_text(
        '[schedule.night]\nevery = "1h"\nlayer = "a"\n'
    )
    reflect(status=os.EX_DATAERR)
    assert "schedule night: there is no layer a in " in reflect.err


def test_for_a_tick_it_is_run_once_and_says_nothing(reflect):
    reflect.write("a.toml", PLAIN)
    event, path = tick(reflect, schedule="night")
    for _ in range(2):
        assert reflect("run", "a", "--event", str(path)) == ""
        assert reflect.err == ""
    assert (reflect.home.root / "ran").read_text() == "ran\n"
    (run,) = reflect.json("runs")
    assert run["tick"] == {"id": event.id, "source": "hookline.schedule"}
    assert (run["trigger"], run["schedule"]) == ("schedule", "night")
    reflect("run", "a", "--event", str(tick(reflect)[1]))
    assert len(reflect.json("runs")) == 2


def test_a_clock_that_was_set_back_makes_no_second_run(reflect):
    reflect.write("a.toml", PLAIN)
    event, path = tick(reflect)
    ahead = rfc3339(SystemClock().now() + timedelta(hours=12))
    path.write_text(path.read_text().replace(event.time, ahead))
    for _ in range(2):
        reflect("run", "a", "--event", str(path))
    assert (reflect.home.root / "ran").read_text() == "ran\n"


@pytest.mark.parametrize(
    ("reason", "trigger"),
    [
        ("time", "schedule"),
        ("count", "schedule"),
        ("manual", "manual"),
        ("catch-up", "catch-up"),
        ("overdue", "catch-up"),
        ("time; at 0.5 times its speed: fatigue", "schedule"),
    ],
)
def test_the_reason_of_the_tick_is_that_of_the_run(reflect, reason, trigger):
    reflect.write("a.toml", PLAIN)
    reflect("run", "a", "--event", str(tick(reflect, reason=reason)[1]))
    assert reflect.json("runs")[0]["trigger"] == trigger


def test_a_run_that_failed_is_run_again_when_somebody_gives_its_tick_again(reflect):
    reflect.write("a.toml", PLAIN.replace("echo", "exit 3; echo"))
    _, path = tick(reflect)
    reflect("run", "a", "--event", str(path), status=os.EX_DATAERR)
    err = reflect.err
    (run,) = reflect.json("runs")
    assert err == (
        f"hookline reflect: layer a failed: s: exit 3; hookline reflect show {run['run']}\n"
    )
    reflect.write("a.toml", PLAIN)
    reflect("run", "a", "--event", str(path))
    assert [each["status"] for each in reflect.json("runs")] == ["success", "failed"]


def test_a_first_step_reads_the_tick(reflect):
    reflect.write("a.toml", PLAIN.replace("echo ran", "cat") + 'input = {from = "event"}\n')
    event, path = tick(reflect)
    reflect("run", "a", "--event", str(path))
    assert json.loads((reflect.home.root / "ran").read_text())["id"] == event.id
    (reflect.home.root / "ran").unlink()
    (said,) = reflect.json("trigger", "a")
    started = json.loads((reflect.home.root / "ran").read_text())
    assert (started["type"], started["id"]) == ("layer.started", said["run"])


@pytest.mark.parametrize("text", [b"", b"no event", b"[1]", b'{"specversion":"1.0"}'])
def test_what_is_no_event_is_refused(reflect, text):
    reflect.write("a.toml", PLAIN)
    path = reflect.home.root / "event"
    path.write_bytes(text)
    reflect("run", "a", "--event", str(path), status=os.EX_DATAERR)
    reflect("run", "a", "--event", str(path) + ".gone", status=os.EX_DATAERR)
    reflect("run", "a", status=os.EX_USAGE)
    assert not (reflect.home.root / "ran").exists()
