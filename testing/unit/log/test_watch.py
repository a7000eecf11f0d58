"""Being told of changes in folders."""

import os
import select
from pathlib import Path

import pytest

from hookline.log import watch as watching
from hookline.log.watch import Watch

WAIT_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "events"
    folder.mkdir()
    return folder


def test_a_change_wakes_and_is_named(folder: Path) -> None:
    with Watch([folder]) as watch:
        assert (watch.wait(0.0), watch.read(), watch.polling) == (False, set(), False)
        (folder / "a").write_bytes(b"x")
        assert watch.wait(WAIT_S)
        assert watch.read() == {"a"}
        with open(folder / "a", "ab", buffering=0) as file:
            file.write(b"y")
            assert watch.wait(WAIT_S)
            assert watch.read() == {"a"}


def test_its_descriptor_serves_poll(folder: Path) -> None:
    with Watch([folder]) as watch:
        poll = select.poll()
        poll.register(watch.fd, select.POLLIN)
        assert poll.poll(0) == []
        (folder / "a").touch()
        assert poll.poll(WAIT_S * 1000)
        watch.read()
        assert poll.poll(0) == []


def test_a_rename_tells_both_names(folder: Path) -> None:
    (folder / "a").touch()
    with Watch([folder]) as watch:
        (folder / "a").rename(folder / "b")
        assert watch.read() == {"a", "b"}


def test_several_folders_are_watched(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Watch([folder, other]) as watch:
        (folder / "a").touch()
        (other / "b").touch()
        assert watch.read() == {"a", "b"}


def test_an_overflow_says_look_at_everything(folder: Path) -> None:
    with Watch([folder]) as watch:
        first = os.open(folder / "a", os.O_CREAT | os.O_WRONLY)
        second = os.open(folder / "b", os.O_CREAT | os.O_WRONLY)
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for _ in range(limit // 2 + 10):
            # Two files in turn: the kernel joins repeated events of one.
            os.write(first, b"x")
            os.write(second, b"x")
        assert watch.read() is None
        os.write(first, b"x")
        assert watch.read() == {"a"}
        os.close(first)
        os.close(second)


def still_polling(watch: Watch) -> bool:
    """As a function, because a property may change and the type checker does not think so."""
    return watch.polling


def test_a_folder_that_comes_later_is_watched_from_then_on(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with Watch([folder]) as watch:
        assert watch.polling
        folder.mkdir()
        assert watch.wait(WAIT_S)
        assert watch.read() is None
        assert not still_polling(watch)
        (folder / "a").touch()
        assert watch.wait(WAIT_S)
        assert watch.read() == {"a"}


@pytest.mark.parametrize("away", ["move", "remove"])
def test_a_folder_made_anew_is_watched_again(folder: Path, tmp_path: Path, away: str) -> None:
    with Watch([folder]) as watch:
        if away == "move":
            folder.rename(tmp_path / "old")
        else:
            folder.rmdir()
        assert watch.wait(WAIT_S)
        assert watch.read() is None
        folder.mkdir()
        while watch.polling:
            assert watch.wait(WAIT_S)
            watch.read()
        if away == "move":
            (tmp_path / "old" / "there").touch()
        (folder / "here").touch()
        assert watch.read() == {"here"}


def test_without_inotify_it_looks_by_the_clock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user has 128 instances, and other programs take them too."""
    monkeypatch.setattr(watching, "_inotify", lambda: -1)
    with Watch([folder]) as watch:
        assert watch.polling
        for _ in range(2):
            assert watch.wait(WAIT_S)
            assert watch.read() is None
        assert not watch.wait(0.0)


def test_instances_used_up_are_no_error(folder: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if limit > 1000:
        pytest.skip(f"this machine allows {limit} instances")
    watches = [Watch([folder]) for _ in range(limit + 2)]
    try:
        assert watches[-1].polling
        assert watches[-1].wait(WAIT_S)
        assert watches[-1].read() is None
    finally:
        for watch in watches:
            watch.close()


def test_polling_can_be_asked_for(folder: Path) -> None:
    with Watch([folder], poll_only=True) as watch:
        assert watch.polling
        assert watch.wait(WAIT_S)
        assert watch.read() is None


def test_everything_is_given_back(folder: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with Watch([folder, folder / "missing"]):
        pass
    assert os.listdir("/proc/self/fd") == before
