"""Processes of handlers: start one, read what it says, end it with all that it started."""

import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

KEPT_BYTES: Final = 4096
_READ_BYTES: Final = 65536
_PR_SET_CHILD_SUBREAPER: Final = 36
_DEFAULT_SIGNALS: Final = [
    number
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP) and number < signal.SIGRTMIN
]


class Capture:
    """A pipe's read end and the last bytes that came out of it.

    A handler may print for ever: nothing past the last `KEPT_BYTES` is kept, and nothing blocks.
    """

    __slots__ = ("_cut", "_tail", "ended", "fd", "write_fd")

    def __init__(self) -> None:
        self.fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        self.ended = False
        """Whether nobody holds the other end any more."""
        self._tail = b""
        self._cut = False

    def started(self) -> None:
        """The process has its own copy of the write end now."""
        os.close(self.write_fd)
        self.write_fd = -1

    def read(self) -> None:
        """Take what is there, one buffer of it."""
        try:
            part = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        self.ended = not part
        text = self._tail + part
        self._cut = self._cut or len(text) > KEPT_BYTES
        self._tail = text[-KEPT_BYTES:]

    def take(self) -> str:
        """The tail as text, which is then forgotten."""
        self.read()
        text = self._tail.decode("utf-8", "backslashreplace")
        cut, self._tail, self._cut = self._cut, b"", False
        return f"[…]{text}" if cut else text

    def close(self) -> str:
        """The tail as text. What a background child may still write goes nowhere."""
        text = self.take()
        os.close(self.fd)
        if self.write_fd >= 0:
            os.close(self.write_fd)
        return text


def become_subreaper() -> None:
    """Orphans of our handlers become our children, so that none is a zombie or beyond reach."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def spawn(
    argv: list[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    descriptors: Mapping[int, int],
) -> int:
    """Start a program as leader of its own session, in `cwd`, with just these descriptors (child's:
    ours).

    posix_spawn, since a fork of a large process is slow; it knows no working folder, so that ours
    moves for the moment: the dispatcher itself uses absolute paths only and has one thread.
    """
    actions = [(os.POSIX_SPAWN_DUP2, ours, childs) for childs, ours in descriptors.items()]
    os.chdir(cwd)
    try:
        return os.posix_spawn(
            argv[0],
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULT_SIGNALS,
        )
    finally:
        os.chdir("/")


def end_group(pid: int, number: signal.Signals) -> None:
    """Signal the process group of a handler; its leader may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def kill_marked(marks: set[str]) -> int:
    """Kill every process with one of these `NAME=value` in its environment; how many there were.

    What a handler started inherits the mark, whatever session or parent it has fled to.
    """
    wanted = {mark.encode() for mark in marks}
    killed = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
        except OSError:
            continue
        if wanted.intersection(environment.split(b"\0")):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def scratch(folder: Path, name: str) -> Path:
    """A new private working folder. `state/` may be deleted at any time, even now."""
    path = folder / name
    path.mkdir(mode=0o700, parents=True)
    return path


def empty(folder: Path) -> None:
    """Remove what a killed dispatcher's runs have left."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_scratch(path)
        else:
            path.unlink(missing_ok=True)


def remove_scratch(path: Path) -> None:
    """Remove a working folder and whatever a handler left in it."""
    try:
        os.rmdir(path)
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
