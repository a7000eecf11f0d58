"""Handlers and schedules of a new home, run by a dispatcher and a scheduler: nobody else is there
to notice that all workers are silent."""

import json
import os
import subprocess
import sys
import time

import pytest

from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model.clock import parse_rfc3339

DEADLINE_S = 60.0


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    hookline("init", home)
    for path in home.handlers.iterdir():
        if path.name not in {"on-worker-heartbeat.sh", "on-worker-restart-stale.sh"}:
            path.unlink()
    return home


def hookline(command, home):
    argv = [sys.executable, "-m", "hookline", *command.split()]
    env = {**os.environ, "HOOKLINE_HOME": str(home.root)}
    where = [str(home.root)] if command == "init" else []
    subprocess.run([*argv, *where], env=env, check=True, capture_output=True, timeout=DEADLINE_S)


def until_told(home, count=1):
    """The alerts, once there are so many."""
    ends_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends_s:
        hookline("schedule run-due", home)
        hookline("dispatch --once", home)
        alerts = list(Log(home).read("system.health_alert"))
        if len(alerts) >= count:
            return alerts
    raise AssertionError("nobody was missed")


def test_a_fleet_that_falls_silent_is_reported(home):
    log = Log(home)
    hookline("dispatch --once", home)
    for n in (1, 2):
        data = {"worker_id": f"w{n}", "stale_after_s": 1.5}
        last = log.append("worker.heartbeat", source="test", data=data)
    hookline("dispatch --once", home)
    hookline("schedule run-due", home)
    (alert,) = until_told(home)
    assert alert.value()["workers"] == ["w1", "w2"]
    silent = parse_rfc3339(alert.time) - parse_rfc3339(last.time)
    assert silent.total_seconds() >= 1.5
    (due,) = log.read("worker.watch_due")
    assert alert.causationid == due.id
    # Nobody is left to be watched: nothing more is asked for.
    (_,) = log.read("worker.watch_planned")


def test_a_backlog_makes_nobody_stale(home):
    """Heartbeats wait for a dispatcher, and the tick waits behind them."""
    log = Log(home)
    hookline("dispatch --once", home)
    log.append("worker.heartbeat", source="w1", data={"stale_after_s": 1})
    hookline("dispatch --once", home)
    ends_s = time.monotonic() + DEADLINE_S
    while not list(log.read("worker.watch_due")) and time.monotonic() < ends_s:
        # However long that takes here.
        log.append("worker.heartbeat", source="w1", data={"stale_after_s": 600})
        hookline("schedule run-due", home)
    hookline("dispatch --once", home)
    assert list(log.read("worker.watch_due"))
    assert list(log.read("system.health_alert")) == []
    pool = json.loads((home.coordination / "worker-pool.json").read_text())
    assert [worker["status"] for worker in pool["workers"]] == ["running"]
