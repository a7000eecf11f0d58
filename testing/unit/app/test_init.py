"""A home is made, and made again; what is killed at it is in testing/faults."""

import os
import shutil
import subprocess
import sys

import pytest

from hookline.app.init import init, link_command, make_folders
from hookline.log.home import Home
from hookline.model.errors import CannotCreate


@pytest.fixture
def made(tmp_path):
    """A home whose user wants none of the handlers that come with Hookline."""
    home = Home(tmp_path / "project")
    list(init(home))
    for handler in home.handlers.iterdir():
        handler.unlink()
    return home


def test_no_handler_comes_back_that_was_deleted(made):
    shutil.rmtree(made.root / "scripts/events/lib")
    (told,) = init(made)
    assert told.startswith("made ")
    assert (made.root / "scripts/events/lib/event-logger.sh").exists()
    assert list(made.handlers.iterdir()) == []
    assert list(init(made)) == []


def test_only_init_makes_the_folder_of_handlers_and_with_all_of_them(made):
    made.handlers.rmdir()
    assert list(make_folders(made)) == []
    assert f"made {made.handlers}" in init(made)
    assert (made.handlers / "on-task-failed.sh").exists()


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nothing_of_it_can_be_written_to_by_others(tmp_path, umask):
    before = os.umask(umask)
    try:
        list(init(Home(tmp_path / "project")))
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "project").rglob("*") if not path.is_symlink()]
    assert [path for path in made if path.stat().st_mode & 0o027] == []


def test_the_way_to_the_command_is_laid_where_one_was_killed_at_it(made, tmp_path, monkeypatch):
    command = tmp_path / "hookline"
    monkeypatch.setattr(sys, "argv", [str(command)])
    made.state.joinpath(f".hookline.{os.getpid()}").symlink_to("somewhere")
    link_command(made)
    assert made.state.joinpath("hookline").readlink() == command


def test_what_is_no_folder_in_the_handlers_place_is_named(made):
    made.handlers.rmdir()
    for put in (made.handlers.touch, lambda: made.handlers.symlink_to("nowhere")):
        put()
        with pytest.raises(CannotCreate, match=f"^{made.handlers} is not a folder: remove it"):
            list(init(made))
        made.handlers.unlink()
        assert not made.handlers.with_name(".handlers.new").exists()


def test_whatever_a_killed_one_has_left_is_laid_anew(made):
    made.handlers.rmdir()
    made.handlers.with_name(".handlers.new").joinpath("folder", "more").mkdir(parents=True)
    assert f"made {made.handlers}" in init(made)
    assert all(path.is_file() for path in made.handlers.iterdir())


def test_two_at_once_lay_the_handlers_once(tmp_path):
    homes = [Home(tmp_path / f"project{n}") for n in range(4)]
    command = [sys.executable, "-m", "hookline", "init"]
    running = [
        subprocess.Popen(
            [*command, home.root],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for home in homes
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    for home, *both in zip(homes, said[::2], said[1::2], strict=True):
        assert "".join(both).count(f"made {home.handlers}\n") == 1
        assert not home.handlers.with_name(".handlers.new").exists()
