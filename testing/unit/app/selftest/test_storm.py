"""The parts of a storm: what it starts is its own, and ends with it."""

import signal
import subprocess
import sys
import time

import pytest

from hookline.app.selftest import handlers
from hookline.app.selftest.storm import (
    DISPATCH,
    Plan,
    Storm,
    ending,
    environment,
    is_caught_up,
    notes_folder,
    start,
    writer_argv,
)
from hookline.log.log import Log


def wait(condition):
    gives_up_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < gives_up_s
        time.sleep(0.02)  # other processes tell nobody


def test_nothing_of_another_home_or_event_comes_through(home, monkeypatch):
    monkeypatch.setenv("CORTEX_HOME", "elsewhere")
    monkeypatch.setenv("EVENT_ID", "another")
    monkeypatch.setenv("TRACEPARENT", "another")
    assert environment(home).keys() & {"CORTEX_HOME", "EVENT_ID", "TRACEPARENT"} == set()
    assert environment(home)["HOOKLINE_HOME"] == str(home.root)


@pytest.mark.parametrize("kind", ["append", "sync", "batch", "sourced", "process"])
def test_a_writer_notes_what_was_acknowledged(home, kind):
    notes_folder(home).mkdir()
    path = notes_folder(home) / kind

    def noted():
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[0] for line in lines if not line.startswith("try ")]

    with ending(home) as processes:
        start(home, writer_argv(home, kind, 1, 0.01), processes)
        wait(lambda: len(noted()) > 10)
    logged = [event.id for event in Log(home).read("storm.*")]
    assert [each for each in logged if each in noted()] == noted()
    assert (home.root / "said").read_text() == ""


def test_what_was_tried_before_a_kill_is_tried_again_under_the_same_id(home):
    notes_folder(home).mkdir()
    (notes_folder(home) / "append").write_text("try before storm.note\n")
    with ending(home) as processes:
        start(home, writer_argv(home, "append", 1, 0.01), processes)
        wait(lambda: list(Log(home).read("storm.*")))
    first, *_ = Log(home).read("storm.*")
    assert (first.id, first.type) == ("before", "storm.note")


def test_a_home_is_caught_up_when_all_is_settled(home):
    assert not is_caught_up(home)
    handlers.install(home)
    Log(home).append("storm.task", source="test", data={"n": 1, "k": "k1", "fails": 1})
    assert not is_caught_up(home)
    with ending(home) as processes:
        start(home, DISPATCH, processes)
        wait(lambda: is_caught_up(home))
    for name in handlers.HANDLERS:
        assert (home.root / f"{name}.runs").read_text().count("end ") == 2


def test_a_dead_letter_that_is_replayed_is_known_by_its_event(home):
    handlers.install(home)
    event = Log(home).append("storm.task", source="test", data={"n": 1, "k": "k1", "fails": 9})
    with ending(home) as processes:
        start(home, DISPATCH, processes)
        wait(lambda: is_caught_up(home))
    storm = Storm(home, Plan(seed=1, lasts_s=0.0), lambda _: None)
    for _ in handlers.HANDLERS:
        storm._replay()
    assert storm.tally.replayed == {(name, event.id) for name in handlers.HANDLERS}


# A storm is told to end while what it starts is not yet a program of its own.
TOLD_TO_END = """
import os, sys, time
from pathlib import Path
from hookline.app.selftest import storm
from hookline.cli.ending import end_on_term
from hookline.log.home import Home
told, tell = os.pipe()
end_with = storm._end_with
def slow(parent, mask):
    os.write(tell, str(os.getpid()).encode())
    os.kill(parent, 15)
    time.sleep(0.3)  # time to hear the signal, and to end without it
    end_with(parent, mask)
storm._end_with = slow
end_on_term()
home = Home(Path(sys.argv[1]))
try:
    with storm.ending(home) as processes:
        storm.start(home, ["sleep", "60"], processes)
except SystemExit:
    os.kill(int(os.read(told, 20)), 0)
"""


def test_what_starts_as_a_signal_comes_ends_with_the_rest(home):
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_END, home.root],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "ProcessLookupError: [Errno 3] No such process"


def test_what_starts_hears_signals(home):
    with ending(home) as processes:
        process = start(home, ["sleep", "60"], processes)
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM


# A storm is killed before what it starts has asked the kernel to be told of it.
TOO_LATE = """
import os, sys
from pathlib import Path
from hookline.app.selftest import storm
from hookline.dispatch.process import become_subreaper
from hookline.log.home import Home
prctl = storm._LIBC.prctl
class Late:
    def prctl(self, *arguments):
        parent = os.getppid()
        os.kill(parent, 9)
        while os.getppid() == parent:
            pass
        return prctl(*arguments)
become_subreaper()
if not os.fork():
    storm._LIBC = Late()
    storm.start(Home(Path(sys.argv[1])), ["sh", "-c", "echo it goes on >&2"], [])
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def test_what_starts_as_the_storm_is_killed_does_not_go_on(home):
    subprocess.run([sys.executable, "-c", TOO_LATE, home.root], check=True, timeout=40)
    assert (home.root / "said").read_bytes() == b""


def test_a_dispatcher_or_a_writer_that_ends_by_itself_is_a_problem(home):
    def told(tally):
        if tally.raged_s:
            return
        for process in (storm._dispatcher, storm._writers["append"]):
            process.kill()

    often = (0.0, 0.1)
    storm = Storm(home, Plan(seed=1, lasts_s=3.0, dispatcher_s=often, writer_s=often), told)
    found = storm.run().problems
    assert "a dispatcher ended by itself with -9" in found
    assert "the writer append ended by itself" in found
