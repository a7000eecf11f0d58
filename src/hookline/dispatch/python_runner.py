"""The python kind: a host process for each handler, fed with stretches of events over a socket.

A process of its own, so that a function that hangs can be ended, one that kills its process is
counted, and the next event is read while this one is handled.
"""

import contextlib
import mmap
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.dispatch import python_host
from hookline.dispatch.decide import Outcome
from hookline.dispatch.environment import Environment
from hookline.dispatch.exec_runner import GRACE_S
from hookline.dispatch.handlers import Handler
from hookline.dispatch.ledger import Ledger, Pending, blame
from hookline.dispatch.process import (
    Capture,
    Kin,
    end_group,
    family,
    kill,
    kill_marked,
    null,
    remove_tree,
    scratch,
    spawn,
    sweep,
    write_all,
)
from hookline.dispatch.runner import Ended
from hookline.dispatch.subscription import Delivery
from hookline.dispatch.turns import HOST_NS, take_short_turns
from hookline.model.errors import BadData
from hookline.model.position import Position

STRETCH_FIRST: Final = 64
STRETCH_MAX: Final = 4096
STRETCH_MS: Final = 50.0
"""About how long a stretch runs: what is done of it and not written down is done again after a
kill."""
_FIRST: Final = struct.Struct("=QQ96s")
"""Behind the host's own words on the page: the segment, offset and domain of the stretch's first
event."""
LOAD_S: Final = 20.0
"""How long a handler's module may take to be imported."""


def host_argv(path: Path, *options: str) -> list[str]:
    """The command of a host: isolated from PYTHON* variables and its folder, and writing no
    bytecode."""
    return [sys.executable, "-I", "-B", python_host.__file__, str(path), *options]


def describe(path: Path, passed: Mapping[str, str]) -> tuple[str, ...]:
    """The patterns that a Python handler's functions are marked with.

    `passed` is what its host would get of our environment: a module may want it when it is loaded.

    Raises:
        BadData: it cannot be loaded, or says nothing for 20 s.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LOAD_S)
        pid = spawn(
            host_argv(path, "--describe"),
            # Of <home>/scripts/events/handlers/<name>.
            env={**passed, "HOOKLINE_HOME": str(path.parents[3])},
            cwd=path.parent,
            descriptors={0: null(), 1: null(), 2: null(), python_host.CHANNEL: theirs.fileno()},
        )
        try:
            theirs.close()
            hello = ours.makefile("rb").readline()
        except TimeoutError as error:
            raise BadData(f"{path}: it could not be loaded in {LOAD_S:g} s") from error
        finally:
            end_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return _patterns(path, hello)


def _patterns(path: Path, hello: bytes) -> tuple[str, ...]:
    try:
        said = msgspec.json.decode(hello, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError):
        said = _Answer(error="it ended, or wrote to descriptor 3, while it was loaded")
    if said.error or not said.patterns:
        raise BadData(f"{path}: {said.error or 'no function is marked with @on'}")
    return said.patterns


class _Answer(msgspec.Struct):
    """What a host says: hello (`patterns`), why it was not loaded (`error`), or how far it got."""

    done: int | None = None
    patterns: tuple[str, ...] = ()
    batch: int = 0
    verdict: Literal["done", "retry", "rejected", "failed"] = "done"
    ms: float = 0.0
    after_s: float | None = None
    error: str = ""
    trace: str = ""


def next_stretch(stretch: int, events: int, done: int, ms: float) -> int:
    """How many events to run next, after `events` of which so many were done in `ms`: what takes
    about STRETCH_MS, and where one was in the way, not many more than came before it."""
    most = 2 * stretch if done == events else 2 * done + 1
    in_time = done * STRETCH_MS / ms if done and ms > 0.0 else most
    return max(1, min(most, int(in_time), STRETCH_MAX))


def progress_path(work: Path, name: str) -> Path:
    """Where a handler's host says which event it is at: a file, since it must outlive all of us."""
    return work / f"{name}.progress"


