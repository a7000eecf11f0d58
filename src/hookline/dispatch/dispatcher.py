"""The dispatcher: gives each event to the handlers that asked for it and does not forget one,
whatever is killed.

One process, one thread, one loop. `tick` is a single round: hear what ended, read what is new,
start what may start, write it all down. What is to be decided is decided by pure code (`decide`,
`subscription`, `ledger`); this module performs it.
"""

import math
import os
import random
import selectors
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from hookline.dispatch import loops
from hookline.dispatch.books import Books
from hookline.dispatch.companion import Companion
from hookline.dispatch.decide import HOPS_MAX, PAUSE_AFTER, Outcome
from hookline.dispatch.environment import Environment, run_mark
from hookline.dispatch.exec_runner import ExecRunner, Lines
from hookline.dispatch.handlers import Describe, Handler
from hookline.dispatch.identities import Identities
from hookline.dispatch.inbox import Inbox
from hookline.dispatch.intake import Intake
from hookline.dispatch.journal import STATE_FILE, JournalFiles
from hookline.dispatch.listener import Listener
from hookline.dispatch.lock import Lock
from hookline.dispatch.process import become_subreaper, empty, sweep
from hookline.dispatch.python_runner import PythonRunner, attribute
from hookline.dispatch.roster import Roster
from hookline.dispatch.runner import Ended, Run, Runner
from hookline.dispatch.settlement import Alert, Settlement
from hookline.dispatch.spectator import Nobody, Spectator
from hookline.dispatch.state import State
from hookline.dispatch.subscription import Cursor, Delivery
from hookline.log.home import Home
from hookline.model.clock import Clock, parse_rfc3339
from hookline.model.errors import HooklineError, WriteFailed

COMMIT_S: Final = 0.2
"""The most that a power cut can take of what `batch` writers appended, while a dispatcher runs."""
LOOK_S: Final = 1.0
"""How often folders are looked at, whether the kernel says that they changed or not."""
ONE_SIGNAL_S: Final = 0.5
SHORTAGE_S: Final = 1.0
RESTLESS_S: Final = 0.05
LATE_WRITERS_S: Final = 2.0
"""How long `drain` waits for writers that may still write to a closed segment."""
RUNS_MAX: Final = 256


