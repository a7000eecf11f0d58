"""A learning cycle is killed, or refused a call, anywhere: the next run for the same request leaves
what one undisturbed run would have, and says once that it is completed."""

from datetime import timedelta

import pytest

from hookline.app.learning import COMPLETED, DETECTED, Asked, Request, cycle
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model.clock import SystemClock, parse_rfc3339
from testing.faults.injection import CHANGES, KILL

AS_OF = parse_rfc3339("2020-11-21T03:00:00Z")
REQUEST = Request(
    date="2020-11-21", cycle_type="daily", as_of=AS_OF, event=Asked(id="r", source="t")
)
DERIVED = ("moe-learning", "routing", "metrics")


def works(root):
    """A home in which an expert has failed more often than was claimed."""
    home = Home(root)
    for folder in (home.segments, home.config, home.state):
        folder.mkdir(parents=True)
    log = Log(home)
    for n in range(12):
        time, task = AS_OF - timedelta(days=2), {"task_id": f"t{n}", "master": "a"}
        log.append("routing.decision", source="t", data={**task, "confidence": 0.9}, time=time)
        log.append("task.failed", source="t", data=task, time=time)
    return home


def left(home):
    """What the cycles have written, without what a kill has left under another name."""
    return {
        path.relative_to(home.coordination): path.read_bytes()
        for name in DERIVED
        for path in (home.coordination / name).rglob("*")
        if path.is_file() and path.suffix != ".tmp"
    }


def walk(points, tmp_path, fault, syscalls, quick):
    whole = works(tmp_path / "whole")
    cycle(whole, REQUEST, SystemClock())
    trials = []

    def trial(strike):
        home = works(tmp_path / f"home{len(trials)}")
        trials.append(home)
        ended = strike(lambda: cycle(home, REQUEST, SystemClock()) and None)
        said = left(home)
        mark = [path for path in said if path.name == "last-daily-run.txt"]
        completed = {event.id for event in Log(home).read(COMPLETED)}
        assert not mark or completed, "marked as done before it was completed"
        assert ended.status != 0 or completed
        assert all(said[path] == left(whole)[path] for path in said), "half a file"
        cycle(home, REQUEST, SystemClock())
        assert left(home) == left(whole)
        for type in (COMPLETED, DETECTED):
            ids = {event.id for event in Log(home).read(type)}
            assert ids == {event.id for event in Log(whole).read(type)}

    points.walk(trial, syscalls, fault, quick=quick)


@pytest.mark.timeout(0)
def test_killed_anywhere_the_next_run_makes_it_whole(points, tmp_path):
    walk(points, tmp_path, KILL, CHANGES, 12)


@pytest.mark.timeout(0)
def test_refused_anywhere_the_next_run_makes_it_whole(points, tmp_path):
    walk(points, tmp_path, "error=ENOSPC", ("write", "openat", "fsync", "mkdir"), 8)
