"""A log on its way to disk: whatever becomes of a sync, nothing is taken for synced that is not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.log.files import append_line
from hookline.log.home import Home
from hookline.log.stream import BEGINNING, Stream
from hookline.log.sync import sync_now
from hookline.model.errors import TryAgain, WriteFailed


@pytest.fixture(name="live")
def make_live(tmp_path: Path) -> Path:
    home = Home(tmp_path)
    for folder in (home.events, home.segments):
        folder.mkdir(parents=True)
    live = home.live("test")
    append_line(live, b"a")
    return live


@pytest.fixture(name="stream")
def make_stream(tmp_path: Path, live: Path) -> Iterator[Stream]:
    with Stream(live, Home(tmp_path).segments, "test-events") as stream:
        stream.read(BEGINNING)
        yield stream


@pytest.fixture(name="synced")
def make_synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were synced."""
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    )
    return synced


def test_it_goes_on_when_the_files_of_its_log_are_closed(
    stream: Stream, live: Path, synced: list[str]
) -> None:
    sync = stream.begin_sync()
    stream.close()
    sync_now(sync)
    assert synced == [str(live)]


def test_what_is_read_since_it_began_is_in_the_next(
    stream: Stream, live: Path, synced: list[str]
) -> None:
    sync = stream.begin_sync()
    append_line(live, b"b")
    stream.read(stream.end()._replace(offset=2))
    sync_now(sync)
    sync_now(stream.begin_sync())
    assert synced == [str(live)] * 2
    sync_now(stream.begin_sync())
    assert synced == [str(live)] * 2


def test_one_that_never_ran_is_in_the_next(stream: Stream, live: Path, synced: list[str]) -> None:
    with pytest.raises(TryAgain, match="it has not run"):
        stream.begin_sync().end()
    stream.begin_sync()
    sync = stream.begin_sync()
    assert synced == []
    assert len(sync.folders) == 2
    sync_now(sync)
    assert synced == [str(live)]


def test_a_folder_that_could_not_be_synced_is_synced_by_the_next(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "EIO")))
        with pytest.raises(WriteFailed, match="cannot be synced"):
            sync_now(stream.begin_sync())
    folders: list[int] = []
    monkeypatch.setattr(os, "fsync", folders.append)
    sync_now(stream.begin_sync())
    assert len(folders) == 2


def test_whatever_goes_wrong_in_its_thread_is_told_by_its_end(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = stream.begin_sync()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(MemoryError))
        sync.run()
    with pytest.raises(TryAgain, match="test-events cannot be synced now"):
        sync.end()
    sync_now(stream.begin_sync())


def test_what_it_cannot_give_back_does_not_end_its_thread(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system in user space may refuse even that. Nothing was written through it."""
    sync = stream.begin_sync()
    close = os.close

    def refuse(fd: int) -> None:
        close(fd)
        raise OSError(107, "Transport endpoint is not connected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", refuse)
        patch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(107, "ENOTCONN")))
        sync.run()
    with pytest.raises(WriteFailed, match="cannot be synced"):
        sync.end()


def test_it_needs_no_descriptor_for_longer_than_it_runs(stream: Stream) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sync_now(stream.begin_sync())
    stream.begin_sync(whole=True).run()
    sync_now(stream.begin_sync())
    assert len(os.listdir("/proc/self/fd")) == before
