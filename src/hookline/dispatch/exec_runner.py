"""The exec kind: a program for each event or batch, in a session and a folder of its own."""

import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from hookline.dispatch.decide import Outcome, Verdict, verdict_of_exit
from hookline.dispatch.environment import MARK, Environment
from hookline.dispatch.folders import Folder, Folders
from hookline.dispatch.handlers import Handler, version_of
from hookline.dispatch.process import (
    Capture,
    Kin,
    end_group,
    family,
    is_deserted,
    kill,
    kill_marked,
    signal_name,
    spawn,
    sweep,
    write_all,
)
from hookline.dispatch.runner import Ended
from hookline.dispatch.subscription import Delivery

GRACE_S: Final = 5.0
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_BROKEN: Final[Mapping[int, str]] = {
    errno.ENOENT: "its #! line names a program that is not there (Windows line ends?)",
    errno.EACCES: "it or the program of its #! line is not executable",
    errno.EPERM: "it may not be executed (a noexec file system?)",
    errno.ENOEXEC: "it has no #! line and is no binary program",
    errno.ETXTBSY: "it is being written to",
    errno.ENOTDIR: "the path of its #! line is not a program",
    errno.ELOOP: "the path of its #! line is a loop of links",
    errno.EISDIR: "its #! line names a folder",
    errno.EINVAL: "it cannot be executed on this machine",
    errno.ENOTSUP: "it cannot be executed on this machine",
    errno.E2BIG: "its arguments are too large",
}
"""Failures to start that are the handler's own. Any other is a shortage of the machine."""

Lines = Callable[[Handler, bytes], bytes]
"""The event in the envelope that a handler asked for."""


class NotRunnable(Exception):
    """The handler itself cannot be executed."""


@contextmanager
def runnable(handler: Handler) -> Iterator[None]:
    """Around what executes it: tells its own faults from shortages of the machine.

    Raises:
        NotRunnable: the handler itself cannot be executed.
        OSError: the machine is short of something.
    """
    if version_of(handler.path) != handler.version:
        raise NotRunnable("it has changed just now")
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno not in _BROKEN:
            raise
        raise NotRunnable(_BROKEN[error.errno]) from error


