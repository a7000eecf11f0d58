"""Every point of a program's way through the kernel, struck one after the other.

A point is the n-th call of one system call: there the program is killed, or the call fails. strace
does it and counts for each system call and each process by itself, so that a walk is a loop over
system calls and, within each, over n. A rehearsal without a fault counts how many there are. The
quick run takes some of the points, evenly spread, `--soak` all of them, and `--point` just one:

    pytest testing/faults -k rotation --point write:signal=KILL:when=2
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hookline.model.errors import HooklineError

KILL: Final = "signal=KILL"
DEADLINE_S: Final = 60.0
QUICK: Final = 50
"""How many points of a walk are enough, when not all are asked for."""

# What can be between a program and its files. Without those that only look, since to be killed
# before one of them leaves the same files as to be killed before the next of these.
CHANGES: Final = (
    "openat",
    "write",
    "pwrite64",
    "fdatasync",
    "fsync",
    "rename",
    "unlink",
    "mkdir",
    "ftruncate",
    "fcntl",
    "flock",
    "close",
)

_PR_SET_PTRACER: Final = 0x59616D61
_PR_SET_PTRACER_ANY: Final = -1
_CALL = re.compile(r"^(?:\[pid +)?(\d+)\]? +(\w+)\(", re.MULTILINE)

Target = Sequence[str | os.PathLike[str]] | Callable[[], object]
"""A command, or a function to be called in a forked process: without start-up, every call is its
own."""


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th call of a system call, and what happens there, in the words of `strace --inject`."""

    syscall: str
    fault: str
    nth: int

    def __str__(self) -> str:
        return f"{self.syscall}:{self.fault}:when={self.nth}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The point of a text such as `write:signal=KILL:when=2`."""
        syscall, fault, nth = text.rsplit(":", 2)
        return cls(syscall, fault, int(nth.removeprefix("when=")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a traced program ended: `status` as of subprocess, negative for a signal; `calls` says
    how often each (process, system call) was made."""

    status: int
    stdout: str
    stderr: str
    trace: str

    @property
    def calls(self) -> Counter[str]:
        """For each system call, how often the process made it that made it most often."""
        most: Counter[str] = Counter()
        for (_, syscall), times in Counter(_CALL.findall(self.trace)).items():
            most[syscall] = max(most[syscall], times)
        return most


Strike = Callable[..., Ended]
"""`Points.strike` with the point already in it; what a trial is given."""


class Points:
    """Walks through the points of trials."""

    def __init__(self, scratch: Path, *, every: bool = False, only: Point | None = None) -> None:
        self._scratch = scratch
        self._every = every
        self._only = only

    def walk(
        self,
        trial: Callable[[Strike], object],
        syscalls: Sequence[str],
        fault: str,
        quick: int = QUICK,
    ) -> list[Point]:
        """Try a trial without a fault, then once for each point; those that were struck.

        A trial makes what it needs, calls `strike(target)` once, recovers and checks. What a trial
        raises names its point.
        """
        struck = []
        for point in self._chosen(self._rehearse(trial, syscalls), fault, quick):
            if self._try(trial, point):
                struck.append(point)
        print(f"{len(struck)} points:", *struck)
        assert struck or self._only, "no point was struck"
        return struck

    def strike(
        self,
        target: Target,
        *,
        inject: Sequence[str | Point] = (),
        trace: Sequence[str] = (),
        paths: Sequence[str | os.PathLike[str]] = (),
        env: Mapping[str, str] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Ended:
        """Run a command or a function under strace with these faults, to its end.

        Only calls that concern one of `paths` count, where some are given: a command needs them, or
        its start-up counts too.
        """
        traced = {str(each).partition(":")[0] for each in inject} | set(trace)
        output = self._scratch / "trace"
        options = ["-f", "-o", os.fspath(output), f"--trace={','.join(traced) or 'none'}"]
        options += [f"--inject={each}" for each in inject]
        options += [option for path in paths for option in ("-P", os.fspath(path))]
        if callable(target):
            ended = self._call(target, options, deadline_s)
        else:
            ended = self._command(target, options, env, deadline_s)
        seen = output.read_text("utf-8", "replace")
        return Ended(status=ended[0], stdout=ended[1], stderr=ended[2], trace=seen)

    def _rehearse(self, trial: Callable[[Strike], object], syscalls: Sequence[str]) -> Counter[str]:
        ended: list[Ended] = []

        def strike(target: Target, **options: Any) -> Ended:
            ended.append(self.strike(target, trace=syscalls, **options))
            return ended[-1]

        trial(strike)
        (only,) = ended
        return only.calls

    def _chosen(self, calls: Counter[str], fault: str, quick: int) -> list[Point]:
        points = [
            Point(syscall, fault, nth)
            for syscall, times in sorted(calls.items())
            for nth in range(1, times + 1)
        ]
        if self._only is not None:
            return [point for point in points if point == self._only]
        if self._every or len(points) <= quick:
            return points
        return [points[i * len(points) // quick] for i in range(quick)]

    def _try(self, trial: Callable[[Strike], object], point: Point) -> bool:
        """Whether the program came to the point at all; its calls may depend on others' doings."""
        ended: list[Ended] = []

        def strike(target: Target, **options: Any) -> Ended:
            ended.append(self.strike(target, inject=[point], **options))
            return ended[-1]

        try:
            trial(strike)
        except BaseException as error:
            error.add_note(f"at the point {point}; alone: --point {point}")
            raise
        return ended[-1].calls[point.syscall] >= point.nth

    def _command(
        self,
        command: Sequence[str | os.PathLike[str]],
        options: list[str],
        env: Mapping[str, str] | None,
        deadline_s: float,
    ) -> tuple[int, str, str]:
        process = subprocess.Popen(
            ["strace", "-qq", *options, "--", *command],
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return process.returncode, output, errors

    def _call(
        self, function: Callable[[], object], options: list[str], deadline_s: float
    ) -> tuple[int, str, str]:
        said = [self._scratch / name for name in ("stdout", "stderr")]
        (ready, begun), (told, go) = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            # The child of a process with threads may deadlock: ours calls the function and exits.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(ready)
            os.close(go)
            _become(function, begun, told, said)
        os.close(begun)
        os.close(told)
        # Until the child has closed its end: what it does up to there is not to be traced.
        os.read(ready, 1)
        os.close(ready)
        tracer = subprocess.Popen(
            ["strace", *options, "-p", str(child)], stderr=subprocess.PIPE, text=True
        )
        try:
            assert tracer.stderr is not None
            attached = tracer.stderr.readline()
            os.close(go)
            assert "attached" in attached, attached
            tracer.communicate(timeout=deadline_s)
        finally:
            if tracer.poll() is None:
                os.kill(child, signal.SIGKILL)
                tracer.kill()
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            tracer.communicate()
        output, errors = (path.read_text("utf-8", "replace") for path in said)
        return status, output, errors


def _become(function: Callable[[], object], begun: int, told: int, said: list[Path]) -> None:
    """The child's life: say that it has begun, wait for the tracer, call the function, exit with
    what it returns."""
    status = os.EX_SOFTWARE
    try:
        # Where Yama restricts tracing to one's own children, strace is none's parent here.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)
        for number, path in enumerate(said, 1):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.close(begun)
        os.read(told, 1)
        returned = function()
        status = returned if isinstance(returned, int) else 0
    except HooklineError as error:
        print(error, file=sys.stderr)
        status = error.exit_code
    except BaseException:  # noqa: BLE001 - what is not caught here would go on as a second pytest
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
