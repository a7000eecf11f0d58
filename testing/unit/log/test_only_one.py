"""At most one process of a kind for each home, and those who only look are in nobody's way."""

import fcntl
import os
import resource

import pytest

from hookline.log import files
from hookline.log.only_one import OnlyOne, holder_of
from hookline.model.errors import BadConfig, TryAgain


def test_a_second_one_is_refused_and_told_who_runs(home):
    lock = OnlyOne(home, home.config, "drummer")
    assert holder_of(home, home.config, "drummer") == os.getpid()
    with pytest.raises(TryAgain, match=f"a drummer runs already .*process {os.getpid()}"):
        OnlyOne(home, home.config, "drummer")
    lock.close()
    assert holder_of(home, home.config, "drummer") is None
    OnlyOne(home, home.config, "drummer").close()


def test_somebody_who_looks_just_then_keeps_nobody_from_starting(home, monkeypatch):
    look = os.open(home.config, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(look, fcntl.LOCK_SH)
    # Instead of waiting, the look comes to its end.
    monkeypatch.setattr(files.time, "sleep", lambda _: fcntl.flock(look, fcntl.LOCK_UN))
    OnlyOne(home, home.config, "drummer").close()
    os.close(look)


def test_the_state_folder_may_be_deleted_while_it_is_held(home):
    lock = OnlyOne(home, home.config, "drummer")
    (home.state / "drummer.pid").unlink()
    home.state.rmdir()
    assert holder_of(home, home.config, "drummer") == 0
    lock.close()


def test_a_folder_that_is_missing_is_made_but_not_a_home(home):
    home.config.rmdir()
    assert holder_of(home, home.config, "drummer") is None
    OnlyOne(home, home.config, "drummer").close()
    for path in home.coordination.iterdir():
        path.rename(home.root / path.name)
    home.coordination.rmdir()
    with pytest.raises(BadConfig, match="hookline init"):
        OnlyOne(home, home.config, "drummer")


def test_who_finds_no_room_for_its_number_has_the_lock_all_the_same(home):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        lock = OnlyOne(home, home.config, "drummer")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert holder_of(home, home.config, "drummer") == 0
    lock.close()
