"""Processes of handlers: start one, read what it says, end it with all that it started."""

import contextlib
import ctypes
import functools
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

KEPT_BYTES: Final = 4096
SWEEP_S: Final = 2.0
FILES: Final = 8192
"""How many files a dispatcher wants to have open: a stream or Python handler has five for as long
as it is there, a run up to seven."""
_READ_BYTES: Final = 65536
_PR_SET_CHILD_SUBREAPER: Final = 36
_DEFAULT_SIGNALS: Final = [
    number
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP) and number < signal.SIGRTMIN
]


class Pipe:
    """What a process prints into: its read end never blocks."""

    __slots__ = ("ended", "fd", "write_fd")

    def __init__(self) -> None:
        self.fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(self.fd, False)
        except BaseException:
            os.close(self.fd)
            os.close(self.write_fd)
            raise
        self.ended = False
        """Whether nobody holds the other end any more."""

    def started(self) -> None:
        """The process has its own copy of the write end now."""
        fd, self.write_fd = self.write_fd, -1
        os.close(fd)

    def part(self) -> bytes:
        """What is there, one buffer of it; nothing, when nothing is there or nothing is to come."""
        try:
            part = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return b""
        self.ended = not part
        return part


class Capture(Pipe):
    """A pipe's read end and the last bytes that came out of it.

    A handler may print for ever: nothing past the last `KEPT_BYTES` is kept, and nothing blocks.
    """

    __slots__ = ("_cut", "_tail")

    def __init__(self) -> None:
        super().__init__()
        self._tail = b""
        self._cut = False

    def read(self) -> None:
        """Take what is there, one buffer of it."""
        part = self.part()
        if part:
            text = self._tail + part
            self._cut = self._cut or len(text) > KEPT_BYTES
            self._tail = text[-KEPT_BYTES:]

    def take(self) -> str:
        """The tail as text, which is then forgotten."""
        self.read()
        return self._told()

    def _told(self) -> str:
        if not self._tail:
            return ""
        text = self._tail.decode("utf-8", "backslashreplace")
        cut, self._tail, self._cut = self._cut, b"", False
        return f"[…]{text}" if cut else text

    def close(self) -> str:
        """The tail as text, and whether it has `ended`. What a background child may still write
        goes nowhere."""
        try:
            if self.write_fd >= 0:
                self.started()
            self.read()
            if self._tail and not self.ended:
                self.read()
            return self._told()
        finally:
            os.close(self.fd)


def become_subreaper() -> None:
    """Orphans of our handlers become our children, so that none is a zombie or beyond reach."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def raise_file_limit() -> None:
    """Have room for many handlers, as far as the hard limit goes: the soft one is 1024 nearly
    everywhere."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))


