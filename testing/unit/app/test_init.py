"""A home is made, and made again; what is killed at it is in testing/faults."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from hookline.app.config import load_daemons
from hookline.app.init import init, link_command, make_folders
from hookline.app.schedules import load_timetable
from hookline.log.home import Home
from hookline.model.errors import CannotCreate
from hookline.schedule.adaptive import Adaptive


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


def test_the_wizard_and_the_daemons_are_laid_down(made):
    assert os.access(made.root / "scripts/wizards/daemon-control.sh", os.X_OK)
    daemons = load_daemons(made)
    assert len(daemons) >= 13
    scripts = [made.root / each.script for each in daemons.values()]
    assert [path for path in scripts if path.exists() and not os.access(path, os.X_OK)] == []


def test_a_folder_is_synced_once(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("hookline.app.init.sync_folder", lambda folder: synced.append(str(folder)))
    list(init(Home(tmp_path / "project")))
    for folder in ("events/lib", "events/.handlers.new", "daemons", "wizards"):
        assert synced.count(str(tmp_path / "project/scripts" / folder)) == 1


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


@pytest.fixture
def project(tmp_path):
    """A folder with a bus of somebody's own: its handlers are older than its events."""
    home = Home(tmp_path / "project")
    for folder in (home.handlers, home.queue, home.coordination / "metrics"):
        folder.mkdir(parents=True, exist_ok=True)
    logger = home.root / "scripts/events/lib/event-logger.sh"
    logger.parent.mkdir()
    logger.write_text("# theirs\n")
    (home.coordination / "task-queue.json").write_text("[]\n")
    handler = home.handlers / "on-worker-complete.sh"
    handler.write_text("#!/bin/sh\ncat >>got\n")
    handler.chmod(0o750)
    installed_ns = handler.stat().st_ctime_ns
    home.live("worker").write_text('{"event_type":"worker.completed"}\n')
    while handler.stat().st_ctime_ns == installed_ns:
        # Until the clock of the file system has moved on: what init does must be another time.
        handler.chmod(0o755)
    return home


def contents(home):
    files = [path for path in home.root.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime) for path in files}


def test_a_folder_that_is_all_ours_says_so_and_is_ignored_by_git(made):
    assert {".gitignore", "README.md"} <= {path.name for path in made.coordination.iterdir()}


def test_in_a_project_with_a_bus_of_its_own_nothing_is_changed(project):
    before = contents(project)
    told = list(init(project))
    after = contents(project)
    assert {path: after[path] for path in before} == before
    logger = project.root / "scripts/events/lib/event-logger.sh"
    assert f"kept {logger}: it differs from the one that comes with this version" in told
    assert os.listdir(project.handlers) == ["on-worker-complete.sh"]
    assert [path.name for path in project.coordination.iterdir() if path.is_file()] == [
        "task-queue.json"
    ]


def test_the_handlers_of_a_project_begin_when_it_becomes_a_home(project):
    handler = project.handlers / "on-worker-complete.sh"
    since = handler.stat().st_ctime_ns
    assert "the handlers that are there, 1, begin with events from now on" in list(init(project))
    began = handler.stat().st_ctime_ns
    assert began > since
    list(init(project))
    shutil.rmtree(project.state)
    project.deliveries.touch()
    list(init(project))
    assert handler.stat().st_ctime_ns == began


def test_the_schedules_of_a_new_home_are_examples_that_work(made):
    path = made.config / "schedules.toml"
    begin = load_timetable(made)
    assert begin.adaptive == Adaptive()
    assert list(begin.schedules) == ["worker_watch", "task_retry", "worker_restart"]

    examples = re.sub(r"^# ?(?=\[|[a-z_]+ = )", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(examples)
    timetable = load_timetable(made)
    assert list(timetable.schedules) == ["nightly", "poll", "heartbeat", *begin.schedules]
    assert timetable.adaptive.types == {"power.on_battery", "power.on_mains"}
