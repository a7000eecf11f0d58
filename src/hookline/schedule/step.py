"""One command of a layer: run it to its end, in its own process group, with what it prints kept."""

import os
import select
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hookline.dispatch.process import (
    Capture,
    Pipe,
    end_group,
    family,
    kill,
    signal_name,
    spawn,
    sweep,
    write_all,
)
from hookline.log.files import MODE

GRACE_S: Final = 3.0
"""From TERM to KILL: less than a dispatcher grants the handler that runs the layer."""
_ENDINGS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Command(NamedTuple):
    """What is to be run, and how."""

    argv: list[str]
    env: Mapping[str, str]
    folder: Path
    mark: str
    """`NAME=value` in its environment, by which all that it starts is found."""
    stdin: int
    output: Path
    """Where what it prints is kept."""
    output_bytes_max: int
    timeout_s: float


class Ended(NamedTuple):
    """How a command has ended."""

    exit: int | None
    signal: int | None
    ms: float
    output_bytes: int
    """How much it has printed."""
    cut: bool
    """Whether that is more than was to be kept: then nothing is."""
    error: str
    """Empty: it is well."""


class _Output(Pipe):
    """What comes out of a pipe, in a file, until there is too much of it."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        self.path = path
        self.bytes_max = bytes_max
        self.bytes = 0
        self.file = os.open(path, _NEW, MODE)
        try:
            super().__init__()
        except BaseException:
            os.close(self.file)
            raise

    @property
    def cut(self) -> bool:
        """Whether it is more than is kept."""
        return self.bytes > self.bytes_max

    def read(self) -> None:
        """Take what is there, one buffer of it."""
        part = self.part()
        if self.bytes + len(part) <= self.bytes_max:
            write_all(self.file, part, self.bytes)
        self.bytes += len(part)

    def read_all(self) -> None:
        """Take all that is there; who still holds the other end is not waited for."""
        before = -1
        while before != self.bytes and not self.cut:
            before = self.bytes
            self.read()

    def close(self) -> None:
        """Of what is cut nothing stays: nobody is to take a part for the whole."""
        if self.write_fd >= 0:
            self.started()
        os.close(self.fd)
        os.close(self.file)
        if self.cut:
            self.path.unlink(missing_ok=True)


def argv_of(run: str | tuple[str, ...], folder: Path, path: str) -> list[str]:
    """A text is for bash; of a list the first is a program, in the folder when it has a slash in it
    and otherwise on the path. Raises FileNotFoundError."""
    if isinstance(run, str):
        return ["/bin/bash", "-c", run]
    program = str(folder / run[0]) if "/" in run[0] else shutil.which(run[0], path=path)
    if program is None:
        raise FileNotFoundError(f"there is no program {run[0]} on {path}")
    return [program, *run[1:]]


def perform(command: Command) -> Ended:
    """Run it to its end. One that takes too long gets TERM with its group, then KILL with all that
    it has started; so does one during which this process is told to end.

    Raises OSError where the machine is short of something, or the program cannot be started.
    """
    begun_s = time.monotonic()
    output = _Output(command.output, command.output_bytes_max)
    # What tells us to end is heard once there is somebody to end with us, and never in between.
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        said = Capture()
        try:
            pid = spawn(
                command.argv,
                env=command.env,
                cwd=command.folder,
                descriptors={0: command.stdin, 1: output.write_fd, 2: said.write_fd},
            )
            output.started()
            said.started()
            status, timed_out = _await(pid, command, output, said, heard)
            output.read_all()
        finally:
            stderr = said.close()
    finally:
        output.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    code = os.waitstatus_to_exitcode(status)
    return Ended(
        exit=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        ms=round((time.monotonic() - begun_s) * 1e3, 3),
        output_bytes=output.bytes,
        cut=output.cut,
        error=_error(code, command.timeout_s if timed_out else None, stderr),
    )


def _error(code: int, timeout_s: float | None, stderr: str) -> str:
    if timeout_s is not None:
        return f"it ran longer than {timeout_s:g} s"
    if code == 0:
        return ""
    how = f"exit {code}" if code > 0 else signal_name(-code)
    said = stderr.strip().rpartition("\n")[2]
    return f"{how}: {said}" if said else how


def _await(
    pid: int, command: Command, output: _Output, said: Capture, heard: set[int | signal.Signals]
) -> tuple[int, bool]:
    """Its status, and whether it took too long. Signals are held back up to here."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        sweep({command.mark}, pid)
        os.waitpid(pid, 0)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
        ended = _listen(pidfd, time.monotonic() + command.timeout_s, output, said)
        if not ended:
            _end(pid, pidfd, command.mark, output, said)
        return os.waitpid(pid, 0)[1], not ended
    except BaseException:
        # Ctrl-C, or TERM: what it was at ends with us.
        _end(pid, pidfd, command.mark, output, said)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(pidfd)


def _listen(pidfd: int, until_s: float, output: _Output, said: Capture) -> bool:
    """Take what it prints until it has ended, or it is time; whether it has ended."""
    poll = select.poll()
    pipes: dict[int, Capture | _Output] = {
        pipe.fd: pipe for pipe in (output, said) if not pipe.ended
    }
    for fd in (pidfd, *pipes):
        poll.register(fd, select.POLLIN)
    while (left_s := until_s - time.monotonic()) > 0:
        for fd, _ in poll.poll(left_s * 1e3):
            if fd == pidfd:
                return True
            pipes[fd].read()
            if pipes[fd].ended:
                poll.unregister(fd)
    return False


def _end(pid: int, pidfd: int, mark: str, output: _Output, said: Capture) -> None:
    # Who loses its parent by the signal could not be told from a stranger afterwards.
    kin = family({mark}, pid)
    end_group(pid, signal.SIGTERM)
    _listen(pidfd, time.monotonic() + GRACE_S, output, said)
    end_group(pid, signal.SIGKILL)
    kill(kin)
    sweep({mark}, pid)
