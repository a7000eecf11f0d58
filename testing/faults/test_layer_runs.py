"""Runs of layers, killed and refused at every system call: none is lost, none taken for a success,
and nothing is left of them."""

import time

import pytest

from hookline.dispatch.process import family
from hookline.log.log import Log
from hookline.model.clock import SystemClock
from hookline.schedule.layer_run import LayerRunner, Occasion
from hookline.schedule.layers import is_running, load_layer
from hookline.schedule.runs import COMPLETED, STARTED, runs
from testing.faults.injection import CHANGES, KILL

DEADLINE_S = 60.0
# Not what is opened and closed: a guard looks at every process there is, and that leaves nothing.
CALLS = (
    *(each for each in CHANGES if each not in ("openat", "close")),
    *("execve", "kill", "memfd_create", "pidfd_open", "pipe2", "rmdir", "setsid"),
)
# strace waits for all that it has seen, also where the guard of a run is killed with it.
LAYER = """
[targets]
run = "echo 1; echo 2"

[[steps]]
name = "first"
run = "sleep 2 & echo $LAYER_RUN"

[[steps]]
name = "second"
run = "cat >>$HOOKLINE_HOME/ran"
input = {from = "first"}
"""


def run(home):
    """Runs the layer, as the command does."""
    runner = LayerRunner(home, Log(home), SystemClock(), {"PATH": "/usr/bin:/bin"})
    return runner.run(load_layer(home, "it"), Occasion("manual"))


def marks(home):
    return {f"HOOKLINE_RUN={home.root}:{event.id}" for event in Log(home).read(STARTED)}


def wait_until(is_so):
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # the pace of the look


def problems(home):
    """What the log and what the steps have done do not say of each other."""
    log = Log(home)
    begun = [event.id for event in log.read(STARTED)]
    ended = {event.causationid: event.value() for event in log.read(COMPLETED)}
    path = home.root / "ran"
    ran = path.read_text().split() if path.exists() else []
    found = [f"{id} has begun and not ended" for id in begun if id not in ended]
    found += [f"{id} has ended and not begun" for id in ended if id not in begun]
    for id, said in ended.items():
        times = ran.count(id)
        if said["status"] == "success" and times != 2:
            found.append(f"{id} is a success, and was done {times} times")
        if times > 2:
            found.append(f"{id} was done {times} times")
    if [each.run for each in runs(home)] != begun[::-1]:
        found.append("the history is not that of the log")
    return found


# pytest-xdist has threads; the child that the runner forks looks at none of what they may hold.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("fault", "quick"), [(KILL, 10), ("error=ENOSPC", 4), ("error=EMFILE", 4), ("error=EIO", 3)]
)
def test_a_run_cut_short_is_known_as_such_and_leaves_nothing(points, home, fault, quick):
    home.layers.mkdir(0o750)
    (home.layers / "it.toml").write_text(LAYER)
    (home.layers / "it.toml").chmod(0o640)

    def trial(strike):
        strike(lambda: run(home) and 0)
        wait_until(lambda: not is_running(home, "it"))
        assert run(home).status == "success"
        assert problems(home) == []
        assert family(marks(home)) == set()
        assert list((home.state / "layers").iterdir()) == []

    points.walk(trial, CALLS, fault, quick=quick)
