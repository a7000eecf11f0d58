"""`hookline init` is killed anywhere: the next one makes a whole home of what is there."""

import signal

import pytest

from hookline.app.init import init
from hookline.log.home import Home
from testing.faults.injection import CHANGES, KILL


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def texts(home):
    """What each file says, without those that a kill has left under another name."""
    return {
        path.relative_to(home.root): path.read_bytes()
        for path in home.root.rglob("*")
        if path.is_file() and not (path.name.startswith(".") and path.suffix == ".tmp")
    }


@pytest.mark.timeout(0)
def test_killed_anywhere_the_next_one_lays_down_all_of_it(points, tmp_path):
    whole = Home(tmp_path / "whole")
    list(init(whole))
    trials = []

    def trial(strike):
        home = Home(tmp_path / f"home{len(trials)}")
        trials.append(home)
        ended = strike(lambda: list(init(home)) and None)
        assert ended.status in (0, -signal.SIGKILL), ended
        assert not home.handlers.exists() or names(home.handlers) == names(whole.handlers)
        again = list(init(home))
        assert not [line for line in again if line.startswith("kept")], again
        assert texts(home) == texts(whole)
        assert names(home.handlers) == names(whole.handlers)

    points.walk(trial, (*CHANGES, "rmdir"), KILL, quick=24)
