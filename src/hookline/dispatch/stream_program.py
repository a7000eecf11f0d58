"""The program of a stream handler: its process, its pipes, and the answers that come out of it.

Nothing here waits for the program. What it does not read stays in memory until it does: never more
than its window of events.
"""

import contextlib
import math
import os
import re
import select
import signal
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from hookline.dispatch.environment import Environment
from hookline.dispatch.exec_runner import runnable
from hookline.dispatch.handlers import Handler
from hookline.dispatch.process import (
    Capture,
    Kin,
    end_group,
    family,
    kill,
    remove_tree,
    scratch,
    spawn,
    sweep,
)

CHANNEL: Final = 3
ANSWER_BYTES_MAX: Final = 8192
_READ_BYTES: Final = 1 << 16
_PIPE_BYTES_MAX: Final = 1 << 20
"""The most that a pipe of an ordinary user holds."""
_PLAIN: Final = re.compile(r"(\S+) ([0-9]{1,3})(?: (.*))?")
_STATUS_MAX: Final = 255
_SHOWN_CHARS: Final = 80


class Answer(msgspec.Struct, frozen=True):
    """What a program says of an event: an exit status, and words for one that is not done."""

    id: str
    status: Annotated[int, msgspec.Meta(ge=0, le=_STATUS_MAX)]
    error: str = ""
    after_s: float | None = None
    """In how many seconds it wants to see the event again."""


class Owed:
    """An event that was handed over, and the answer, which may come before its turn."""

    __slots__ = ("answer", "event")

    def __init__(self, event: str) -> None:
        self.event = event
        self.answer: Answer | None = None


class Junk(Exception):
    """What it says is no answer, and so is nothing that it says from here on."""


_OBJECT: Final = msgspec.json.Decoder(Answer)


def answer_of(line: bytes) -> Answer:
    """The answer on a line: `ID STATUS [WORDS]`, or a JSON object.

    Raises:
        Junk: it is none.
    """
    try:
        if line.startswith(b"{"):
            return _OBJECT.decode(line)
        if plain := _PLAIN.fullmatch(line.decode()):
            id, status, words = plain.groups(default="")
            if int(status) <= _STATUS_MAX:
                return Answer(id, int(status), words)
    except (msgspec.MsgspecError, UnicodeError):
        pass
    shown = line[:_SHOWN_CHARS].decode("utf-8", "backslashreplace")
    raise Junk(f"it wrote to descriptor {CHANNEL} what is no answer: {shown!r}")


