"""What a bus must not leave behind: processes, descriptors, folders, files, its lock.

Everything is read from /proc and from the home. What has just ended may be seen until it is cleared
away: look until there is nothing, or until a deadline has passed.
"""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from hookline.dispatch.environment import MARK
from hookline.dispatch.lock import holder
from hookline.log.home import Home

LOOK_AGAIN_S: Final = 0.05
END_S: Final = 5.0
_NUMBER: Final = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A dispatcher that has nothing to do, as a measure of what it may have later.

    It has a process, with a working folder, for each Python or stream handler that has had
    something to do.
    """

    pid: int
    descriptors: Counter[str] = field(default_factory=Counter)
    children: frozenset[int] = frozenset()

    @classmethod
    def of(cls, pid: int) -> Self:
        """What this process has open and who its children are, now."""
        return cls(pid=pid, descriptors=descriptors(pid), children=frozenset(_children(pid)))

    def problems(self) -> list[str]:
        """What it has now beyond that: zombies, orphans that came to it, descriptors."""
        hosts = self.hosts()
        strangers = {
            pid: state
            for pid, state in _children(self.pid).items()
            if pid not in self.children and pid not in hosts
        }
        more = descriptors(self.pid) - self.descriptors
        return [
            *(f"zombie: process {pid}" for pid, state in strangers.items() if state == "Z"),
            *(f"orphan: {_told(pid)}" for pid, state in strangers.items() if state != "Z"),
            *(f"descriptors: {count} more of {name}" for name, count in sorted(more.items())),
        ]

    def hosts(self) -> set[int]:
        """The hosts among its children, one for each Python or stream handler."""
        by_mark = {_mark(pid): pid for pid in _children(self.pid)}
        return {pid for mark, pid in by_mark.items() if mark.endswith(b":host:0")}


def problems(home: Home, idle: Idle | None = None) -> list[str]:
    """What is left that should not be; `idle`: its dispatcher goes on, and may keep what it had
    then."""
    kept = idle.hosts() | idle.children if idle else frozenset()
    folders = {_folder(pid) for pid in kept}
    found = [f"left running: {_told(pid)}" for pid in marked(home) if pid not in kept]
    found += [
        f"left in the home: {path.relative_to(home.root)}"
        for path in litter(home, empty=idle is None)
        if str(path) not in folders
    ]
    if idle is not None:
        return found + idle.problems()
    if holder(home) is not None:
        found.append("the lock is held")
    return found


def settled(home: Home, idle: Idle | None = None, *, within_s: float = 10.0) -> list[str]:
    """The problems that do not go away by themselves in that time."""
    gives_up_s = time.monotonic() + within_s
    while found := problems(home, idle):
        if time.monotonic() >= gives_up_s:
            return found
        time.sleep(LOOK_AGAIN_S)
    return found


def marked(home: Home) -> list[int]:
    """The processes that a handler of this home has begun, whatever has become of their parents."""
    mark = f"{MARK}={home.root}:".encode()
    return [pid for pid in _processes() if _mark(pid).startswith(mark)]


def end_all(folder: Path) -> None:
    """Kill all others that work for this home, or for one within this folder; what sits in the
    kernel is not waited for.

    Not only what bears a handler's mark: what a dispatcher, killed since, is about to make a
    handler still has the environment of the dispatcher.
    """
    gives_up_s = time.monotonic() + END_S
    while left := _working_for(folder):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() >= gives_up_s:
            return


def _working_for(folder: Path) -> list[int]:
    whole = f"HOOKLINE_HOME={folder}".encode()
    begins = (whole + b"/", *(f"{MARK}={folder}{end}".encode() for end in ":/"))
    return [
        pid
        for pid in _processes()
        if pid != os.getpid()
        and any(each == whole or each.startswith(begins) for each in _settings(pid))
    ]


def descriptors(pid: int) -> Counter[str]:
    """How many descriptors a process has open of each kind: a path, or the kernel's name for it."""
    found: Counter[str] = Counter()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[_NUMBER.sub("", os.readlink(path))] += 1
        except FileNotFoundError:
            continue
    return found


def litter(home: Home, *, empty: bool = True) -> Iterator[Path]:
    """Working folders of runs, and files that were to be renamed. An `empty` folder may wait for
    the next run while a dispatcher is there."""
    runs = home.state / "runs"
    folders = (path for path in sorted(runs.glob("*")) if path.is_dir())
    yield from (path for path in folders if empty or any(path.iterdir()))
    yield from sorted(home.root.rglob("*.tmp"))


def _children(pid: int) -> dict[int, str]:
    """The children of a process, and the state of each (proc(5), stat)."""
    found = {}
    for child in _processes():
        # The name stands in round brackets and may have any in it.
        state, parent, *_ = _read(child, "stat").rpartition(b")")[2].split() or (b"", b"0")
        if int(parent) == pid:
            found[child] = state.decode()
    return found


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _mark(pid: int) -> bytes:
    """The setting that tells which run a process belongs to; empty when it belongs to none."""
    return next((each for each in _settings(pid) if each.startswith(f"{MARK}=".encode())), b"")


def _settings(pid: int) -> list[bytes]:
    return _read(pid, "environ").split(b"\0")


def _read(pid: int, name: str) -> bytes:
    """A file of a process; empty when the process is gone or not ours."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _folder(pid: int) -> str:
    """The working folder of a process; empty when the process is gone."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _told(pid: int) -> str:
    command = _read(pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return f"process {pid} ({command or '?'})"
