"""A scheduler that is struck at any point of its way, from its start to its end, between append,
sync and save: the next one goes on as if nothing had been."""

import os
import sys
from collections import Counter

import pytest

from hookline.log.home import Home
from testing.faults.injection import CHANGES, KILL
from testing.unit.schedule.desk import Desk

TABLES = """
[schedule.all]
every = "1s"
event = "a.due"
catch_up = "all"

[schedule.other]
every = "2s"
event = "b.due"
catch_up = "all"

[schedule.last]
every = "2s"
event = "a.last"
overlap = "skip"

[schedule.five]
after = 5
of = "x.*"
event = "a.five"
"""


class Trials:
    """Each in a home of its own. The times are seconds after the desk's beginning."""

    def __init__(self, folder):
        self._folder, self._count = folder, 0

    def __call__(self, strike):
        self._count += 1
        home = Home(self._folder / f"home{self._count}")
        for folder in (home.segments, home.queue, home.state, home.config, home.handlers):
            folder.mkdir(parents=True)
        desk = Desk(home, TABLES)
        desk.at(1).at(2)
        for _ in range(4):
            desk.emit("x.y")
        desk.close()
        desk.emit("x.y").clock.advance(3)

        def go_on():
            try:
                desk.open()
            except OSError as refused:
                print(refused, file=sys.stderr)
                return os.EX_IOERR
            desk.close()
            return 0

        ended = strike(go_on)
        assert "Traceback" not in ended.stderr, ended.stderr
        desk.clock.advance(1)
        desk.open()
        desk.at(7).kill()
        check(desk)


def check(desk):
    """Each time has its tick, and no event is there twice."""
    assert desk.ticks("all") == [1, 2, 3, 4, 5, 6, 7]
    assert desk.ticks("other") == [2, 4, 6]
    assert desk.ticks("last") in ([2, 4, 6], [2, 6])
    assert len(desk.ticks("five")) == 1
    ids = Counter(event.id for event in desk.events())
    assert ids.total() == len(ids)


@pytest.mark.timeout(0)
def test_killed_anywhere_it_appends_each_tick_once(points, tmp_path):
    points.walk(Trials(tmp_path), CHANGES, KILL, quick=40)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_refused_anywhere_it_appends_each_tick_once(points, tmp_path, error):
    changes = ("write", "fdatasync", "fsync", "rename", "mkdir")
    points.walk(Trials(tmp_path), changes, f"error={error}", quick=15)