class Program:
    """One process, from its start until all of it is let go."""

    def __init__(
        self, handler: Handler, environment: Environment, work: Path, poll: select.epoll
    ) -> None:
        """Start it.

        Raises:
            NotRunnable: the handler itself cannot be executed.
            OSError: the machine is short of something.
        """
        self.handler = handler
        self.mark = environment.host_mark(handler)
        self.code: int | None = None
        """How it ended, minus a signal's number; None while it lives."""
        self.fault = ""
        """What it has done against the rules; nothing that it says is heard any more."""
        self.has_answered = False
        self.is_ending = False
        """Whether it was told to end."""
        self.kill_s = math.inf
        """When it is killed; monotonic."""
        self.closed = ""
        """Which of its ends it has closed."""
        self.closed_s = math.inf
        """When it did so; monotonic."""
        self._poll = poll
        self._unanswered: dict[str, deque[Owed]] = {}
        """Two sources may have given the same id: the older of the two is answered first."""
        self._unwritten: deque[memoryview] = deque()
        self._said = b""
        self._is_mute = False
        self._family: set[Kin] = set()
        # What is made is let go of when the next cannot be made, or else by `close`.
        with contextlib.ExitStack() as made, contextlib.ExitStack() as theirs:
            self.scratch = scratch(work, f"{handler.name}.{os.getpid()}.{id(self)}")
            made.callback(remove_tree, self.scratch)
            stdin, self.stdin = _pipe(ours=1)
            made.callback(self._close_stdin)
            theirs.callback(os.close, stdin)
            self.channel, channel = _pipe(ours=0)
            made.callback(os.close, self.channel)
            theirs.callback(os.close, channel)
            self.stdout = Capture()
            made.callback(self.stdout.close)
            self.stderr = Capture()
            made.callback(self.stderr.close)
            poll.register(self.stdin, select.EPOLLOUT | select.EPOLLET)
            for fd in self._heard():
                poll.register(fd, select.EPOLLIN)
            with runnable(handler):
                self.pid = spawn(
                    [str(handler.path)],
                    env=environment.of_host(handler, self.scratch),
                    cwd=self.scratch,
                    descriptors={
                        0: stdin,
                        1: self.stdout.write_fd,
                        2: self.stderr.write_fd,
                        CHANNEL: channel,
                    },
                )
            self.stdout.started()
            self.stderr.started()
            self._made = made.pop_all()
        self.descriptors = (self.stdin, *self._heard())

    def _heard(self) -> tuple[int, ...]:
        return self.channel, self.stdout.fd, self.stderr.fd

    # -- to it -----------------------------------------------------------------------------

    def feed(self, owed: Iterable[Owed], lines: list[bytes]) -> None:
        """Give it these lines, as soon as it reads them, and have it answer for each."""
        for each in owed:
            self._unanswered.setdefault(each.event, deque()).append(each)
        self._unwritten.append(memoryview(b"\n".join(lines) + b"\n"))
        self.write()

    def write(self, *, is_read: bool = True) -> None:
        """Write what its pipe takes now; not `is_read`: nobody has the other end."""
        try:
            while self._unwritten and not self.fault and is_read:
                text = self._unwritten[0]
                written = os.write(self.stdin, text)
                if written == len(text):
                    self._unwritten.popleft()
                else:
                    self._unwritten[0] = text[written:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            is_read = False
        if not is_read:
            self._unwritten.clear()
            self._closed("stdin")

    def finish(self, kill_s: float) -> None:
        """Nothing more comes for it: it is to end by itself until then."""
        self.is_ending, self.kill_s = True, kill_s
        self._close_stdin()

    def end(self, kill_s: float) -> None:
        """Ask it and its process group to end until then."""
        self.is_ending, self.kill_s = True, kill_s
        # Who loses its parent by the signal could not be told from a stranger afterwards.
        self._family = family({self.mark}, self.pid)
        end_group(self.pid, signal.SIGTERM)

    def kill(self, kill_s: float) -> None:
        """Kill it and all that it started; again then, if it is still there."""
        self.is_ending, self.kill_s = True, kill_s
        self._family |= family({self.mark}, self.pid)
        kill(self._family)

    # -- from it ---------------------------------------------------------------------------

    def listen(self, fd: int) -> None:
        """Take what it printed."""
        for pipe in (self.stdout, self.stderr):
            if fd == pipe.fd:
                pipe.read()
                if pipe.ended:
                    self._poll.unregister(fd)

    def hear(self) -> None:
        """Take the whole answers that have come, up to what is none: that is its `fault`."""
        try:
            part = os.read(self.channel, _READ_BYTES if self.code is None else _PIPE_BYTES_MAX)
        except BlockingIOError:
            return
        if not part and not self._is_mute:
            self._is_mute = True
            self._poll.unregister(self.channel)
            self._closed(f"descriptor {CHANNEL}")
        *lines, self._said = (self._said + part).split(b"\n")
        try:
            for line in lines if not self.fault else ():
                self._answered(answer_of(line))
            if len(self._said) > ANSWER_BYTES_MAX:
                raise Junk(f"it wrote to descriptor {CHANNEL} a line that does not end")
        except Junk as junk:
            self.fault, self._said = self.fault or str(junk), b""

    def _answered(self, answer: Answer) -> None:
        unanswered = self._unanswered.get(answer.id)
        if not unanswered:
            raise Junk(f"it answered for {answer.id}, which it does not have, or has answered for")
        unanswered.popleft().answer = answer
        if not unanswered:
            del self._unanswered[answer.id]
        self.has_answered = True

    def _closed(self, what: str) -> None:
        """One end of it is closed. It may be about to end; if not, it has forgotten us."""
        self.closed = self.closed or f"it has closed {what}"
        self.closed_s = min(self.closed_s, time.monotonic())

    # -- its end ---------------------------------------------------------------------------

    def ended(self) -> None:
        """It has ended: what it leaves behind does so too, unless it ended well."""
        if self._family:
            kill(self._family)
            sweep({self.mark}, self.pid)
        elif self.code:
            end_group(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of everything."""
        self._made.close()

    def _close_stdin(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1


def _pipe(*, ours: int) -> tuple[int, int]:
    """A pipe of which our end, 0 or 1, never keeps us waiting."""
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(ends[ours], False)
    except BaseException:
        for fd in ends:
            os.close(fd)
        raise
    return ends
