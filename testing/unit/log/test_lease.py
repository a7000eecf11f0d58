"""Asking the kernel whether anybody can still write to a file."""

import errno
import fcntl
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.log.lease import GRACE_S, QUIET_S, Quiescence, is_open_for_writing
from testing.unit.log.clocks import HandClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "segment"
    path.write_bytes(b"x\n")
    return path


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_nobody_writes(fd: int) -> None:
    assert is_open_for_writing(fd) is False


def test_a_writer_is_seen_until_it_closes(path: Path, fd: int) -> None:
    writer = os.open(path, os.O_WRONLY | os.O_APPEND)
    assert is_open_for_writing(fd) is True
    os.close(writer)
    assert is_open_for_writing(fd) is False


def test_a_writer_in_another_process_is_seen(path: Path, fd: int) -> None:
    with subprocess.Popen(["sh", "-c", 'exec 9>>"$1"; echo; read _', "sh", path],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:  # fmt: skip
        assert writer.stdout is not None
        writer.stdout.readline()
        assert is_open_for_writing(fd) is True
        writer.communicate(b"\n")
    assert is_open_for_writing(fd) is False


def test_a_file_mapped_for_writing_counts(path: Path, fd: int) -> None:
    with open(path, "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert is_open_for_writing(fd) is True
    mapped.close()
    assert is_open_for_writing(fd) is False


def test_any_number_of_readers_does_not_matter(path: Path, fd: int) -> None:
    """A write lease would be refused to each of them, and nobody would ever go on."""
    others = [os.open(path, os.O_RDONLY) for _ in range(3)]
    with pytest.raises(BlockingIOError):
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    assert [is_open_for_writing(each) for each in [fd, *others]] == [False] * 4
    for other in others:
        os.close(other)


def test_nothing_is_held_afterwards(path: Path, fd: int) -> None:
    is_open_for_writing(fd)
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_a_writer_who_comes_while_we_ask_does_not_kill_us(path: Path) -> None:
    """The kernel tells a lease's holder by a signal: by default SIGIO, which ends a process."""
    asks = (
        "import fcntl, os, sys, hookline.log.lease as lease\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY)\n"
        "real = fcntl.fcntl\n"
        "def spy(fd, command, argument):\n"
        "    answer = real(fd, command, argument)\n"
        "    if command == fcntl.F_SETLEASE and argument == fcntl.F_RDLCK:\n"
        "        try:\n"
        "            os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)\n"
        "        except BlockingIOError:\n"
        "            print('met')\n"
        "    return answer\n"
        "fcntl.fcntl = spy\n"
        "print(lease.is_open_for_writing(fd))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asks, path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["met", "False"])
    assert signal.getsignal(signal.SIGURG) == signal.SIG_DFL


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL])
def test_no_lease_to_be_had_is_no_answer(
    fd: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Another user's file, or a file system without leases."""
    refuse_leases(monkeypatch, number)
    assert is_open_for_writing(fd) is None


def test_a_young_segment_waits_out_the_grace(fd: int) -> None:
    clock = HandClock()
    quiescence = Quiescence(clock)
    assert 0.0 < quiescence.wait_s(fd) <= GRACE_S
    clock.advance(GRACE_S)
    assert quiescence.wait_s(fd) == 0.0


def test_an_old_segment_does_not_wait(fd: int) -> None:
    clock = HandClock()
    clock.advance(3600)
    assert Quiescence(clock).wait_s(fd) == 0.0


def test_a_clock_that_was_set_back_costs_no_more_than_the_grace(fd: int) -> None:
    clock = HandClock()
    clock.set_back(86_400)
    quiescence = Quiescence(clock)
    assert quiescence.wait_s(fd) > 0.0
    clock.advance(GRACE_S)
    assert quiescence.wait_s(fd) == 0.0


def test_a_writer_holds_it_up_however_long(path: Path, fd: int) -> None:
    clock = HandClock()
    clock.advance(10 * QUIET_S)
    quiescence = Quiescence(clock)
    writer = os.open(path, os.O_WRONLY | os.O_APPEND)
    assert quiescence.wait_s(fd) > 0.0
    os.close(writer)
    assert quiescence.wait_s(fd) == 0.0


def test_without_leases_it_is_minutes_without_growth(
    path: Path, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_leases(monkeypatch, errno.EACCES)
    clock = HandClock()
    clock.set_back(3600)
    quiescence = Quiescence(clock)
    assert quiescence.wait_s(fd) > 0.0
    clock.advance(QUIET_S - 1)
    with open(path, "ab") as file:
        file.write(b"late\n")
    assert quiescence.wait_s(fd) > 0.0
    clock.advance(QUIET_S - 1)
    assert quiescence.wait_s(fd) > 0.0
    clock.advance(1)
    assert quiescence.wait_s(fd) == 0.0


def refuse_leases(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = fcntl.fcntl

    def refusing(fd: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETLEASE:
            raise OSError(number, os.strerror(number))
        return real(fd, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refusing)