class Dispatcher:
    """Runs the handlers of one home. Make it, call `run` or `drain`, then `close`."""

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
        random_seed: int | None = None,
        pause_after: int = PAUSE_AFTER,
    ) -> None:
        self.home = home
        self._clock = clock
        self._spectator = spectator or Nobody()
        self._lock = Lock(home)
        become_subreaper()
        self._work = home.state / "runs"
        self._work.mkdir(mode=0o700, exist_ok=True)
        self._state = State(home.state / STATE_FILE)
        self._journal = JournalFiles(home)
        self._books = Books(self._journal, self._state)
        jitter = random.Random(random_seed).random  # noqa: S311  # spreads retries, hides nothing
        self._settlement = Settlement(
            self._books, clock, jitter, alert, self._spectator, pause_after
        )
        self._inbox = Inbox(home, clock, self._spectator)
        identities = Identities(home.state / "identities")
        self._intake = Intake(
            self._inbox.log, identities, self._spectator, self._settlement.rewound
        )
        environment = Environment(home.root, passed, clock)
        self._runners: dict[str, Runner] = {
            "exec": ExecRunner(environment, lines, self._work),
            "python": PythonRunner(environment, self._work),
        }
        self.roster = Roster(
            folder=home.handlers,
            describe=describe,
            intake=self._intake,
            books=self._books,
            settlement=self._settlement,
            clock=clock,
            spectator=self._spectator,
            load=self._books.load,
            forget=self._forget,
        )
        self._companions = companions
        self._runs: dict[int, Run] = {}
        self._listening: dict[int, Listener] = {}
        self._watched: dict[int, Run] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._inbox.fd, selectors.EVENT_READ)
        self._committed: dict[tuple[str, str], Cursor] = {}
        self._commit_at_s = self._look_at_s = 0.0
        self._short_until_s = 0.0
        self._stopping = 0
        self._wake = -1
        self._told_at_s = -math.inf
        self._closed = False
        self._begin()

    # -- from outside --------------------------------------------------------------------

    def run(self) -> None:
        """Work until `stop` was called and what runs has ended."""
        with self.signals():
            while self._runs or not self._stopping:
                self.tick(self._pause_s())

    def drain(self) -> None:
        """Work until nothing is left that may run now; what is to be tried later stays on disk."""
        with self.signals():
            self._rescan()
            gives_up_s = time.monotonic() + LATE_WRITERS_S
            while self._runs or not self._stopping:
                busy = self.tick(self._pause_s() if self._runs else 0.0)
                if busy or self._runs or self._rescan():
                    continue
                if not self._intake.restless() or time.monotonic() >= gives_up_s:
                    break
                self._selector.select(RESTLESS_S)
        if self._books.trouble:
            raise WriteFailed(self._books.trouble)

    def stop(self) -> None:
        """Begin nothing more and end when what runs has ended; called again: end what runs."""
        self._stopping += 1
        for companion in self._companions:
            companion.stop()
        if self._stopping > 1:
            for runner in self._runners.values():
                runner.close()
            self._runs.clear()

    def close(self) -> None:
        """Write down how far it got and let go of everything. Runs that go on are ended, and will
        be tried again."""
        for runner in self._runners.values():
            runner.close()
        for companion in self._companions:
            companion.close()
        self._commit(whole=True)
        self._intake.close()
        self._state.close()
        self._inbox.close()
        self._selector.close()
        self._lock.close()
        self._closed = True

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return len(self._runs)

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
        """One round; False when there was nothing to do."""
        heard = self._hear(timeout_s)
        looked = False
        if self._inbox.folders_changed or time.monotonic() >= self._look_at_s:
            looked = self._look()
        changed = self._inbox.changed()
        self._intake.look(changed)
        for domain in changed:
            for listener in self.roster:
                if domain in listener.subscription.domains:
                    listener.behind.add(domain)
        pulled = self._pull()
        started = self._start()
        self._books.flush()
        if time.monotonic() >= self._commit_at_s:
            self._commit()
            if trouble := self._books.new_trouble():
                self._spectator.noted(f"{trouble}: nothing starts until that is mended")
        return bool(heard or looked or changed or pulled or started)

    def _hear(self, timeout_s: float) -> bool:
        heard = False
        for key, _ in self._selector.select(timeout_s):
            run = self._watched.get(key.fd)
            if key.fd == self._inbox.fd:
                heard = self._inbox.hear() or heard
            elif key.fd == self._wake:
                os.read(key.fd, 4096)
            elif run is not None:
                ended = run.readable(key.fd)
                if key.fd not in run.descriptors():
                    self._unwatch(key.fd)
                if ended is not None:
                    self._ended(run, ended)
                    heard = True
        heard = self._reap() or heard
        now_s = time.monotonic()
        for run in list(self._runs.values()):
            if now_s >= run.deadline_s:
                run.overdue(now_s)
        return heard

    def _reap(self) -> bool:
        """Every child that has ended: our runs, and the orphans that came to us."""
        reaped = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return reaped
            if pid == 0:
                return reaped
            for runner in self._runners.values():
                found = runner.exited(pid, status)
                if found is not None:
                    self._ended(*found)
                    reaped = True
            for companion in self._companions:
                companion.exited(pid, status)

    def _ended(self, run: Run, ended: Ended) -> None:
        if self._runs.pop(id(run), None) is None:
            return
        for fd in [fd for fd, watched in self._watched.items() if watched is run]:
            self._unwatch(fd)
        listener = self._listening.pop(id(run))
        self._settlement.ended(listener, run.deliveries, ended)
        if listener.leaving:
            self._commit()
            self.roster.let_go(self._inbox.domains)

    def _unwatch(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def _look(self) -> bool:
        """What only a look can tell: new files, commands of others, torn tails."""
        self._look_at_s = time.monotonic() + LOOK_S
        if self._state.reappear():
            self._spectator.noted("the index was deleted, and is there again")
        self._inbox.look()
        self._inbox.touch(self._intake.restless())
        obeyed = self._obey()
        if self.roster.changed():
            self._commit()
            self.roster.refresh(self._inbox.domains)
        self.roster.follow(self._inbox.domains)
        self._inbox.heal()
        return self._inbox.take_files() + obeyed > 0

    def _rescan(self) -> bool:
        """Look at everything, whatever the kernel has said of it; whether there was something to
        do."""
        looked = self._look()
        for listener in self.roster:
            listener.behind.update(listener.subscription.domains)
        return self._pull() or looked

    def _obey(self) -> int:
        """Do what others have written into the journal."""
        commands = self._books.commands()
        for entry in commands:
            listener = self.roster.listeners.get(entry.handler)
            if entry.action in ("replay", "drop"):
                news = not entry.letter or self._books.close_letter(entry.letter)
                if news and entry.action == "replay":
                    # In the commit that moves past its line, whether or not anybody listens now.
                    self._books.waiting(entry.handler, self.roster.replay(entry))
            elif listener is not None:
                reason = "" if entry.action == "resumed" else entry.reason or "paused"
                at_s = parse_rfc3339(entry.time).timestamp()
                listener.pause(reason, math.inf if entry.by == "hand" else at_s)
                self._books.handler(listener)
        return len(commands)

    def _pull(self) -> bool:
        before = self._intake.admitted
        for listener in self.roster:
            for domain in sorted(listener.behind):
                if not self._intake.pull(listener, domain):
                    listener.behind.discard(domain)
        return self._intake.admitted > before

    # -- starting ------------------------------------------------------------------------

    def _start(self) -> int:
        now_s = self._clock.monotonic_s()
        if self._stopping or self._books.stuck or time.monotonic() < self._short_until_s:
            return 0
        chosen: list[tuple[Listener, list[Delivery]]] = []
        settled = self._settlement.settled
        for listener in self.roster:
            if listener.may_start(now_s) and len(self._runs) + len(chosen) < RUNS_MAX:
                chosen += [(listener, run) for run in self._choose(listener, now_s)]
        if chosen and not self._books.begun([(each.name, run) for each, run in chosen]):
            self._run_short(self._books.trouble, chosen, now_s)
            return 0
        for listener, deliveries in chosen:
            self._start_run(listener, deliveries, now_s)
        return len(chosen) + self._settlement.settled - settled

    def _choose(self, listener: Listener, now_s: float) -> list[list[Delivery]]:
        limit = self._runners[listener.handler.kind].limit(listener.handler)
        chosen = []
        for first in listener.subscription.startable(now_s):
            told = self._without_run(first)
            if told is not None:
                listener.subscription.begin(first)
                self._settlement.one(listener, first, told)
                continue
            deliveries = [first]
            for delivery in listener.subscription.run_of(first, limit)[1:]:
                if delivery.interrupted or self._without_run(delivery) is not None:
                    break
                deliveries.append(delivery)
            for delivery in deliveries:
                listener.subscription.begin(delivery)
            chosen.append(deliveries)
            if listener.held:
                break
        return chosen

    def _without_run(self, delivery: Delivery) -> Outcome | None:
        """What a delivery comes to without being run; None when it is to be run, and has its
        line."""
        if delivery.raw is None:
            delivery.raw = self._intake.line_of(delivery)
        if delivery.raw is None and delivery.replay:
            delivery.raw = self._books.buried(delivery.replay)
        if delivery.raw is None:
            error = "its line is not in the log any more"
            return Outcome(verdict="rejected", ms=0.0, error=error)
        if delivery.interrupted:
            delivery.interrupted = False
            delivery.attempt -= 1
            error = "the dispatcher ended while it ran"
            return Outcome(verdict="interrupted", ms=0.0, error=error)
        if delivery.hops > HOPS_MAX and not delivery.replay:
            return Outcome(verdict="looped", ms=0.0, error=loops.path(self.home, delivery.raw))
        return None

    def _start_run(self, listener: Listener, deliveries: list[Delivery], now_s: float) -> None:
        runner = self._runners[listener.handler.kind]
        try:
            run = runner.start(listener.handler, deliveries, time.monotonic())
        except (HooklineError, ValueError) as error:
            # The event cannot be put into the form that the handler wants.
            refused = Outcome(verdict="rejected", ms=0.0, error=str(error))
            self._settlement.ended(listener, deliveries, Ended(0, refused))
            return
        except OSError as error:
            why = f"cannot start {listener.name} now: {error.strerror}"
            self._run_short(why, [(listener, deliveries)], now_s)
            return
        self._runs[id(run)] = run
        self._listening[id(run)] = listener
        if run.failed:
            self._ended(run, Ended(0, Outcome(verdict="broken", ms=0.0, error=run.failed)))
            return
        for fd in run.descriptors():
            self._watched[fd] = run
            self._selector.register(fd, selectors.EVENT_READ)

    def _run_short(
        self, why: str, unstarted: list[tuple[Listener, list[Delivery]]], now_s: float
    ) -> None:
        """The machine is short of something, and no event is to blame: a pause, and once more."""
        self._short_until_s = time.monotonic() + SHORTAGE_S
        self._spectator.noted(why)
        for listener, deliveries in unstarted:
            for delivery in deliveries:
                listener.subscription.unbegin(delivery, now_s + SHORTAGE_S)
                self._books.waiting(listener.name, delivery)

    # -- beginning, waiting, writing down --------------------------------------------------

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
        sweep(marks | hosts)
        attribute(ledger, self._work)
        empty(self._work)
        self._books.take_over(ledger)
        for news in (self._state.news, self._journal.news):
            if news:
                self._spectator.noted(news)
        self._inbox.look()
        self._intake.remember(ledger.starts(), self._inbox.domains)
        for domain in self._inbox.domains:
            self._intake.look_from_here(domain)
        self.roster.refresh(self._inbox.domains)
        self._commit()

    def _forget(self, handler: Handler) -> None:
        for runner in self._runners.values():
            runner.forget(handler)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT and SIGHUP stop, SIGCHLD wakes; as it was before, afterwards."""
        if self._wake >= 0:
            yield
            return
        self._wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ)
        wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        before = {
            number: signal.signal(number, lambda *_: self._told_to_stop())
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
            # nohup(1) has asked for a closed terminal to be no reason to end.
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        # A handler must be there, or nothing is written to the wake-up descriptor.
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            if not self._closed:
                self._selector.unregister(self._wake)
            os.close(self._wake)
            os.close(write)
            self._wake = -1

    def _told_to_stop(self) -> None:
        """A signal. Two at once are one: timeout(1) and a terminal signal us and our group."""
        now_s = time.monotonic()
        if now_s - self._told_at_s >= ONE_SIGNAL_S:
            self._told_at_s = now_s
            self.stop()

    def _pause_s(self) -> float:
        """How long nothing can be to do, unless a descriptor says otherwise."""
        if self._inbox.pending or any(
            each.behind and each.subscription.room > 0 for each in self.roster
        ):
            return 0.0
        now_s = time.monotonic()
        waits = [self._look_at_s - now_s, self._commit_at_s - now_s]
        waits += [run.deadline_s - now_s for run in self._runs.values()]
        turns = (companion.turn(now_s) for companion in self._companions)
        waits += [turn_s - now_s for turn_s in turns if turn_s is not None]
        if not self._stopping:
            starts = (each.next_start_s() for each in self.roster)
            waits += [start - now_s for start in starts if start is not None]
        return max(0.0, min(waits))

    def _commit(self, whole: bool = False) -> None:
        self._commit_at_s = time.monotonic() + COMMIT_S
        self._intake.save_beginnings()
        moved: dict[str, dict[str, Cursor]] = {}
        for listener in self.roster:
            for domain in listener.moved:
                cursor = listener.subscription.cursor(domain)
                if self._committed.get((listener.name, domain)) != cursor:
                    moved.setdefault(listener.name, {})[domain] = cursor
        if not self._books.commit(moved, self._intake.sync, frozenset(self._intake.written)):
            return
        for name, cursors in moved.items():
            for domain, cursor in cursors.items():
                self._committed[name, domain] = cursor
        for listener in self.roster:
            listener.moved.clear()
        if whole or self._clock.monotonic_s() >= self._books.cursors_due_s:
            self._books.write_cursors(self._committed, self._clock)
        why = self._books.turn_over(self._committed, self._clock)
        if why:
            self._spectator.noted(why)
