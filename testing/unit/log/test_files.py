"""Appending one line, and putting whole files in place."""

import errno
import fcntl
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookline.log import files
from hookline.log.files import LogFull, append_line, durable_write, flock_within, open_append
from hookline.model.errors import CannotCreate, TryAgain, WriteFailed


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "x-events.jsonl"


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may become; the kernel then writes a part, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_follow_each_other(log: Path) -> None:
    append_line(log, b"a")
    append_line(log, b"b", sync=True)
    assert log.read_bytes() == b"a\nb\n"


def test_a_line_is_one_write(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []

    def write(_: int, data: bytes) -> int:
        writes.append(bytes(data))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    append_line(log, b"x" * 200_000)
    assert [len(each) for each in writes] == [200_001]


@pytest.mark.parametrize("left", [b"", b"a\n", b"a\nto", b"\0\0"])
def test_a_whole_line_is_glued_to_nothing_that_was_torn_before(log: Path, left: bytes) -> None:
    log.write_bytes(left)
    append_line(log, b"b\nc", whole=True)
    append_line(log, b"d", whole=True)
    assert log.read_bytes() == (left and left.rstrip(b"\n") + b"\n") + b"b\nc\nd\n"


@pytest.mark.parametrize("piece", [b"to", b"to\n", b"whole\n"])
def test_a_whole_line_is_not_lost_by_a_write_that_comes_short_at_the_same_time(
    log: Path, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_line(log, b"a")
    write_lines, pieces = files.write_lines, [piece]

    def write(fd: int, lines: bytes, path: str) -> None:
        if pieces:
            with log.open("ab") as other:
                other.write(pieces.pop())
        write_lines(fd, lines, path)

    monkeypatch.setattr(files, "write_lines", write)
    append_line(log, b"b", whole=True)
    again = b"" if piece.endswith(b"\n") else b"b\n"
    assert log.read_bytes() == b"a\n" + piece + b"b\n" + again


def test_a_new_log_is_for_owner_and_group_only(log: Path) -> None:
    before = os.umask(0)
    try:
        append_line(log, b"a")
    finally:
        os.umask(before)
    assert log.stat().st_mode & 0o777 == 0o640


def make_symlink(path: Path) -> None:
    (path.parent / "else").touch()
    path.symlink_to(path.parent / "else")


def make_dangling_symlink(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def make_hard_link(path: Path) -> None:
    (path.parent / "else").touch()
    path.hardlink_to(path.parent / "else")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_fifo_with_a_reader(path: Path) -> None:
    """Opening it for writing succeeds then. Who reads is this process, until its end."""
    os.mkfifo(path)
    os.open(path, os.O_RDONLY | os.O_NONBLOCK)


@pytest.mark.parametrize(
    "make",
    [
        make_symlink,
        make_dangling_symlink,
        make_hard_link,
        make_socket,
        make_fifo_with_a_reader,
        os.mkfifo,
        Path.mkdir,
    ],
)
def test_what_is_no_file_of_its_own_is_refused(log: Path, make: Callable[[Path], None]) -> None:
    make(log)
    with pytest.raises(CannotCreate, match=r"x-events\.jsonl .*remove it"):
        append_line(log, b"a")
    assert not (log.parent / "nowhere").exists()
    if (log.parent / "else").exists():
        assert (log.parent / "else").read_bytes() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_a_device_is_refused(log: Path) -> None:
    os.mknod(log, 0o640 | 0o020000, os.makedev(1, 3))
    with pytest.raises(CannotCreate, match="not a regular file"):
        append_line(log, b"a")


def test_a_missing_folder_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match="hookline init"):
        append_line(tmp_path / "no" / "x", b"a")


def test_a_short_write_is_ended_by_a_newline_and_reported(
    log: Path, file_limit: Callable[[int], None]
) -> None:
    append_line(log, b"first")
    file_limit(10)
    with pytest.raises(LogFull, match="only 4 of 12 bytes"):
        append_line(log, b"second line")
    file_limit(1000)
    append_line(log, b"third")
    assert log.read_bytes() == b"first\nsecothird\n"


def test_the_newline_after_a_short_write_is_written_when_there_is_room(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:4]))
    with pytest.raises(LogFull):
        append_line(log, b"second line")
    assert log.read_bytes() == b"seco\n"


def test_a_full_disk_is_a_failed_write(log: Path, file_limit: Callable[[int], None]) -> None:
    append_line(log, b"first")
    file_limit(6)
    with pytest.raises(WriteFailed, match="File too large"):
        append_line(log, b"second")
    assert log.read_bytes() == b"first\n"


def test_a_failed_sync_is_no_success(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fdatasync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(WriteFailed, match="cannot be synced"):
        append_line(log, b"a", sync=True)


def test_syncing_brings_a_new_name_to_disk_too(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    append_line(log, b"a", sync=True)
    append_line(log, b"b", sync=True)
    assert synced == [str(log.parent)]


def test_no_descriptors_left_is_try_again(log: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(TryAgain, match="Too many open files"):
            append_line(log, b"a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_log_removed_while_it_is_opened_is_made_again(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.touch()
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        monkeypatch.setattr(os, "fstat", real)
        log.unlink()
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    append_line(log, b"a")
    assert log.read_bytes() == b"a\n"


def test_a_lease_behind_a_rotation_only_delays(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name was looked up, the log rotated, and a reader tests it with a lease just then."""
    real = os.open
    busy = iter([True, True])

    def open_(path: str, flags: int, mode: int = 0o777) -> int:
        if next(busy, False):
            raise BlockingIOError(errno.EAGAIN, "busy")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", open_)
    append_line(log, b"a")
    assert log.read_bytes() == b"a\n"


def test_an_append_with_a_lock_waits_for_it_and_gives_up(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_line(log, b"a", locked=True)
    monkeypatch.setattr(files, "LOCK_WAIT_S", 0.05)
    holder = os.open(log, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(TryAgain, match="locked"):
        append_line(log, b"b", locked=True)
    os.close(holder)
    append_line(log, b"c", locked=True)
    assert log.read_bytes() == b"a\nc\n"


def test_an_append_with_a_lock_gives_it_back(log: Path) -> None:
    fd = open_append(log)
    append_line(fd, b"a", locked=True)
    other = os.open(log, os.O_RDONLY)
    assert flock_within(other, 0.0)
    os.close(other)
    os.close(fd)


def test_a_durable_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"before, and longer")
    durable_write(path, b"after")
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_durable_write_syncs_the_file_before_the_name_and_then_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        real_fsync(fd)

    def replace(source: str, target: str) -> None:
        steps.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    durable_write(tmp_path / "x", b"a")
    assert steps == ["file", "rename", "folder"]


def test_a_durable_write_that_fails_leaves_what_was_there(
    tmp_path: Path, file_limit: Callable[[int], None]
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    file_limit(2)
    with pytest.raises(WriteFailed):
        durable_write(path, b"longer than the limit")
    file_limit(1000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.json"]
