"""Appending from a long-lived process."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookline.log import appender as appending
from hookline.log.appender import BUFFER_BYTES, BURST, HOLD_S, Appender, Buffer
from hookline.log.home import Home
from hookline.log.lease import is_open_for_writing
from hookline.log.rotate import rotate
from hookline.model.errors import CannotCreate, WriteFailed


@pytest.fixture
def appender(home: Home) -> Iterator[Appender]:
    appender = Appender(home)
    yield appender
    appender.close()


@pytest.fixture
def held(home: Home) -> Callable[[], bool]:
    """Whether this process has the log open."""
    return lambda: str(home.live("test")) in open_files()


def open_files() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return found


def burst(appender: Appender, count: int = BURST + 5) -> None:
    for number in range(count):
        appender.append("test", b"%d\n" % number)


def write_to_a_full_disk(_fd: int, _data: bytes) -> int:
    raise OSError(28, "No space left on device")


def eventually(condition: Callable[[], bool], wait_s: float = 60.0) -> bool:
    deadline_s = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.001)  # between two looks
    return True


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst must not end because this machine is slow."""
    monkeypatch.setattr(appending, "HOLD_S", 3600.0)


def test_lines_are_appended_in_order(appender: Appender, home: Home) -> None:
    burst(appender, 100)
    assert home.live("test").read_bytes() == b"".join(b"%d\n" % number for number in range(100))


def test_single_appends_hold_nothing(appender: Appender, held: Callable[[], bool]) -> None:
    burst(appender, BURST - 1)
    assert not held()


@pytest.mark.usefixtures("slow_clock")
def test_a_burst_holds_the_log_open(appender: Appender, held: Callable[[], bool]) -> None:
    burst(appender)
    assert held()
    appender.close()
    assert not held()


@pytest.fixture
def threads() -> Callable[[], int]:
    """How many have come; another test may have left one that is on its way."""
    before = set(threading.enumerate())
    return lambda: len(set(threading.enumerate()) - before)


def test_what_a_burst_leaves_behind_is_closed_soon(
    appender: Appender, held: Callable[[], bool], threads: Callable[[], int]
) -> None:
    """Else a process that fell silent would keep every reader at the closed segment."""
    burst(appender, 500)
    assert eventually(lambda: not held())
    assert eventually(lambda: threads() == 0)


def test_a_burst_that_goes_on_comes_over_to_the_new_log(appender: Appender, home: Home) -> None:
    burst(appender)
    rotate(home, "test")
    end_s = time.monotonic() + 60
    while not home.live("test").exists() and time.monotonic() < end_s:
        appender.append("test", b"later\n")
    closed = home.segments / "test-events.00000001.jsonl"
    assert home.live("test").read_bytes() == b"later\n"
    assert eventually(lambda: not is_open(closed))


def is_open(path: Path) -> bool:
    with open(path, "rb") as file:
        return is_open_for_writing(file.fileno()) is True