def _new_progress(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def attribute(ledger: Ledger, work: Path) -> list[tuple[str, Pending]]:
    """Of the stretches that a killed dispatcher has left running, blame only the event that ran.
    The handlers' deliveries whose attempt is given back.

    A page that its handler has spoilt blames none.
    """
    given_back: list[tuple[str, Pending]] = []
    for name, progress in ledger.handlers.items():
        page = _left(progress_path(work, name))
        if page is None:
            continue
        index, since_ns = python_host.PROGRESS.unpack_from(page)
        segment, offset, domain = _FIRST.unpack_from(page, python_host.PROGRESS.size)
        first = domain.rstrip(b"\0").decode(errors="replace"), Position(segment, offset)
        blameless = blame(progress, first if since_ns else None, index)
        given_back += [(name, pending) for pending in blameless]
    return given_back


def _left(path: Path) -> bytes | None:
    """What is left of a page, filled up with zeros; None where there is none."""
    try:
        with path.open("rb") as file:
            page = file.read(mmap.PAGESIZE)
    except FileNotFoundError:
        return None
    except OSError:
        page = b""
    # A dispatcher that was killed while it made the page has left less of it.
    return page.ljust(mmap.PAGESIZE, b"\0")


class PythonRunner:
    """Keeps a host for each Python handler that has had something to do."""

    def __init__(self, environment: Environment, work: Path) -> None:
        self._environment = environment
        self._work = work
        self._hosts: dict[str, _Host] = {}

    def limit(self, handler: Handler) -> int:
        """A stretch of so many; the functions see them one by one or in batches."""
        host = self._hosts.get(handler.name)
        return host.stretch if host else STRETCH_FIRST

    def start(self, handler: Handler, deliveries: list[Delivery], now_s: float) -> "PythonRun":
        """Hand a stretch of events to the handler's host, which is started for the first."""
        host = self._hosts.get(handler.name)
        if host is not None and host.handler.version != handler.version:
            self.forget(host.handler)
            host = None
        if host is None:
            host = self._hosts[handler.name] = _Host(handler, self._environment, self._work)
        run = PythonRun(host, handler, deliveries, now_s)
        host.feed(run)
        return run

    def exited(self, pid: int, status: int) -> "tuple[PythonRun, Ended] | None":
        """A host has ended: by itself, by its handler's doing, or because its time was up."""
        for name, host in self._hosts.items():
            if host.pid == pid:
                del self._hosts[name]
                run = host.run
                ended = run.died(os.waitstatus_to_exitcode(status)) if run else None
                host.close()
                return (run, ended) if run and ended else None
        return None

    def forget(self, handler: Handler) -> None:
        """End the host of a handler that was replaced or removed."""
        host = self._hosts.pop(handler.name, None)
        if host is not None:
            host.close()

    def close(self) -> None:
        """End every host, and of those with a run under way all that they have started."""
        running = {host.mark for host in self._hosts.values() if host.run}
        for host in self._hosts.values():
            host.close()
        if running:
            kill_marked(running)
        self._hosts.clear()


class _Host:
    """One host process, the socket to it and the memory shared with it."""

    def __init__(self, handler: Handler, environment: Environment, work: Path) -> None:
        self.handler = handler
        self.run: PythonRun | None = None
        self.mark = environment.host_mark(handler)
        # What is made is let go of when the next cannot be made, or else by `close`.
        with contextlib.ExitStack() as made, contextlib.ExitStack() as theirs:
            self.scratch = scratch(work, f"{handler.name}.{os.getpid()}.{time.monotonic_ns()}")
            made.callback(remove_tree, self.scratch)
            self.memory = os.memfd_create("events", os.MFD_CLOEXEC)
            made.callback(os.close, self.memory)
            page = _new_progress(progress_path(work, handler.name))
            theirs.callback(os.close, page)
            os.ftruncate(page, mmap.PAGESIZE)
            self.progress = made.enter_context(mmap.mmap(page, mmap.PAGESIZE))
            self.stdout = Capture()
            made.callback(self.stdout.close)
            self.stderr = Capture()
            made.callback(self.stderr.close)
            self.channel, far_end = socket.socketpair()
            made.enter_context(self.channel)
            theirs.enter_context(far_end)
            self.channel.setblocking(False)
            self.pid = spawn(
                host_argv(handler.path),
                env=environment.of_host(handler, self.scratch),
                cwd=self.scratch,
                descriptors={
                    0: null(),
                    1: self.stdout.write_fd,
                    2: self.stderr.write_fd,
                    python_host.CHANNEL: far_end.fileno(),
                    python_host.EVENTS: self.memory,
                    python_host.PROGRESS_PAGE: page,
                },
            )
            made.callback(end_group, self.pid, signal.SIGKILL)
            take_short_turns(HOST_NS, self.pid)
            self.stdout.started()
            self.stderr.started()
            self._made = made.pop_all()
        self.loaded = False
        self.batch = 0
        """The most events that one of its functions takes in one call."""
        self.stretch = STRETCH_FIRST
        """How many events the next run is of."""
        self.mute = False
        """Whether the channel is no good any more; the process is being ended."""
        self._said = b""

    def feed(self, run: "PythonRun") -> None:
        """Put the lines into the shared memory and say so: that never blocks, however long they
        are."""
        first = run.deliveries[0]
        python_host.PROGRESS.pack_into(self.progress, 0, 0, 0)
        place = (*first.position, first.domain.encode())
        _FIRST.pack_into(self.progress, python_host.PROGRESS.size, *place)
        size = 0
        for delivery in run.deliveries:
            text = delivery.lines
            write_all(self.memory, text, size)
            size += len(text)
        with contextlib.suppress(ConnectionError):
            self.channel.send(python_host.HEADER.pack(run.events, size))
        self.run = run

    def answers(self) -> "list[_Answer]":
        """The whole answers that have come; none from a channel that was spoilt once."""
        if self.mute:
            return []
        try:
            part = self.channel.recv(1 << 16)
        except (BlockingIOError, ConnectionError):
            return []
        *lines, self._said = (self._said + part).split(b"\n")
        try:
            answers = [msgspec.json.decode(line, type=_Answer) for line in lines]
        except (msgspec.MsgspecError, UnicodeError):
            # The handler has written to our descriptor.
            answers, part = [], b""
        if not part:
            self.mute = True
            end_group(self.pid, signal.SIGKILL)
        return answers

    def close(self) -> None:
        """End the process and what it started, and let go of everything."""
        self._made.close()


class PythonRun:
    """One stretch of events in a host."""

    def __init__(
        self, host: _Host, handler: Handler, deliveries: list[Delivery], now_s: float
    ) -> None:
        self.handler = handler
        self.deliveries = deliveries
        self.events = sum(delivery.events for delivery in deliveries)
        self.failed = ""
        self._host = host
        self._timed_out = False
        self._family: set[Kin] = set()
        self._begun_s = now_s
        loading_s = 0.0 if host.loaded else LOAD_S
        self.deadline_s = now_s + handler.policy.timeout_s + loading_s

    def ends(self) -> list[int]:
        """The host's channel."""
        return [] if self._host.mute else [self._host.channel.fileno()]

    def outputs(self) -> list[int]:
        """The host's output pipes."""
        return [pipe.fd for pipe in (self._host.stdout, self._host.stderr) if not pipe.ended]

    def readable(self, fd: int) -> Ended | None:
        """Take an answer or what was printed."""
        host = self._host
        for pipe in (host.stdout, host.stderr):
            if fd == pipe.fd:
                pipe.read()
                return None
        return self._answered(host.answers())

    def _answered(self, answers: "list[_Answer]") -> Ended | None:
        for answer in answers:
            if answer.done is not None:
                self._host.run = None
                done = min(max(answer.done, 0), self.events)
                found = next_stretch(self._host.stretch, self.events, done, answer.ms)
                self._host.stretch = max(found, min(self._host.batch, STRETCH_MAX))
                if answer.verdict == "done" and done < self.events:
                    return Ended(done, Outcome(verdict="failed", ms=0.0, error="it lost count"))
                return Ended(done, self._outcome(answer))
            self._host.loaded, self._host.batch = True, answer.batch
            self.deadline_s = time.monotonic() + self.handler.policy.timeout_s
            self.failed = answer.trace or answer.error
        return None

    def _outcome(self, answer: "_Answer") -> Outcome:
        stdout, stderr = self._host.stdout.take(), self._host.stderr.take()
        return Outcome(
            verdict=answer.verdict,
            ms=answer.ms,
            error=answer.error,
            stdout=stdout,
            stderr=stderr,
            traceback=answer.trace,
            retry_after_s=answer.after_s,
        )

    def overdue(self, now_s: float) -> None:
        """End the host when the event that it is at has had its time; it may have come far
        meanwhile."""
        _, since_ns = python_host.PROGRESS.unpack_from(self._host.progress, 0)
        since_s = since_ns / 1e9
        ends_s = since_s + self.handler.policy.timeout_s
        # None has begun later than now, but on a page that its handler has spoilt.
        is_at_one = 0 < since_s <= time.monotonic()
        if is_at_one and now_s < ends_s and not self._timed_out:
            self.deadline_s = ends_s
            return
        self.deadline_s = now_s + GRACE_S
        kin = family({self._host.mark}, self._host.pid)
        if self._timed_out:
            kill(self._family | kin)
            return
        self._timed_out = True
        # Who loses its parent by the signal could not be told from a stranger afterwards.
        self._family = kin
        end_group(self._host.pid, signal.SIGTERM)

    def died(self, code: int) -> Ended | None:
        """The host has ended with this status in the middle of the run: the event that it was at is
        to blame."""
        if self._timed_out:
            kill(self._family)
            sweep({self._host.mark}, self._host.pid)
        answered = self._answered(self._host.answers())
        if answered is not None:
            return answered
        index, since_ns = python_host.PROGRESS.unpack_from(self._host.progress, 0)
        what = f"killed by signal {-code}" if code < 0 else f"its process ended with exit {code}"
        outcome = Outcome(
            verdict="failed",
            ms=round((time.monotonic() - (since_ns / 1e9 or self._begun_s)) * 1e3, 3),
            exit=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            error=what,
            stdout=self._host.stdout.take(),
            stderr=self._host.stderr.take(),
        )
        if self._timed_out and since_ns:
            error = f"ran longer than {self.handler.policy.timeout_s:g} s"
            outcome = msgspec.structs.replace(outcome, verdict="timeout", error=error)
        elif not since_ns:
            error = self.failed or f"it could not be loaded: {what}"
            last = error.strip().rpartition("\n")[2]
            outcome = msgspec.structs.replace(
                outcome, verdict="broken", error=last, traceback=self.failed
            )
        return Ended(index if index < self.events else 0, outcome)
