"""Daemons that wait for ticks go on working when the scheduler is killed, and say so, once."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from hookline.log import rotate
from hookline.log.log import Log
from testing.docs.console import CHECKOUT

TYPE = "trigger.work"
SCHEDULE = """
[schedule.work]
every = "100ms"
event = "trigger.work"
catch_up = "none"
"""
IN_BASH = """
set -euo pipefail
source scripts/events/lib/wait-for-tick.sh
while wait_for_tick trigger.work 100ms --schedule work; do
  id=${HOOKLINE_TICK#*'"id":"'}
  printf '%s %s\\n' "${HOOKLINE_TICK_LOCAL:-0}" "${id%%'"'*}"
done
"""
IN_PYTHON = """
import os
from hookline import Ticks
with Ticks(os.environ["HOOKLINE_HOME"], "trigger.work", every_s=0.1, schedule="work") as ticks:
    for tick in ticks:
        print(int(ticks.is_local), tick.id, flush=True)
"""
DEADLINE_S = 60.0


class Daemon:
    """One that waits, and what it has done so far."""

    def __init__(self, home, command, name):
        self._path = home.root / name
        with open(self._path, "wb") as said:
            self.process = subprocess.Popen(
                command, cwd=CHECKOUT, stdout=said, stderr=subprocess.PIPE,
                env=os.environ | {"HOOKLINE_HOME": str(home.root)},
            )  # fmt: skip

    def done(self):
        """Of each piece of work, whether it was its own timer's, and the id of the tick."""
        whole = self._path.read_text().rpartition("\n")[0]
        return [(line[0] == "1", line[2:]) for line in whole.splitlines()]

    def end(self):
        self.process.terminate()
        return self.process.communicate(timeout=DEADLINE_S)[1].decode()


@pytest.fixture
def daemons(home):
    (home.config / "schedules.toml").write_text(SCHEDULE)
    begun = [
        Daemon(home, ["bash", "-c", IN_BASH], "in-bash"),
        Daemon(home, [sys.executable, "-c", IN_PYTHON], "in-python"),
    ]
    yield begun
    for each in begun:
        each.process.kill()
        each.process.wait()


def schedule(home):
    return subprocess.Popen(
        [sys.executable, "-m", "hookline", "schedule", "run", "--home", home.root],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def until(condition):
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # what the daemons write is no event of ours


def works_on(daemons, *, local):
    """Wait until each has worked, twice, upon its own timer's ticks or the scheduler's."""
    before = [len(each.done()) for each in daemons]

    def have_worked():
        news = zip(daemons, before, strict=True)
        return all(
            [own for own, _ in each.done()[count:]].count(local) >= 2 for each, count in news
        )

    until(have_worked)


def test_the_scheduler_is_killed_and_comes_back(home, daemons, soak_s):
    rounds = 3 + round(soak_s)
    works_on(daemons, local=True)
    for number in range(rounds):
        scheduler = schedule(home)
        works_on(daemons, local=False)
        if number % 2:
            rotate.rotate(home, "trigger")
            works_on(daemons, local=False)
        scheduler.send_signal(signal.SIGKILL)
        scheduler.wait()
        works_on(daemons, local=True)
    said = [each.end() for each in daemons]
    assert all(each.process.returncode == -signal.SIGTERM for each in daemons)
    logged = {each.id: number for number, each in enumerate(Log(home).read(TYPE))}
    said_so = [each for each in Log(home).read("schedule.*") if each.source == "wait-for-tick"]
    turns = [(each.value()["pid"], each.type) for each in said_so]
    for daemon, text in zip(daemons, said, strict=True):
        mine = [type for pid, type in turns if pid == daemon.process.pid]
        assert mine[0] == mine[-1] == "schedule.fallback"
        assert all(before != after for before, after in pairwise(mine))
        assert len(mine) >= 2 * rounds + 1
        assert len(text.splitlines()) == len(mine)
        places = [logged[id] for own, id in daemon.done() if not own]
        assert places == sorted(set(places))
        assert not any(id in logged for own, id in daemon.done() if own)