@functools.cache
def _keep_descriptors() -> None:
    """What we were started with is not handed on: somebody's lock would be held for as long as
    what we start. What we open ourselves never is, so that once is enough."""
    for name in os.listdir("/proc/self/fd"):
        # The folder itself is among them, and closed by now.
        with contextlib.suppress(OSError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def spawn(
    argv: list[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path,
    descriptors: Mapping[int, int],
) -> int:
    """Start a program as leader of its own session, in `cwd`, with just these descriptors (child's:
    ours).

    posix_spawn, since a fork of a large process is slow; it knows no working folder, so that ours
    moves for the moment: the dispatcher itself uses absolute paths only and has one thread.
    """
    _keep_descriptors()
    os.chdir(cwd)
    try:
        return os.posix_spawn(
            argv[0],
            argv,
            env,
            file_actions=_moves(descriptors),
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULT_SIGNALS,
        )
    finally:
        # The next start moves on from wherever this leaves us; a child must not be lost for it.
        with contextlib.suppress(OSError, MemoryError):
            os.chdir("/")


def _moves(descriptors: Mapping[int, int]) -> list[tuple[int, ...]]:
    """The child takes them one by one: one of ours whose number it has given to another by then is
    put aside first."""
    given: set[int] = set()
    aside: dict[int, int] = {}
    spare = max([*descriptors, *descriptors.values()], default=0) + 1
    for childs, ours in descriptors.items():
        if ours in given:
            aside.setdefault(ours, spare + len(aside))
        given.add(childs)
    return [
        *((os.POSIX_SPAWN_DUP2, ours, free) for ours, free in aside.items()),
        *((os.POSIX_SPAWN_DUP2, aside.get(ours, ours), its) for its, ours in descriptors.items()),
        *((os.POSIX_SPAWN_CLOSE, free) for free in aside.values()),
    ]


@functools.cache
def null() -> int:
    """One descriptor for the life of the process."""
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


def write_all(fd: int, text: bytes, offset: int = 0) -> None:
    """Write a file from there on; memory, too, may take but a part at once."""
    written = 0
    while written < len(text):
        written += os.pwrite(fd, text[written:], offset + written)


def is_deserted(group: int) -> bool:
    """Whether nobody is left of a process group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def end_group(pid: int, number: signal.Signals) -> None:
    """Signal the process group of a handler; its leader may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def signal_name(number: int) -> str:
    """What people call a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Kin(NamedTuple):
    """A process, and when it began: a later one may get its number."""

    pid: int
    begun: bytes


def family(marks: set[str], leader: int = 0) -> set[Kin]:
    """The living processes with one of these `NAME=value` in their environment or in the session
    or process group of `leader`, and all that descend from them.

    What a handler starts inherits the mark; who clears its environment is still in the session or
    somebody's child. Only who does both, and has lost its parent, is not to be found.
    """
    wanted = {mark.encode() for mark in marks}
    all_kin: dict[int, Kin] = {}
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # proc(5): the name stands in round brackets, whatever is in it; state is the third field.
        fields = _read(entry.path, "stat").rpartition(b")")[2].split()
        if not fields or fields[0] in (b"Z", b"X"):
            continue
        pid = int(entry.name)
        all_kin[pid], parents[pid] = Kin(pid, fields[19]), int(fields[1])
        settings = _read(entry.path, "environ").split(b"\0")
        groups = (int(fields[2]), int(fields[3]))
        if wanted.intersection(settings) or (leader and leader in groups):
            found.add(pid)
    more = found
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return {all_kin[pid] for pid in found}


def kill(family: Iterable[Kin]) -> int:
    """Kill these; how many were still there."""
    killed = 0
    for pid, begun in family:
        fields = _read(f"/proc/{pid}", "stat").rpartition(b")")[2].split()
        if fields and fields[19] == begun and fields[0] != b"Z":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def kill_marked(marks: set[str], leader: int = 0) -> int:
    """Kill a family; how many there were."""
    return kill(family(marks, leader))


def sweep(marks: set[str], leader: int = 0) -> None:
    """Kill a family until nothing is left of it; one that sits in the kernel is not waited for."""
    gives_up_s = time.monotonic() + SWEEP_S
    while kill_marked(marks, leader) and time.monotonic() < gives_up_s:
        pass


def _read(folder: str, name: str) -> bytes:
    """A file of a process; empty when it is gone or not ours to see."""
    try:
        return Path(folder, name).read_bytes()
    except OSError:
        return b""


def scratch(folder: Path, name: str) -> Path:
    """A new private working folder. `state/` may be deleted at any time, even now."""
    path = folder / name
    path.mkdir(mode=0o700, parents=True)
    return path


def empty(folder: Path) -> None:
    """Remove what a killed dispatcher's runs have left."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)


def remove_tree(path: str | Path) -> None:
    """Remove a folder and whatever a handler left in it, also what it has locked up."""
    try:
        os.rmdir(path)
    except OSError:
        _open_up(Path(path))
        for parent, names, _ in os.walk(path):
            for name in names:
                _open_up(Path(parent, name))
        shutil.rmtree(path, ignore_errors=True)


def _open_up(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(0o700)
