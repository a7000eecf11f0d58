"""The core of the dispatcher: what starts, what is decided without a run, what an end comes to,
what is committed and when. It acts through its ports alone: no descriptor, no process, no clock of
its own, so that a simulation runs the very same code.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Final, Protocol

from hookline.dispatch.books import Books
from hookline.dispatch.commits import Commits, Syncer
from hookline.dispatch.decide import HOPS_MAX, Outcome
from hookline.dispatch.handlers import Handler
from hookline.dispatch.intake import Intake
from hookline.dispatch.ledger import Entry, Ledger
from hookline.dispatch.listener import Listener
from hookline.dispatch.roster import Roster
from hookline.dispatch.runner import Ended, Run
from hookline.dispatch.settlement import Settlement, parted
from hookline.dispatch.spectator import Spectator
from hookline.dispatch.subscription import Delivery, end_of
from hookline.model.clock import Clock
from hookline.model.errors import HooklineError, TryAgain, told

SHORTAGE_S: Final = 1.0
RUNS_MAX: Final = 256


class Starter(Protocol):
    """What begins a run; its end is told by `Core.ended`."""

    def limit(self, handler: Handler) -> int:
        """How many deliveries may ride in one run."""

    def start(self, handler: Handler, deliveries: list[Delivery]) -> Run:
        """Begin.

        Raises:
            HooklineError, ValueError: the event cannot be put into the form that is wanted.
            OSError: the machine is short of something; no event is to blame.
        """


class Core:
    """Delivers what the logs have to the listeners of the roster."""

    def __init__(
        self,
        *,
        clock: Clock,
        books: Books,
        intake: Intake,
        settlement: Settlement,
        roster: Roster,
        starter: Starter,
        syncer: Syncer,
        path: Callable[[bytes], str],
        spectator: Spectator,
    ) -> None:
        """`path` says by which events the one on this line came to be."""
        self._clock = clock
        self._books = books
        self._intake = intake
        self._settlement = settlement
        self._roster = roster
        self._starter = starter
        self._path = path
        self._spectator = spectator
        self._commits = Commits(
            clock=clock,
            books=books,
            intake=intake,
            roster=roster,
            syncer=syncer,
            spectator=spectator,
        )
        self.commit = self._commits.commit
        self._domains: list[str] = []
        self._listening: dict[int, tuple[Run, Listener]] = {}
        self._commands: deque[Entry] = deque()
        self._stopped: set[str] = set()
        """Who was paused or resumed by a command, and has not been told."""
        self._short_until_s = 0.0
        self.short = ""
        """What the machine is short of, for as long as nothing starts because of it."""
        self.stopping = False
        """Whether nothing may start any more."""

    @property
    def runs(self) -> list[Run]:
        """What is under way."""
        return [run for run, _ in self._listening.values()]

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return len(self._listening)

    # -- a round -------------------------------------------------------------------------

    def take_over(self, ledger: Ledger, domains: list[str]) -> None:
        """Go on where another ended, whatever ended it; nothing of it may run any more."""
        self._domains = domains
        self._intake.remember(ledger.starts(), domains)
        for domain in domains:
            self._intake.look_from_here(domain)
        self._roster.refresh(domains)
        self.commit()

    def look(self, domains: list[str]) -> bool:
        """Mind what others did: commands in the journal, handlers that came or went, new domains.
        Whether there was a command."""
        self._domains = domains
        self._commits.want()
        obeyed = self._obey()
        # Who comes back with a new file goes on from what is written down.
        if self._roster.changed() and self.commit():
            self._roster.refresh(domains)
        self._roster.follow(domains)
        return obeyed

    def hear(self, changed: Collection[str]) -> None:
        """These logs changed."""
        if changed:
            self._commits.want()
        self._intake.hear(changed)
        for domain in changed:
            for listener in self._roster.readers(domain):
                listener.hear(domain)

    def turn(self) -> bool:
        """Read, start what may start, write it all down; False when there was nothing to do."""
        # What is there is started before more is read: who has just ended a run has nothing to do.
        started = self._start()
        pulled = self.pull()
        started += self._start()
        # Who has been given the first of it is at work meanwhile.
        pulled = self.pull() or pulled
        if self._clock.monotonic_s() >= self._short_until_s:
            self.short = ""
        self._books.flush()
        # Not before: to watch is not worth a delay.
        self._intake.look()
        if pulled or started:
            self._commits.want()
        self._commits.turn()
        return pulled or started > 0

    def pull(self) -> bool:
        """Take in what there is room for; whether there was something, or there is more to read:
        what nobody wants fills many a round."""
        before = self._intake.admitted
        for listener in list(self._roster.awake):
            for domain in sorted(listener.behind):
                if not self._intake.pull(listener, domain):
                    listener.behind.discard(domain)
            if listener.blamed:
                self._books.blamed(listener.name, listener.blamed, self._clock)
                listener.blamed.clear()
            if listener.idle:
                del self._roster.awake[listener]
        return self._intake.admitted > before or self._has_more()

    def _has_more(self) -> bool:
        return any(each.behind and each.subscription.room > 0 for each in self._roster.awake)

    def ended(self, run: Run, ended: Ended | None) -> bool:
        """A run is over, or the first part of it; None: none of its deliveries was run. False when
        it was given up before."""
        _, listener = self._listening.get(id(run), (None, None))
        if listener is None:
            return False
        self._commits.want()
        if ended is not None and ended.goes_on:
            over = ended.done + (ended.outcome.verdict != "done")
            before, behind = parted(listener.subscription, run.deliveries, over)
            self._settlement.ended(listener, before, ended)
            run.deliveries[:] = behind
            self._books.goes_on(listener.name, run.deliveries, self._clock)
            return True
        del self._listening[id(run)]
        if ended is None:
            self._take_back([(listener, run.deliveries)], 0.0)
        else:
            self._settlement.ended(listener, run.deliveries, ended)
        if listener.leaving and self.commit():
            self._roster.let_go(self._domains)
        return True

    @property
    def overdue(self) -> bool:
        """Whether something has run for too long."""
        now_s = self._clock.monotonic_s()
        return any(now_s >= run.deadline_s for run, _ in self._listening.values())

    def mind_deadlines(self) -> None:
        """End what has run for too long."""
        now_s = self._clock.monotonic_s()
        for run in self.runs:
            if now_s >= run.deadline_s:
                run.overdue(now_s)

    def give_up(self) -> None:
        """What runs was ended, and will be tried again by whoever comes next."""
        self._listening.clear()

    def next_s(self) -> float:
        """When there is something to do again, unless something changes before; monotonic."""
        if self._has_more():
            return -math.inf
        moments = [self._commits.due_s, *(run.deadline_s for run in self.runs)]
        if not self.stopping and not self._books.trouble:
            starts = (each.next_start_s() for each in self._roster.awake)
            moments += [start_s for start_s in starts if start_s is not None]
        return min(moments)

    def _obey(self) -> bool:
        """Do what others have written into the journal; what a shortage cuts short, next time."""
        self._commands += self._books.commands()
        found = bool(self._commands or self._stopped)
        while self._commands:
            entry = self._commands[0]
            if entry.action in ("paused", "resumed"):
                self._stopped.add(entry.handler)
            else:
                news = not entry.letter or self._books.close_letter(entry.letter)
                if news and entry.action == "replay":
                    # In the commit that moves past its line, whether or not anybody listens now.
                    self._books.asked(entry.handler, self._roster.replay(entry))
            self._commands.popleft()
        if self._stopped:
            # Lines of ours may stand behind the command: what counts is the order of the journal.
            ledger = self._books.load()
            for name in sorted(self._stopped):
                standing = ledger.progress(name)
                self._books.handler(name, standing)
                if name in self._roster.listeners:
                    self._roster.listeners[name].standing = standing
            self._stopped.clear()
        self._books.obeyed()
        return found

    # -- starting ------------------------------------------------------------------------

    def _start(self) -> int:
        now_s = self._clock.monotonic_s()
        if self.stopping or self._books.trouble or now_s < self._short_until_s:
            return 0
        chosen: list[tuple[Listener, list[Delivery]]] = []
        settled, begun = self._settlement.settled, 0
        try:
            for listener in list(self._roster.awake):
                if listener.may_start(now_s) and self.running + len(chosen) < RUNS_MAX:
                    for deliveries in self._choose(listener, now_s):
                        chosen.append((listener, deliveries))  # kept, whatever ends this
            runs = [(each.name, run) for each, run in chosen]
            if runs and not self._books.begun(runs, self._clock):
                self.run_short(self._books.trouble)
                self._take_back(chosen, now_s + SHORTAGE_S)
                return 0
            for listener, deliveries in chosen:
                begun += 1
                self._start_run(listener, deliveries, now_s)
        except Exception:
            # Whatever ends the round, or the dispatcher: what was not started did not run.
            self._take_back(chosen[begun:], now_s + SHORTAGE_S)
            raise
        return len(chosen) + self._settlement.settled - settled

    def _choose(self, listener: Listener, now_s: float) -> Iterator[list[Delivery]]:
        limit = self._starter.limit(listener.handler)
        for first in listener.subscription.startable(now_s):
            if not self._has_line(first):
                listener.subscription.begin(first)
                listener.subscription.unbegin(first, now_s + SHORTAGE_S)
                continue
            told = self._without_run(first)
            if told is not None:
                listener.subscription.begin(first)
                self._settlement.one(listener, first, told)
                continue
            deliveries = [first]
            for delivery in listener.subscription.run_of(first, limit)[1:]:
                if delivery.interrupted or not self._has_line(delivery):
                    break
                if self._without_run(delivery) is not None:
                    break
                deliveries.append(delivery)
            for delivery in deliveries:
                listener.subscription.begin(delivery)
            yield deliveries
            if listener.standing.held:
                break

    def _has_line(self, delivery: Delivery) -> bool:
        """Whether a delivery has its line, if there is one; False while its log cannot be read."""
        if not delivery.has_line:
            try:
                delivery.raw = self._intake.line_of(delivery, self._books.buried)
            except (HooklineError, OSError, MemoryError):
                return False
        return True

    def _without_run(self, delivery: Delivery) -> Outcome | None:
        """What a delivery comes to without being run; None when it is to be run."""
        if not delivery.has_line:
            error = "its line is not in the log any more"
            return Outcome(verdict="rejected", ms=0.0, error=error)
        if delivery.interrupted:
            delivery.interrupted = False
            delivery.attempt -= 1
            error = "the dispatcher ended while it ran"
            return Outcome(verdict="interrupted", ms=0.0, error=error)
        if delivery.hops > HOPS_MAX and not delivery.replay:
            return Outcome(verdict="looped", ms=0.0, error=self._path(delivery.line))
        return None

    def _start_run(self, listener: Listener, deliveries: list[Delivery], now_s: float) -> None:
        try:
            run = self._starter.start(listener.handler, deliveries)
        except (OSError, MemoryError, TryAgain) as error:
            self.run_short(f"cannot start {listener.name} now: {told(error)}")
            self._take_back([(listener, deliveries)], now_s + SHORTAGE_S)
            return
        except (HooklineError, ValueError) as error:
            # An event cannot be put into the form that the handler wants.
            if end_of(deliveries):
                singles = listener.subscription.split_up(deliveries)
                self._take_back([(listener, singles)], 0.0, alone=True)
                return
            refused = Outcome(verdict="rejected", ms=0.0, error=str(error))
            self._settlement.ended(listener, deliveries, Ended(0, refused))
            return
        except Exception:
            self._take_back([(listener, deliveries)], now_s + SHORTAGE_S)
            raise
        self._listening[id(run)] = run, listener
        if run.failed:
            self.ended(run, Ended(0, Outcome(verdict="broken", ms=0.0, error=run.failed)))

    def run_short(self, why: str) -> None:
        """The machine is short of something, and no event is to blame: a pause, and once more."""
        self._short_until_s = self._clock.monotonic_s() + SHORTAGE_S
        if not self.short:
            self._spectator.noted(why)
        self.short = why

    def _take_back(
        self,
        unstarted: list[tuple[Listener, list[Delivery]]],
        due_s: float,
        *,
        alone: bool = False,
    ) -> None:
        """These did not run, through no fault of theirs: nothing may say so, whatever comes
        next. `alone`: each is to be run by itself."""
        for listener, deliveries in unstarted:
            for delivery in deliveries:
                listener.subscription.unbegin(delivery, due_s, alone=alone)
        self._books.give_back([(each.name, run[0]) for each, run in unstarted], self._clock)
