"""One dispatcher for each home, and those who only look are in nobody's way."""

import fcntl
import os

import pytest

from hookline.dispatch.lock import Lock, holder
from hookline.log import files
from hookline.model.errors import BadConfig, TryAgain


def test_a_second_one_is_refused_and_told_who_runs(bench):
    lock = Lock(bench.home)
    assert holder(bench.home) == os.getpid()
    with pytest.raises(TryAgain, match=f"runs already .*process {os.getpid()}"):
        Lock(bench.home)
    lock.close()
    assert holder(bench.home) is None
    Lock(bench.home).close()


def test_somebody_who_looks_just_then_keeps_nobody_from_starting(bench, monkeypatch):
    look = os.open(bench.home.coordination, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(look, fcntl.LOCK_SH)
    # Instead of waiting, the look comes to its end.
    monkeypatch.setattr(files.time, "sleep", lambda _: fcntl.flock(look, fcntl.LOCK_UN))
    Lock(bench.home).close()
    os.close(look)


def test_where_there_is_no_home_it_says_how_to_make_one(bench):
    for path in bench.home.coordination.iterdir():
        path.rename(bench.home.root / path.name)
    bench.home.coordination.rmdir()
    with pytest.raises(BadConfig, match="hookline init"):
        Lock(bench.home)
