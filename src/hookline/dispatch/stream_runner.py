"""The stream kind: a long-lived program for each handler, events in and verdicts out.

The program is started when the first event comes, gets each event as a line on stdin, and says on
descriptor 3 what came of it, in whatever order. What was not answered when it ends is given to the
next one. docs/decisions/0014 says who is to blame for an end, and why.
"""

import math
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from hookline.dispatch.decide import PAUSING, Outcome, Verdict, verdict_of_exit
from hookline.dispatch.environment import Environment
from hookline.dispatch.exec_runner import GRACE_S, Lines, NotRunnable
from hookline.dispatch.handlers import Handler
from hookline.dispatch.process import end_group, kill_marked, signal_name
from hookline.dispatch.runner import Ended
from hookline.dispatch.stream_program import Answer, Owed, Program
from hookline.dispatch.subscription import Delivery

_DONE: Final = Answer("", 0)
CLOSING_LOOK_S: Final = 0.01
REST_S: Final = 0.1
REST_MAX_S: Final = 60.0
CLOSED_S: Final = 1.0
"""How long a program may go on that has closed a descriptor: one that ends does so too."""

Rest = Callable[[str, float], None]
"""Nothing of this handler may start until then; monotonic."""
Note = Callable[[str], None]
News = tuple["StreamRun", Ended | None]
"""What came of a run; None: nothing, its deliveries are given back."""


class StreamRunner:
    """Keeps a program for each stream handler that has had something to do."""

    def __init__(
        self, environment: Environment, lines: Lines, work: Path, rest: Rest, note: Note
    ) -> None:
        self._environment = environment
        self._lines = lines
        self._work = work
        self._rest = rest
        self._note = note
        self._programs: dict[str, Program] = {}
        self._by_fd: dict[int, Program] = {}
        self._runs: dict[Program, list[StreamRun]] = {}
        """What each has been handed and has not answered, the oldest first."""
        self._silent: dict[str, int] = {}
        """How many programs of a handler have ended in a row without an answer."""
        self._news: deque[News] = deque()
        self._poll = select.epoll()

    @property
    def fd(self) -> int:
        """Readable when there is something to `hear`."""
        return self._poll.fileno()

    def limit(self, handler: Handler) -> int:
        """A stretch as long as its window."""
        return handler.window

    def start(self, handler: Handler, deliveries: list[Delivery], now_s: float) -> "StreamRun":
        """Hand a stretch of events to the handler's program, which is started for the first."""
        given = [each for delivery in deliveries for each in delivery.each]
        lines = [self._lines(handler, line) for _, line in given]
        run = StreamRun(handler, deliveries, [Owed(event) for event, _ in given], now_s)
        try:
            program = self._programs.get(handler.name) or self._begin(handler)
        except NotRunnable as error:
            run.failed = f"{handler.path}: {error}"
            return run
        run.end = partial(self._end, program)
        self._runs[program].append(run)
        program.feed(run.owed, lines)
        return run

    def _begin(self, handler: Handler) -> Program:
        program = Program(handler, self._environment, self._work, self._poll)
        self._programs[handler.name] = program
        self._runs[program] = []
        self._by_fd.update(dict.fromkeys(program.descriptors, program))
        return program

    # -- what comes of it ------------------------------------------------------------------

    def exited(self, pid: int, status: int) -> None:
        """A process has ended; `hear` says what that means for its runs."""
        for program in self._programs.values():
            if program.pid == pid:
                program.code = os.waitstatus_to_exitcode(status)

    def hear(self) -> Iterator[News]:
        """What came of the runs since the last call; to be called in every round."""
        if self._programs:
            self._listen(0)
            for program in list(self._programs.values()):
                self._mind(program)
        while self._news:
            yield self._news.popleft()

    def _listen(self, timeout_s: float) -> None:
        for fd, what in self._poll.poll(timeout_s):
            program = self._by_fd[fd]
            if fd == program.stdin:
                program.write(is_read=not what & select.EPOLLERR)
            elif fd == program.channel:
                self._hear(program)
            else:
                program.listen(fd)

    def _hear(self, program: Program) -> None:
        program.hear()
        for run in list(self._runs[program]):
            self._news += [(run, ended) for ended in run.over(program)]
            if not run.owed:
                self._runs[program].remove(run)

    def _mind(self, program: Program) -> None:
        """End a program when it is time to; part with one that has ended."""
        now_s = time.monotonic()
        runs = self._runs[program]
        if program.code is not None:
            self._ended(program)
        elif now_s >= program.kill_s:
            program.kill(now_s + GRACE_S)
        elif not program.is_ending:
            if now_s >= program.closed_s + CLOSED_S:
                program.fault = program.fault or program.closed
            if program.fault and not runs:
                self._note(f"{program.handler.name}: its program is ended: {program.fault}")
            if program.fault or any(run.stopped for run in runs):
                self._end(program)

    def _end(self, program: Program) -> None:
        """Have a program end whose events are then given to the next one."""
        self._rest(program.handler.name, math.inf)
        program.end(time.monotonic() + GRACE_S)
        for run in self._runs[program]:
            run.deadline_s = math.inf

    def _ended(self, program: Program) -> None:
        self._hear(program)
        program.ended()
        stdout, stderr = program.stdout.take(), program.stderr.take()
        # Not before: what a shortage has cut short is done once more.
        runs = self._part_with(program)
        to_blame = [run for run in runs if run.stopped] or runs[:1]
        for run in to_blame:
            outcome = run.stopped or _outcome_of_end(program, stderr, run.since_s)
            outcome = msgspec.structs.replace(
                outcome, stdout=outcome.stdout + stdout, stderr=outcome.stderr + stderr
            )
            self._news.append((run, Ended(0, outcome)))
        self._news += [(run, None) for run in runs if run not in to_blame]
        if not runs and program.code and not program.is_ending:
            why = _told(program.code)
            self._note(f"{program.handler.name}: {why} while it had nothing to do")
        program.close()

    def _part_with(self, program: Program) -> list["StreamRun"]:
        """Its runs; the next program waits, the longer the more have ended without an answer."""
        name = program.handler.name
        del self._programs[name]
        for fd in program.descriptors:
            # A pipe that was closed before may have left its number to that of another program.
            if self._by_fd.get(fd) is program:
                del self._by_fd[fd]
        silent = self._silent[name] = 0 if program.has_answered else self._silent.get(name, 0) + 1
        rest_s = min(REST_MAX_S, REST_S * 2.0 ** min(silent - 1, 16)) if silent else 0.0
        self._rest(name, time.monotonic() + rest_s)
        return self._runs.pop(program)

    # -- letting go ------------------------------------------------------------------------

    def forget(self, handler: Handler) -> None:
        """Tell the program of a handler that was replaced or removed that nothing more comes."""
        program = self._programs.get(handler.name)
        if program is None:
            self._silent.pop(handler.name, None)
        elif not program.is_ending:
            program.finish(time.monotonic() + GRACE_S)

    def is_gone(self, handler: Handler) -> bool:
        """Whether the handler's program has ended."""
        return handler.name not in self._programs

    def close(self) -> None:
        """Tell the programs that nothing more comes, and give them time to end; where a run is
        under way, end it with all that it has started."""
        ends_s = time.monotonic() + GRACE_S
        running = [program for program, runs in self._runs.items() if runs]
        for program in self._programs.values():
            program.finish(ends_s)
        if running:
            for program in running:
                end_group(program.pid, signal.SIGKILL)
            kill_marked({program.mark for program in running})
        while time.monotonic() < ends_s and any(map(_is_alive, self._programs.values())):
            # Woken by what it prints, and by its end.
            self._listen(CLOSING_LOOK_S)
        for program in self._programs.values():
            if program.code is None:
                program.kill(math.inf)
            program.close()
        for known in (self._programs, self._by_fd, self._runs, self._news):
            known.clear()


class StreamRun:
    """A stretch of events in the hands of a program."""

    def __init__(
        self, handler: Handler, deliveries: list[Delivery], owed: Iterable[Owed], now_s: float
    ) -> None:
        self.handler = handler
        self.deliveries = deliveries
        self.failed = ""
        self.owed = deque(owed)
        """What is not over; the oldest has had its time when the deadline comes."""
        self.stopped: Outcome | None = None
        """What the program is ended for."""
        self.since_s = now_s
        """Since when the oldest is the oldest."""
        self.deadline_s = now_s + handler.policy.timeout_s
        self.end: Callable[[], None]

    def ends(self) -> list[int]:
        """None: the runner itself listens to its programs."""
        return []

    def outputs(self) -> list[int]:
        """None: the runner itself listens to its programs."""
        return []

    def readable(self, fd: int) -> Ended | None:  # noqa: ARG002  # the interface of all kinds
        """Nothing is watched for it."""
        return None

    def overdue(self, now_s: float) -> None:
        """The program has kept its oldest event for too long."""
        error = f"ran longer than {self.handler.policy.timeout_s:g} s"
        self.stopped = Outcome(verdict="timeout", ms=_ms(self.since_s, now_s), error=error)
        self.end()

    def over(self, program: Program) -> Iterator[Ended]:
        """What is over now: the answers count in the order of the events."""
        now_s, done = time.monotonic(), 0
        while self.owed and (answer := self.owed[0].answer) and not self.stopped:
            self.owed.popleft()
            if answer.status == 0:
                done += 1
                continue
            outcome = self._outcome(program, answer, now_s)
            if self.owed and not _goes_on(outcome):
                self.stopped = outcome
            else:
                yield Ended(done, outcome, goes_on=bool(self.owed))
                done, self.since_s = 0, now_s
        if done:
            outcome = self._outcome(program, _DONE, now_s)
            yield Ended(done, outcome, goes_on=bool(self.owed))
            self.since_s = now_s
        if not self.stopped:
            self.deadline_s = self.since_s + self.handler.policy.timeout_s

    def _outcome(self, program: Program, answer: Answer, now_s: float) -> Outcome:
        verdict = verdict_of_exit(answer.status)
        error = answer.error or f"exit {answer.status}"
        return Outcome(
            verdict=verdict,
            ms=_ms(self.since_s, now_s),
            exit=answer.status,
            error="" if verdict in ("done", "skipped") else error,
            stdout=program.stdout.take(),
            stderr=program.stderr.take(),
            retry_after_s=answer.after_s,
        )


def _goes_on(outcome: Outcome) -> bool:
    """Whether what is behind an event may go on: it must not overtake one that comes again, and a
    handler that is to be paused gets nothing more."""
    is_rejected = outcome.verdict == "rejected" and outcome.exit not in PAUSING
    return outcome.verdict == "skipped" or is_rejected


def _outcome_of_end(program: Program, stderr: str, since_s: float) -> Outcome:
    """What the end of its program comes to for the oldest event that it had not answered."""
    code = program.code or 0
    verdict: Verdict = "failed"
    if not program.is_ending and (code in PAUSING or verdict_of_exit(code) == "broken"):
        verdict = verdict_of_exit(code)
    said = stderr.strip().rpartition("\n")[2]
    return Outcome(
        verdict=verdict,
        ms=_ms(since_s, time.monotonic()),
        exit=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        error=program.fault or said or f"{_told(code)} before it had answered",
    )


def _told(code: int) -> str:
    if code < 0:
        return f"its program was killed by {signal_name(-code)}"
    return f"its program ended with exit {code}"


def _ms(since_s: float, now_s: float) -> float:
    return round((now_s - since_s) * 1e3, 3)


def _is_alive(program: Program) -> bool:
    """Whether a program lives that nobody else waits for any more."""
    if program.code is not None:
        return False
    try:
        pid, status = os.waitpid(program.pid, os.WNOHANG)
    except ChildProcessError:
        return False
    if pid:
        program.code = os.waitstatus_to_exitcode(status)
    return not pid
