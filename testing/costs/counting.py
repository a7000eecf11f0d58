"""What a program costs, counted instead of timed: system calls by strace, instructions by valgrind.

A run for some events and one for more differ by nothing but the events between them: start-up and
imports cancel out. What is left does not depend on the machine's speed or load, so that a count
that went up is a change of ours.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
DEADLINE_S: Final = 50

FORKS: Final = "fork"
EXECS: Final = "execve"
OPENS: Final = "openat"
WRITES: Final = "write"
SYNCS: Final = "sync"
LOOKS: Final = "stat"
ALL: Final = "all"
"""All that has to do with files, descriptors and processes."""

# One name for what the C library may call by several, on one machine or another.
_SAME: Final = {
    **dict.fromkeys(("clone", "clone3", "fork", "vfork"), FORKS),
    **dict.fromkeys(("execve", "execveat"), EXECS),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), OPENS),
    **dict.fromkeys(("write", "writev", "pwrite64", "pwritev", "pwritev2"), WRITES),
    **dict.fromkeys(("fsync", "fdatasync", "sync_file_range", "syncfs", "sync"), SYNCS),
    **dict.fromkeys(
        ("stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat2"), LOOKS
    ),
}
_CALL: Final = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$", re.MULTILINE)


class Trace:
    """The calls of one run."""

    def __init__(self, text: str) -> None:
        self._calls = [
            # A thread is no process.
            ("thread" if "CLONE_THREAD" in rest else _SAME.get(name, name), rest)
            for name, rest in _CALL.findall(text)
        ]

    def count(self, name: str, concerning: str = "") -> int:
        """How many there were of this name; `concerning` is in their line of the trace, such as
        the name of a file."""
        return sum(name in (call, ALL) and concerning in rest for call, rest in self._calls)


class Tracer:
    """Runs commands under strace in one environment."""

    def __init__(self, scratch: Path, env: Mapping[str, str]) -> None:
        self._output = scratch / "trace"
        self._env = dict(env)

    def run(self, *command: str, trace: str = "%file,%desc,%process") -> Trace:
        """What the command and its children ask of the kernel, of the calls that are named in the
        words of strace."""
        # With seccomp, all other calls run at full speed: what works by the clock stays as it is.
        subprocess.run(
            ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", f"trace={trace}",
             "-e", "signal=none", "-s", "16", "-o", os.fspath(self._output), "--", *command],
            env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
            timeout=DEADLINE_S,
        )  # fmt: skip
        return Trace(self._output.read_text("utf-8", "replace"))


class Each:
    """What each event adds: the difference of a run for `many` events and one for `few`."""

    def __init__(self, run: Callable[[int], Trace], few: int, many: int) -> None:
        self._events = many - few
        # In a new checkout the first one compiles what it imports.
        run(few)
        self._less, self._more = run(few), run(many)

    def __call__(self, name: str, concerning: str = "") -> float:
        counts = (trace.count(name, concerning) for trace in (self._more, self._less))
        return (next(counts) - next(counts)) / self._events


def python(script: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs a script with the `hookline` of this checkout."""
    return (sys.executable, "-c", script, *map(str, arguments))


def bash(script: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs a shell script; the library's folder is in $LIB."""
    return ("/bin/bash", "-c", script, "bash", *map(str, arguments))


def instructions(command: tuple[str, ...], env: Mapping[str, str]) -> int:
    """How many instructions a command takes in user space."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        env={**env, "PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found, done.stderr
    return int(found[1])
