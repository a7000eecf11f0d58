"""Runs of layers as processes: one at a time, told by the log, and nothing is left of them."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from hookline.dispatch.process import family
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.schedule.layers import is_running
from hookline.schedule.runs import COMPLETED, STARTED, last_done_us, runs

DEADLINE_S = 60.0
SLOW = """
[[steps]]
name = "first"
run = "echo done"

[[steps]]
name = "slow"
run = '''touch "$HOOKLINE_HOME/slow"; setsid sleep 600 & (sleep 600 &) ; sleep 600; :'''
"""


class Layers:
    """A home with layers, and processes that run them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.layers.mkdir(0o750)
        self.running: list[subprocess.Popen[str]] = []

    def write(self, name, text):
        path = self.home.layers / f"{name}.toml"
        path.write_text(text)
        path.chmod(0o640)

    def start(self, *arguments, file_bytes_max=None, **env):
        limit = [] if file_bytes_max is None else ["prlimit", f"--fsize={file_bytes_max}"]
        running = subprocess.Popen(
            [*limit, sys.executable, "-m", "hookline", "reflect", *arguments],
            env={**os.environ, "HOOKLINE_HOME": str(self.home.root), **env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.running.append(running)
        return running

    def run(self, *arguments, **more):
        running = self.start(*arguments, **more)
        out, err = running.communicate(timeout=DEADLINE_S)
        return running.returncode, out, err

    def trigger(self, name, *arguments, **env):
        status, out, err = self.run("trigger", name, "--json", *arguments, **env)
        assert out, err
        return status, json.loads(out)

    def slow(self):
        """A run that is at its second step."""
        self.write("slow", SLOW)
        running = self.start("trigger", "slow")
        self.wait_until((self.home.root / "slow").exists)
        self.wait_until(lambda: len(self.left()) >= 3)
        return running

    def events(self, type):
        return list(Log(self.home).read(type))

    def left(self):
        """What is left of all runs."""
        marks = {f"HOOKLINE_RUN={self.home.root}:{event.id}" for event in self.events(STARTED)}
        return family(marks)

    def wait_until(self, is_so):
        deadline_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)  # the pace of the look

    def close(self):
        for running in self.running:
            if running.poll() is None:
                running.kill()
            running.communicate()
        self.wait_until(lambda: not self.left())


@pytest.fixture
def layers(home):
    made = Layers(home)
    yield made
    made.close()


def test_a_run_is_begun_and_completed_by_an_event_each(layers):
    layers.write("a", '[[steps]]\nname = "s"\nrun = "echo hi"\n')
    status, said = layers.trigger("a")
    assert (status, said["status"], said["trigger"]) == (0, "success", "manual")
    ((started,), (completed,)) = layers.events(STARTED), layers.events(COMPLETED)
    assert (started.id, started.subject, started.source) == (said["run"], "a", "hookline.layers")
    assert completed.value() == said
    assert completed.causationid == started.id
    assert completed.id == f"{started.id}.completed"
    assert said["started_at"] == started.time
    assert said["completed_at"] <= completed.time
    assert said["duration_s"] >= 0
    (step,) = said["steps"]
    assert (step["step"], step["exit"], step["output_bytes"]) == ("s", 0, 3)
    assert [each.run for each in runs(layers.home)] == [said["run"]]
    assert not list((layers.home.state / "layers").iterdir())


def test_what_a_step_emits_has_the_run_for_its_cause(layers):
    emit = f"{sys.executable} -m hookline emit note.made"
    layers.write("a", f'[[steps]]\nname = "s"\nrun = "{emit}"\n')
    assert layers.trigger("a")[0] == 0
    ((started,), (note,)) = layers.events(STARTED), layers.events("note.made")
    assert (note.causationid, note.correlationid, note.hops) == (started.id, started.id, 1)


def test_steps_have_a_clean_environment(layers):
    layers.write("a", '[[steps]]\nname = "s"\nrun = "env >$HOOKLINE_HOME/env"\n')
    _, said = layers.trigger("a", SECRET="x", EVENT_ID="y")
    settings = dict(
        line.partition("=")[::2] for line in (layers.home.root / "env").read_text().splitlines()
    )
    assert "SECRET" not in settings
    assert settings["EVENT_ID"] == settings["LAYER_RUN"] == said["run"]
    assert (settings["LAYER"], settings["LAYER_STEP"]) == ("a", "s")
    assert settings["HOOKLINE_RUN"] == f"{layers.home.root}:{said['run']}"
    assert settings["PATH"].endswith(":/usr/sbin:/usr/bin:/sbin:/bin")


def test_in_a_handler_its_steps_are_also_of_the_handlers_run(layers):
    layers.write("a", '[[steps]]\nname = "s"\nrun = "echo $HOOKLINE_ATTEMPT >$HOOKLINE_HOME/env"\n')
    layers.trigger("a", HOOKLINE_ATTEMPT="of-the-handler", EVENT_ID="tick-1")
    assert (layers.home.root / "env").read_text() == "of-the-handler\n"
    (started,) = layers.events(STARTED)
    assert started.causationid == "tick-1"


def test_a_second_run_says_so_and_does_nothing(layers):
    running = layers.slow()
    status, out, err = layers.run("trigger", "slow")
    assert (status, out) == (os.EX_TEMPFAIL, "")
    assert err == ("hookline reflect: layer slow is running already: hookline reflect runs slow\n")
    assert len(layers.events(STARTED)) == 1
    assert is_running(layers.home, "slow")
    assert running.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end_it_ends_its_step_and_says_so(layers, number):
    running = layers.slow()
    running.send_signal(number)
    assert running.wait(DEADLINE_S) == 128 + number
    assert layers.left() == set()
    (completed,) = layers.events(COMPLETED)
    said = completed.value()
    assert (said["status"], said["reason"]) == ("failed", "interrupted")
    assert [each["step"] for each in said["steps"]] == ["first"]
    assert not list((layers.home.state / "layers").iterdir())


def test_killed_it_leaves_no_process_and_is_no_success(layers):
    running = layers.slow()
    running.kill()
    running.wait()
    layers.wait_until(lambda: not layers.left())
    layers.wait_until(lambda: not is_running(layers.home, "slow"))
    assert layers.events(COMPLETED) == []
    (found,) = runs(layers.home)
    assert (found.status, found.reason) == ("failed", "interrupted")
    assert last_done_us(layers.home, {"slow"}) == {}


def test_the_next_run_says_of_the_killed_one_that_it_was_interrupted_once(layers):
    running = layers.slow()
    running.kill()
    running.wait()
    layers.wait_until(lambda: not is_running(layers.home, "slow"))
    layers.write("slow", '[[steps]]\nname = "s"\nrun = "true"\n')
    for _ in range(2):
        assert layers.trigger("slow")[1]["status"] == "success"
    said = [each.value() for each in layers.events(COMPLETED)]
    assert [each["status"] for each in said] == ["failed", "success", "success"]
    assert said[0]["reason"] == "interrupted"
    assert layers.events(COMPLETED)[0].causationid == layers.events(STARTED)[0].id
    assert not list((layers.home.state / "layers").iterdir())


def test_until_the_killed_ones_steps_are_gone_there_is_no_other_run(layers):
    """The guard is stopped before it can end them, and has the lock."""
    running = layers.slow()
    with open(f"/proc/{running.pid}/task/{running.pid}/children") as file:
        children = [int(pid) for pid in file.read().split()]
    guard = next(pid for pid in children if pid not in {kin.pid for kin in layers.left()})
    os.kill(guard, signal.SIGSTOP)
    try:
        running.kill()
        running.wait()
        assert layers.run("trigger", "slow")[0] == os.EX_TEMPFAIL
    finally:
        os.kill(guard, signal.SIGCONT)
    layers.wait_until(lambda: not layers.left())


def test_where_the_guard_was_killed_too_the_next_run_ends_what_is_left(layers):
    running = layers.slow()
    steps = {kin.pid for kin in layers.left()}
    with open(f"/proc/{running.pid}/task/{running.pid}/children") as file:
        guard = next(int(pid) for pid in file.read().split() if int(pid) not in steps)
    os.kill(guard, signal.SIGKILL)
    running.kill()
    running.wait()
    assert layers.left()
    layers.write("slow", '[[steps]]\nname = "s"\nrun = "true"\n')
    assert layers.trigger("slow")[1]["status"] == "success"
    assert layers.left() == set()


def test_nothing_that_a_run_has_started_outlives_it(layers):
    layers.write("a", '[[steps]]\nname = "s"\nrun = "setsid sleep 600 & sleep 600 & exit 0"\n')
    assert layers.trigger("a")[1]["status"] == "success"
    assert layers.left() == set()


def test_killed_anywhere_no_run_is_lost_or_taken_for_a_success(layers, chance: random.Random):
    text = '[[steps]]\nname = "s"\nrun = "sleep 0.05; echo $LAYER_RUN >>$HOOKLINE_HOME/ran"\n'
    layers.write("a", text + text.replace('"s"', '"t"'))
    for _ in range(8):
        running = layers.start("trigger", "a")
        try:
            running.wait(chance.uniform(0.1, 0.6))
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        layers.wait_until(lambda: not layers.left())
        layers.wait_until(lambda: not is_running(layers.home, "a"))
    assert layers.trigger("a")[1]["status"] == "success"
    ended = {each.causationid: each.value()["status"] for each in layers.events(COMPLETED)}
    assert ended.keys() == {each.id for each in layers.events(STARTED)}
    ran = (layers.home.root / "ran").read_text().split()
    for run, status in ended.items():
        if status == "success":
            assert ran.count(run) == 2
    assert [each.status for each in runs(layers.home)].count("running") == 0


def test_without_room_in_the_log_nothing_is_run(layers):
    layers.write("a", '[[steps]]\nname = "s"\nrun = "touch $HOOKLINE_HOME/ran"\n')
    status, _, err = layers.run("trigger", "a", file_bytes_max=0)
    assert status == os.EX_IOERR
    assert "layer-events.jsonl" in err
    assert not (layers.home.root / "ran").exists()


def test_a_state_that_is_deleted_meanwhile_is_a_failed_step_and_no_more(layers):
    layers.write(
        "a",
        '[[steps]]\nname = "s"\nrun = "rm -rf $HOOKLINE_HOME/coordination/state"\n'
        '[[steps]]\nname = "t"\nrun = "true"\ninput = {from = "s"}\n',
    )
    status, said = layers.trigger("a")
    assert (status, said["status"]) == (1, "failed")
    assert layers.trigger("a")[1]["status"] == "failed"
