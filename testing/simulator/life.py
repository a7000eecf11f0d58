"""The shell around the core in a world: a dispatcher from its beginning to its end."""

from hookline.dispatch.books import Books
from hookline.dispatch.core import Core
from hookline.dispatch.intake import Intake
from hookline.dispatch.ledger import blame
from hookline.dispatch.roster import Roster
from hookline.dispatch.settlement import Settlement
from hookline.model.errors import HooklineError
from testing.simulator import oracle
from testing.simulator.disk import Crash, SimSyncer
from testing.simulator.index import SimIdentities

DRAIN_S = 7 * 86_400.0
"""In so much virtual time without faults everything must be settled."""


class Life:
    """The shell around the core in a world: one life of it."""

    def __init__(self, world):
        self.world = world
        clock = world.clock
        self.books = Books(world.paper, world.index)
        self.settlement = Settlement(self.books, clock, world.random.random, world.alert, world)
        identities = SimIdentities(world.identities)
        self.intake = Intake(world.logs.get, identities, world, self.settlement.rewound)
        self.roster = Roster(
            folder=world, intake=self.intake, books=self.books, settlement=self.settlement,
            clock=clock, spectator=world, load=self.books.known, forget=lambda _: True,
        )  # fmt: skip
        self.core = Core(
            clock=clock, books=self.books, intake=self.intake, settlement=self.settlement,
            roster=self.roster, starter=world, syncer=SimSyncer(world),
            path=lambda _: "a loop", spectator=world,
        )  # fmt: skip

    def work(self):
        """Take over and go on until told to stop; True when the world has nothing left to
        settle."""
        world, clock = self.world, self.world.clock
        world.happenings.happen()
        world.say("begins")
        try:
            ledger = self.books.load()
            world.problems += oracle.differences(world, ledger)
            given_back = self._attribute(ledger)
            self.books.take_over(ledger)
            self.books.blameless(given_back, clock)
            world.progress.clear()
            self.core.take_over(ledger, list(world.logs))
            while True:
                world.happenings.happen()
                self.core.stopping = world.stopping
                if world.stopping and not self.core.running:
                    return self._close()
                if clock.at_s > world.ends_s + DRAIN_S:
                    world.problems.append(f"stuck: {self._open()} open")
                    return True
                self._round()
                # Not before it has heard the last command.
                if world.settling and not self._open():
                    return self._close()
        except HooklineError as error:
            # The full disk kept it from beginning: whoever starts it tries again.
            world.say("ends:", error)
            raise Crash from error

    def _attribute(self, ledger):
        return [
            (name, pending)
            for name, (first, done) in self.world.progress.items()
            for pending in blame(ledger.progress(name), first, done)
        ]

    def _round(self):
        world, clock = self.world, self.world.clock
        for run in [each for each in world.underway if each.ends_s <= clock.at_s]:
            world.underway.remove(run)
            world.note(run)
            self._beget()
            self.core.ended(run, run.ended())
        for run in [each for each in world.underway if each.handler.kind == "stream"]:
            if world.random.random() < 0.5 and (ended := run.over(clock.at_s)):
                self.core.ended(run, ended)
        self.core.mind_deadlines()
        self.core.look(list(world.logs))
        for log in world.logs.values():
            # Only what has stood for a while: writers may glue their lines to it before.
            if world.settling or world.random.random() < 0.2:
                log.heal()
        self.core.hear(world.logs)
        busy = self.core.turn()
        if not busy and world.random.random() < 0.5:
            # A commit is due soon, and takes a while.
            clock.pass_s(0.1)
        elif not busy:
            self.core.commit()
            # What is due and cannot start, for a full disk say, is tried again now and then.
            pause_s = 10.0 if self.books.trouble else 0.05
            clock.at_s = max(clock.at_s + pause_s, self._next_s())

    def _beget(self):
        """Some handlers beget events, now and then for ever."""
        if not self.world.settling and self.world.random.random() < 0.05:
            hops = self.world.random.choice((1, 16, 17))
            self.world.emit(self.world.random.choice(list(self.world.logs)), "x", hops)

    def _next_s(self):
        world = self.world
        moments = [run.ends_s for run in world.underway]
        moments += [run.deadline_s for run in world.underway]
        moments += [each.next_start_s() for each in self.roster]
        moments.append(world.happenings.next_s())
        moments.append(None if world.settling else world.ends_s)
        if self.books.trouble:
            moments.append(world.clock.at_s)
        now = [each for each in moments if each is not None]
        return min(now, default=world.clock.at_s + 60.0)

    def _open(self):
        """What is not settled yet."""
        unread = sum(
            each.subscription.head(domain) < self.world.logs[domain].end()
            for each in self.roster
            for domain in each.subscription.domains
        )
        missing = len(self.world.handlers) - len(list(self.roster))
        return unread + missing + sum(each.subscription.open for each in self.roster)

    def _close(self):
        """Whether that was all."""
        world = self.world
        self.core.commit(whole=True)
        self.core.commit(whole=True)
        self.intake.close()
        if self.books.trouble:
            # What could not be written down is not known to the next.
            world.crashes += 1
        stopped, world.stopping = world.stopping, False
        return not stopped
