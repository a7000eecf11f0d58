"""Working folders are used again only as they were found, and by their own handler."""

import os
from pathlib import Path

import pytest

from hookline.dispatch.folders import Folders


@pytest.fixture(name="folders")
def make_folders(tmp_path):
    folders = Folders(tmp_path / "runs")
    yield folders
    folders.close()
    assert list(tmp_path.glob("runs/*")) == []


def used(folders, spoil, *, deserted=True):
    """Give one back after this was done to it: the next that the handler gets."""
    first = folders.take("on-a.sh")
    spoil(Path(first.path))
    folders.give_back("on-a.sh", first, deserted=deserted)
    second = folders.take("on-a.sh")
    assert os.listdir(second.path) == []
    assert os.stat(second.path).st_mode & 0o777 == 0o700
    folders.give_back("on-a.sh", second, deserted=True)
    return second == first


def test_one_that_was_left_empty_is_used_again(folders):
    assert used(folders, lambda path: (path / "x").touch() or (path / "x").unlink())


def test_two_runs_never_share_one(folders):
    one, two = folders.take("on-a.sh"), folders.take("on-a.sh")
    assert one.path != two.path
    for each in (one, two):
        folders.give_back("on-a.sh", each, deserted=True)


def test_another_handler_gets_another_one(folders):
    first = folders.take("on-a.sh")
    folders.give_back("on-a.sh", first, deserted=True)
    second = folders.take("on-b.sh")
    assert second.path != first.path
    folders.give_back("on-b.sh", second, deserted=True)


def replaced(path):
    path.rename(f"{path}.moved")
    path.mkdir(0o700)
    os.rmdir(f"{path}.moved")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path / "left").touch(),
        lambda path: (path / "deep" / "er").mkdir(parents=True),
        lambda path: path.chmod(0o755),
        lambda path: path.chmod(0),
        lambda path: path.rmdir(),
        replaced,
        lambda path: (path.rmdir(), path.symlink_to("/tmp"), path.unlink()),
    ],
    ids=["a file", "folders", "opened", "locked", "removed", "replaced", "gone"],
)
def test_one_that_was_changed_is_not_used_again(folders, spoil):
    assert not used(folders, spoil)


def test_one_with_somebody_in_it_is_not_used_again(folders):
    assert not used(folders, lambda _: None, deserted=False)


def test_one_that_is_lost_while_it_waits_is_made_again(folders):
    first = folders.take("on-a.sh")
    folders.give_back("on-a.sh", first, deserted=True)
    os.rmdir(first.path)
    second = folders.take("on-a.sh")
    assert Path(second.path).is_dir()
    folders.give_back("on-a.sh", second, deserted=True)


@pytest.mark.parametrize("shortage", [OSError(24, "too many open files"), MemoryError()], ids=str)
def test_one_that_cannot_be_looked_into_now_is_not_used_again(folders, monkeypatch, shortage):
    first = folders.take("on-a.sh")
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda _: (_ for _ in ()).throw(shortage))
        folders.give_back("on-a.sh", first, deserted=True)
    second = folders.take("on-a.sh")
    assert second.inode != first.inode or second.path != first.path
    folders.give_back("on-a.sh", second, deserted=True)