class ExecRunner:
    """Starts programs by posix_spawn; each one's event is a sealed memfd, on stdin and at the path
    in `$1`."""

    def __init__(self, environment: Environment, lines: Lines, folders: Folders) -> None:
        self._environment = environment
        self._lines = lines
        self._folders = folders
        self._runs: dict[int, ExecRun] = {}

    def limit(self, handler: Handler) -> int:
        """One event, one process, unless it takes batches."""
        return handler.batch

    def start(self, handler: Handler, deliveries: list[Delivery], now_s: float) -> "ExecRun":
        """Begin a run; a handler that cannot be executed gives a run that has ended already."""
        run = ExecRun(handler, deliveries, now_s, self._folders)
        try:
            self._spawn(run)
        except NotRunnable as error:
            run.close()
            run.failed = f"{handler.path}: {error}"
        except BaseException:
            if run.pid > 0:
                end_group(run.pid, signal.SIGKILL)
            run.close()
            raise
        else:
            self._runs[run.pid] = run
        return run

    def _spawn(self, run: "ExecRun") -> None:
        handler = run.handler
        folder, stdout, stderr = run.equip(self._lines)
        env = self._environment.of(handler, run.deliveries, folder)
        run.mark = f"{MARK}={env[MARK]}"
        stdin = os.open(f"/proc/self/fd/{run.memfd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with runnable(handler):
                run.pid = spawn(
                    [str(handler.path), f"/proc/{os.getpid()}/fd/{run.memfd}"],
                    env=env,
                    cwd=folder,
                    descriptors={0: stdin, 1: stdout.write_fd, 2: stderr.write_fd},
                )
        finally:
            os.close(stdin)
        stdout.started()
        stderr.started()

    def exited(self, pid: int, status: int) -> "tuple[ExecRun, Ended] | None":
        """The leader of a run has ended: that is its verdict, whoever still holds its pipes."""
        run = self._runs.pop(pid, None)
        if run is None:
            return None
        return run, run.ended(os.waitstatus_to_exitcode(status))

    def forget(self, handler: Handler) -> None:
        """Nothing idles for an exec handler but working folders."""
        self._folders.forget(handler.name)

    def close(self) -> None:
        """Kill what still runs."""
        for run in self._runs.values():
            end_group(run.pid, signal.SIGKILL)
            run.close()
        if self._runs:
            kill_marked({run.mark for run in self._runs.values()})
        self._runs.clear()
        self._folders.close()


class ExecRun:
    """One process with one event, or with a batch."""

    def __init__(
        self, handler: Handler, deliveries: list[Delivery], now_s: float, folders: Folders
    ) -> None:
        self.handler = handler
        self.deliveries = deliveries
        self.deadline_s = now_s + handler.policy.timeout_s
        self.pid = -1
        self.mark = ""
        self.memfd = -1
        self.stdout: Capture | None = None
        self.stderr: Capture | None = None
        self.failed = ""
        self._folders = folders
        self._folder: Folder | None = None
        self._timed_out = False
        self._family: set[Kin] = set()
        self._begun_s = time.monotonic()

    def equip(self, lines: Lines) -> tuple[str, Capture, Capture]:
        """Give it its events, a working folder and pipes for what it prints; until `close`."""
        self.memfd = event_file(b"\n".join([lines(self.handler, x.line) for x in self.deliveries]))
        self._folder = self._folders.take(self.handler.name)
        self.stdout = stdout = Capture()
        self.stderr = stderr = Capture()
        return self._folder.path, stdout, stderr

    def ends(self) -> list[int]:
        """None: its process ends."""
        return []

    def outputs(self) -> list[int]:
        """Its output pipes."""
        return [pipe.fd for pipe in (self.stdout, self.stderr) if pipe and not pipe.ended]

    def readable(self, fd: int) -> Ended | None:
        """Take what it printed."""
        for pipe in (self.stdout, self.stderr):
            if pipe and pipe.fd == fd:
                pipe.read()
        return None

    def overdue(self, now_s: float) -> None:
        """TERM to its group, then KILL to all that carries its mark."""
        if not self._timed_out:
            self._timed_out = True
            self.deadline_s = now_s + GRACE_S
            # Who loses its parent by the signal could not be told from a stranger afterwards.
            self._family = family({self.mark}, self.pid)
            end_group(self.pid, signal.SIGTERM)
            return
        self.deadline_s = now_s + GRACE_S
        kill(self._family | family({self.mark}, self.pid))

    def ended(self, code: int) -> Ended:
        """Its leader has ended with this status; minus a signal's number."""
        stdout, stderr = self.stdout, self.stderr
        outcome = self._outcome(code)
        is_well = outcome.verdict in ("done", "skipped")
        if not is_well:
            end_group(self.pid, signal.SIGKILL)
        if self._timed_out:
            kill(self._family)
            sweep({self.mark}, self.pid)
        is_silent = all(pipe and pipe.ended for pipe in (stdout, stderr))
        self.close(deserted=is_well and is_silent and is_deserted(self.pid))
        done = len(self.deliveries) if outcome.verdict == "done" else 0
        return Ended(done, outcome, of_all=True)

    def close(self, *, deserted: bool = False) -> None:
        """Let go of its descriptors and its working folder; `deserted`: nobody is left in it."""
        for pipe in (self.stdout, self.stderr):
            if pipe:
                pipe.close()
        self.stdout = self.stderr = None
        if self.memfd >= 0:
            os.close(self.memfd)
            self.memfd = -1
        if self._folder:
            self._folders.give_back(self.handler.name, self._folder, deserted=deserted)
            self._folder = None

    def _outcome(self, code: int) -> Outcome:
        stdout = self.stdout.close() if self.stdout else ""
        stderr = self.stderr.close() if self.stderr else ""
        self.stdout = self.stderr = None
        verdict: Verdict = "failed" if code < 0 else verdict_of_exit(code)
        said = stderr.strip().rpartition("\n")[2]
        error = said or (f"killed by {signal_name(-code)}" if code < 0 else f"exit {code}")
        if self._timed_out:
            verdict = "timeout"
            error = f"ran longer than {self.handler.policy.timeout_s:g} s"
        return Outcome(
            verdict=verdict,
            ms=round((time.monotonic() - self._begun_s) * 1e3, 3),
            exit=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            error="" if verdict in ("done", "skipped") else error,
            stdout=stdout,
            stderr=stderr,
        )


def event_file(line: bytes) -> int:
    """A sealed memfd with the event and a newline: it can be opened again and again and never be
    changed."""
    fd = os.memfd_create("event", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        write_all(fd, line + b"\n")
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd
