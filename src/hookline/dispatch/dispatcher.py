"""The dispatcher: gives each event to the handlers that asked for it and does not forget one,
whatever is killed.

One process, one thread, one loop. `tick` is a single round: hear what ended, read what is new,
start what may start, write it all down. What is to be decided is decided by pure code (`decide`,
`subscription`, `ledger`); this module performs it.
"""

import math
import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from hookline.dispatch import loops
from hookline.dispatch.books import Books
from hookline.dispatch.companion import Companion
from hookline.dispatch.core import Core
from hookline.dispatch.decide import PAUSE_AFTER
from hookline.dispatch.environment import Environment, run_mark, warm_mark
from hookline.dispatch.exec_runner import ExecRunner, Lines
from hookline.dispatch.folders import Folders
from hookline.dispatch.handlers import Describe, Handler, HandlersFolder
from hookline.dispatch.identities import Identities
from hookline.dispatch.inbox import Inbox
from hookline.dispatch.intake import Intake
from hookline.dispatch.journal import STATE_FILE, JournalFiles
from hookline.dispatch.lock import Lock
from hookline.dispatch.poll import Poll
from hookline.dispatch.process import become_subreaper, empty, raise_file_limit, sweep
from hookline.dispatch.python_runner import PythonRunner, attribute
from hookline.dispatch.roster import Roster
from hookline.dispatch.runner import Ended, Run, Runner
from hookline.dispatch.settlement import Alert, Jitter, Settlement
from hookline.dispatch.signals import asked_to_stop, hear
from hookline.dispatch.spectator import Nobody, Spectator
from hookline.dispatch.state import State
from hookline.dispatch.stream_runner import StreamRunner
from hookline.dispatch.subscription import Delivery
from hookline.dispatch.syncer import ThreadSyncer
from hookline.dispatch.turns import DISPATCHER_NS, take_short_turns
from hookline.dispatch.warm_runner import WarmRunner
from hookline.log.home import Home
from hookline.model.clock import Clock
from hookline.model.errors import HooklineError, TryAgain, WriteFailed, is_shortage, told

LOOK_S: Final = 1.0
"""How often folders are looked at, whether the kernel says that they changed or not."""
ONE_SIGNAL_S: Final = 0.5
RESTLESS_S: Final = 0.05
LATE_WRITERS_S: Final = 2.0
"""How long `drain` waits for writers that may still write to a closed segment."""


class Dispatcher:
    """Runs the handlers of one home. Make it, call `run` or `drain`, then `close`."""

    told_by = 0
    """The last signal that told it to stop; 0: none has."""
    _told_at_s = -math.inf
    _child_ended = True
    """Whether a child may have: a signal says so, or else a look."""

    def __init__(
        self,
        home: Home,
        *,
        clock: Clock,
        describe: Describe,
        lines: Lines,
        alert: Alert,
        passed: Mapping[str, str],
        spectator: Spectator | None = None,
        companions: Sequence[Companion] = (),
        jitter: Jitter = random.random,
        pause_after: int = PAUSE_AFTER,
        cortex: bool = False,
    ) -> None:
        self.home = home
        self._clock = clock
        self._companions = companions
        self._spectator = spectator or Nobody()
        self._lock = Lock(home)
        become_subreaper()
        raise_file_limit()
        take_short_turns(DISPATCHER_NS)
        self._work = home.state / "runs"
        self._work.mkdir(mode=0o700, exist_ok=True)
        self._state = State(home.state / STATE_FILE)
        self._journal = JournalFiles(home)
        self._books = Books(self._journal, self._state)
        self._settlement = Settlement(
            self._books, clock, jitter, alert, self._spectator, pause_after
        )
        self._inbox = Inbox(home, clock, self._spectator)
        identities = Identities(home.state / "identities")
        self._intake = Intake(
            self._inbox.log, identities, self._spectator, self._settlement.rewound
        )
        environment = Environment(home.root, passed, clock)
        self._streams = StreamRunner(
            environment, lines, self._work, self._rest, self._spectator.noted
        )
        self._runners = self._make_runners(environment, lines)
        self.roster = Roster(
            folder=HandlersFolder(home.handlers, describe, cortex=cortex),
            intake=self._intake,
            books=self._books,
            settlement=self._settlement,
            clock=clock,
            spectator=self._spectator,
            load=self._books.known,
            forget=self._forget,
        )
        self._syncer, self._poll = ThreadSyncer(), Poll()
        self._core = Core(
            clock=clock,
            books=self._books,
            intake=self._intake,
            settlement=self._settlement,
            roster=self.roster,
            starter=_Starter(self._runners, clock, self._poll),
            syncer=self._syncer,
            path=partial(loops.path, home),
            spectator=self._spectator,
        )
        for fd in (self._inbox.fd, self._streams.fd, self._syncer.fd):
            self._poll.add(fd)
        self._look_at_s = 0.0
        self._overlooked = self._closed = False
        self._stopping = self._heeded = 0
        self._wake = -1
        self._begin()

    def _make_runners(self, environment: Environment, lines: Lines) -> dict[str, Runner]:
        folders = Folders(self._work)
        return {
            "exec": ExecRunner(environment, lines, folders),
            "python": PythonRunner(environment, self._work),
            "stream": self._streams,
            "warm": WarmRunner(environment, lines, folders),
        }

    # -- from outside --------------------------------------------------------------------

    def run(self) -> None:
        """Work until `stop` was called and what runs has ended."""
        with self.signals():
            while self._core.running or not self._stopping or self._are_companions_busy():
                self.tick(self._pause_s())

    def drain(self) -> None:
        """Work until nothing is left that may run now; what is to be tried later stays on disk."""
        with self.signals():
            self._patiently(self._rescan)
            gives_up_s = self._clock.monotonic_s() + LATE_WRITERS_S
            while self._core.running or not self._stopping:
                busy = self.tick(self._pause_s() if self._core.running else 0.0)
                if busy or self._core.running or self._patiently(self._rescan):
                    continue
                rests = any(each.rests(gives_up_s) for each in self.roster)
                waits = self._core.short or self._intake.restless() or rests
                if not waits or self._clock.monotonic_s() >= gives_up_s:
                    break
                self._poll.wait(RESTLESS_S)
        if self._core.short:
            raise TryAgain(f"{self._core.short}: what is left waits for the next")
        self._core.commit()
        if trouble := self._books.trouble or next(iter(self._intake.unsynced.values()), ""):
            raise WriteFailed(trouble)

    def stop(self, *, at_once: bool = False) -> None:
        """Begin nothing more and end when what runs has ended; `at_once`, or called again: end what
        runs.

        Only noted, since a signal comes in the middle of anything: the next round does it.
        """
        self._stopping += 2 if at_once else 1
        self._core.stopping = True

    def close(self) -> None:
        """Write down how far it got and let go of everything. Runs that go on are ended, and will
        be tried again."""
        for runner in self._runners.values():
            runner.close()
        for companion in self._companions:
            companion.close()
        self._core.commit(whole=True)
        self._intake.close()
        self._state.close()
        self._journal.close()
        self._inbox.close()
        self._syncer.close()
        self._poll.close()
        self._lock.close()
        self._closed = True

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return self._core.running

    @property
    def settled(self) -> int:
        """How many deliveries were settled since it began."""
        return self._settlement.settled

    @property
    def letters(self) -> int:
        """How many of them became dead letters."""
        return self._settlement.letters

    # -- a round -------------------------------------------------------------------------

    def tick(self, timeout_s: float = 0.0) -> bool:
        """One round; False when there was nothing to do, or the machine is short of something."""
        return self._patiently(partial(self._round, timeout_s))

    def _patiently(self, work: Callable[[], bool]) -> bool:
        """Do it; a shortage that cuts it short is waited for, and then everything is looked at."""
        try:
            return work()
        except Exception as error:
            if not is_shortage(error):
                raise
            self._core.run_short(told(error))
            self._overlooked = True
            return False

    def _round(self, timeout_s: float) -> bool:
        heard = self._hear(timeout_s)
        self._heed()
        looked = False
        if self._inbox.folders_changed or self._clock.monotonic_s() >= self._look_at_s:
            looked = self._look()
        changed = self._inbox.changed()
        self._core.hear(changed)
        turned = self._core.turn()
        return bool(heard or looked or changed or turned)

    def _heed(self) -> None:
        """Do what `stop` has noted."""
        if self._heeded == self._stopping:
            return
        self._heeded = self._stopping
        for companion in self._companions:
            companion.stop()
        if self._heeded > 1:
            for companion in self._companions:
                companion.close()
            for runner in self._runners.values():
                runner.close()
            self._core.give_up()

    def _are_companions_busy(self) -> bool:
        return any(each.busy for each in self._companions)

    def _hear(self, timeout_s: float) -> bool:
        heard = False
        self._listen()
        for fd, run in self._poll.wait(timeout_s):
            if run is not None:
                ended = run.readable(fd)
                if ended is not None:
                    self._ended(run, ended)
                    heard = True
                elif fd not in run.outputs() and fd not in run.ends():
                    self._poll.mute(run, fd)
            elif fd == self._inbox.fd:
                heard = self._inbox.hear() or heard
            elif fd == self._syncer.fd:
                self._syncer.heard()
            elif fd == self._wake:
                os.read(fd, 4096)
                self._child_ended = True
        if self._core.overdue:
            # Who was stopped for a while may not have been told yet what ended before.
            self._child_ended = True
        heard = self._reap() or heard
        for run, ended in self._streams.hear():
            self._ended(run, ended)
            heard = True
        self._core.mind_deadlines()
        return heard

    def _reap(self) -> bool:
        """Every child that has ended, if one may have: of our runs, and orphans that came to us."""
        reaped = False
        while self._child_ended:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                # Without the signal, each round has to see for itself.
                self._child_ended = self._wake < 0
                break
            for runner in self._runners.values():
                found = runner.exited(pid, status)
                if found is not None:
                    self._ended(*found)
                    reaped = True
            for companion in self._companions:
                companion.exited(pid, status)
        return reaped

    def _ended(self, run: Run, ended: Ended | None) -> None:
        self._poll.forget(run)
        self._core.ended(run, ended)

    def _listen(self) -> None:
        """Have the kernel tell of what is watched; where it cannot now, it is asked again."""
        try:
            self._poll.mind(self._clock.monotonic_s())
        except (OSError, MemoryError) as error:
            self._core.run_short(f"a run cannot be watched now: {told(error)}")

    def _look(self) -> bool:
        """What only a look can tell: new files, commands of others, torn tails."""
        self._look_at_s = self._clock.monotonic_s() + LOOK_S
        self._child_ended = True
        self._mind_index()
        overlooked, self._overlooked = self._overlooked, False
        self._inbox.look()
        self._inbox.touch(self._inbox.domains if overlooked else self._intake.restless())
        obeyed = self._core.look(self._inbox.domains)
        self._inbox.heal()
        return self._inbox.take_files() > 0 or obeyed

    def _mind_index(self) -> None:
        try:
            if self._state.reappear():
                self._spectator.noted("the index was deleted, and is there again")
        except HooklineError as error:
            self._spectator.noted(str(error))

    def _rescan(self) -> bool:
        """Look at everything, whatever the kernel has said of it; whether there was something to
        do."""
        looked = self._look()
        self._intake.distrust()
        for listener in self.roster:
            for domain in listener.subscription.domains:
                listener.hear(domain)
        return self._core.pull() or looked

    # -- beginning, waiting ----------------------------------------------------------------

    def _begin(self) -> None:
        """Take over from a dispatcher that may have been killed at any moment."""
        ledger = self._books.load()
        marks = {
            run_mark(str(self.home.root), name, pending.event, pending.attempt)
            for name, progress in ledger.handlers.items()
            for pending in progress.pending.values()
            if pending.running
        }
        hosts = {run_mark(str(self.home.root), name, "host", 0) for name in ledger.handlers}
        # Before anything is taken from under them, or asked how far they have got.
        sweep(marks | hosts | {warm_mark(str(self.home.root))})
        blameless = attribute(ledger, self._work)
        self._books.take_over(ledger)
        self._books.blameless(blameless, self._clock)
        empty(self._work)
        for news in (self._state.news, self._journal.news):
            if news:
                self._spectator.noted(news)
        self._inbox.look()
        self._core.take_over(ledger, self._inbox.domains)

    def _forget(self, handler: Handler) -> bool:
        for runner in self._runners.values():
            runner.forget(handler)
        return self._streams.is_gone(handler)

    def _rest(self, name: str, until_s: float) -> None:
        """Start nothing of a handler until then."""
        if name in self.roster.listeners:
            self.roster.listeners[name].rests_until_s = until_s

    @contextmanager
    def signals(self, *, at_once: bool = False) -> Iterator[None]:
        """SIGTERM, SIGINT and SIGHUP stop (`at_once`: and end what runs), SIGCHLD wakes; as it was
        before, afterwards."""
        if self._wake >= 0:
            yield
            return
        heard = asked_to_stop(lambda number: self._told_to_stop(number, at_once))
        # Nothing can be read where nobody hears it.
        heard[signal.SIGCHLD] = lambda _: None
        with hear(heard) as wake:
            self._wake = wake
            self._poll.add(wake)
            try:
                yield
            finally:
                if not self._closed:
                    self._poll.remove(wake)
                self._wake = -1
                self._child_ended = True

    def _told_to_stop(self, number: int, at_once: bool) -> None:
        """A signal. Two at once are one: timeout(1) and a terminal signal us and our group."""
        now_s = self._clock.monotonic_s()
        if now_s - self._told_at_s >= ONE_SIGNAL_S:
            self._told_at_s = now_s
            self.told_by = number
            self.stop(at_once=at_once)

    def _pause_s(self) -> float:
        """How long nothing can be to do, unless a descriptor says otherwise."""
        now_s = self._clock.monotonic_s()
        # Also while there is a shortage: a companion may have to say that the loop goes round.
        turns = [companion.turn(now_s) for companion in self._companions]
        if self._core.short:
            return RESTLESS_S
        if self._inbox.pending:
            return 0.0
        waits = [self._look_at_s - now_s, self._core.next_s() - now_s]
        if (listen_s := self._poll.next_s()) is not None:
            waits.append(listen_s - now_s)
        waits += [turn_s - now_s for turn_s in turns if turn_s is not None]
        return max(0.0, min(waits))


class _Starter:
    """Begins each run with the runner of its handler's kind."""

    def __init__(self, runners: Mapping[str, Runner], clock: Clock, poll: Poll) -> None:
        self._runners = runners
        self._clock = clock
        self._poll = poll

    def limit(self, handler: Handler) -> int:
        return self._runners[handler.kind].limit(handler)

    def start(self, handler: Handler, deliveries: list[Delivery]) -> Run:
        now_s = self._clock.monotonic_s()
        run = self._runners[handler.kind].start(handler, deliveries, now_s)
        if not run.failed:
            self._poll.watch(run, now_s)
        return run