@pytest.mark.usefixtures("slow_clock")
def test_a_child_does_not_hold_what_its_parent_held(
    appender: Appender, home: Home, held: Callable[[], bool]
) -> None:
    burst(appender)
    assert held()
    child = os.fork()
    if child == 0:
        clean = not held()
        appender.append("test", b"from the child\n")
        os._exit(0 if clean else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert home.live("test").read_bytes().endswith(b"from the child\n")


@pytest.mark.usefixtures("slow_clock")
def test_a_fork_finds_no_thread(appender: Appender, threads: Callable[[], int]) -> None:
    """Python warns of a fork in a process with threads, and warnings are errors here."""
    burst(appender)
    assert threads() == 1
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert threads() == 0


def test_a_signal_handler_may_append_in_the_middle_of_an_append(
    appender: Appender, home: Home
) -> None:
    with appender._lock:  # where the signal comes
        burst(appender)
    assert home.live("test").exists()


def test_threads_append_at_once(appender: Appender, home: Home) -> None:
    threads = [threading.Thread(target=burst, args=(appender, 300)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(home.live("test").read_bytes().split()) == sorted(
        b"%d" % number for number in range(300) for _ in range(4)
    )


def test_with_locks_nothing_is_held(
    appender: Appender, home: Home, held: Callable[[], bool]
) -> None:
    home.locked_append.touch()
    burst(appender)
    assert not held()


def test_a_synced_append_goes_its_own_way(appender: Appender, home: Home) -> None:
    appender.append("test", b"a\n", sync=True)
    assert home.live("test").read_bytes() == b"a\n"


def test_what_stands_in_the_logs_place_is_refused_in_a_burst_too(
    appender: Appender, home: Home
) -> None:
    burst(appender)
    home.live("test").unlink()
    home.live("test").symlink_to("/dev/null")

    def another() -> bool:
        burst(appender)
        return False

    with pytest.raises(CannotCreate):
        eventually(another)


class SlowWrite:
    """A write that has begun, and goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, appender: Appender) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        write = os.write

        def slow(fd: int, data: bytes) -> int:
            self.begun.set()
            assert self.go_on.wait(60)
            return write(fd, data)

        monkeypatch.setattr(os, "write", slow)
        self.thread = threading.Thread(target=appender.append, args=("test", b"slow\n"))
        self.thread.start()
        assert self.begun.wait(60)

    def end(self) -> None:
        self.go_on.set()
        self.thread.join()


@pytest.mark.usefixtures("slow_clock")
def test_a_log_is_not_closed_under_who_writes_to_it(
    appender: Appender, home: Home, held: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    burst(appender)
    writing = SlowWrite(monkeypatch, appender)
    appender.close()
    assert held()
    writing.end()
    assert not held()
    assert home.live("test").read_bytes().endswith(b"slow\n")


@pytest.mark.usefixtures("slow_clock")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # it is the case
def test_a_child_holds_nothing_for_a_thread_that_was_writing(
    appender: Appender, held: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    burst(appender)
    writing = SlowWrite(monkeypatch, appender)
    child = os.fork()
    if child == 0:
        os._exit(1 if held() else 0)
    writing.end()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.usefixtures("slow_clock")
def test_a_child_closes_no_file_of_somebody_else(appender: Appender) -> None:
    """A thread had just closed the log, and another one has its number already."""
    burst(appender)
    held = appender._held["test"]
    null = os.open(os.devnull, os.O_RDONLY)
    fd = os.dup2(null, held.fd)
    child = os.fork()
    if child == 0:
        os._exit(0 if os.path.sameopenfile(null, fd) else 1)
    os.close(null)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Interrupted(threading.Event):
    """Others append in a burst whenever it was waited for."""

    def __init__(self, appender: Appender) -> None:
        super().__init__()
        self.appender = appender

    def wait(self, timeout: float | None = None) -> bool:
        told = super().wait(timeout)
        burst(self.appender)
        return told


def test_others_that_go_on_appending_do_not_hold_up_who_lets_go(
    appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever forks waits for it."""
    with monkeypatch.context() as patch:
        patch.setattr(appender, "_end_closer", Interrupted(appender))
        burst(appender)
        closing = threading.Thread(target=appender.close, daemon=True)
        closing.start()
        closing.join(10.0)
        assert not closing.is_alive()


@pytest.mark.usefixtures("slow_clock")
def test_an_exception_that_is_kept_does_not_keep_the_log_open(
    appender: Appender, held: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    burst(appender)
    monkeypatch.setattr(os, "write", write_to_a_full_disk)
    with pytest.raises(WriteFailed, match="No space") as kept:
        appender.append("test", b"x\n")
    appender.close()
    assert kept.value
    assert not held()


@pytest.mark.usefixtures("slow_clock")
def test_a_full_disk_is_told_in_a_burst_too(
    appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    burst(appender)
    monkeypatch.setattr(os, "write", write_to_a_full_disk)
    with pytest.raises(WriteFailed, match="No space"):
        appender.append("test", b"x\n")


def test_a_buffer_writes_when_it_is_full_and_at_the_end(appender: Appender, home: Home) -> None:
    buffer = Buffer(appender)
    line = b"x" * (BUFFER_BYTES // 4 - 1) + b"\n"
    for _ in range(3):
        buffer.append("test", line)
    assert not home.live("test").exists()
    buffer.append("test", line)
    assert home.live("test").stat().st_size == BUFFER_BYTES
    buffer.append("other", b"y\n")
    buffer.flush()
    assert home.live("other").read_bytes() == b"y\n"
    buffer.flush()
    assert home.live("other").read_bytes() == b"y\n"


def test_a_buffer_keeps_what_could_not_be_written(appender: Appender, home: Home) -> None:
    home.live("test").mkdir()
    buffer = Buffer(appender)
    buffer.append("test", b"x\n")
    with pytest.raises(CannotCreate):
        buffer.flush()
    home.live("test").rmdir()
    buffer.flush()
    assert home.live("test").read_bytes() == b"x\n"


def test_a_synced_append_to_a_buffer_is_on_disk_with_all_before_it(
    appender: Appender, home: Home
) -> None:
    buffer = Buffer(appender)
    buffer.append("test", b"x\n")
    buffer.append("test", b"y\n", sync=True)
    assert home.live("test").read_bytes() == b"x\ny\n"


assert HOLD_S < 0.1, "a reader waits for the grace of a segment anyway, and should for no longer"
