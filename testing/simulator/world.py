"""One world, drawn from one seed: what arrives, what handlers do, what breaks and when."""

import hashlib
import heapq
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from hookline.app.selftest.history import History, Run
from hookline.dispatch import ledger as journal
from hookline.dispatch.books import Books, catch_up
from hookline.dispatch.core import Core
from hookline.dispatch.decide import Outcome, Policy, verdict_of_exit
from hookline.dispatch.handlers import Handler, Handlers, Snapshot
from hookline.dispatch.intake import Intake
from hookline.dispatch.ledger import Entry, Ledger
from hookline.dispatch.roster import Roster
from hookline.dispatch.runner import Ended
from hookline.dispatch.settlement import Settlement
from hookline.dispatch.spectator import Nobody
from hookline.model import envelope
from hookline.model.clock import rfc3339
from hookline.model.errors import HooklineError
from testing.simulator.disk import Crash, SimIdentities, SimIndex, SimLog, SimPaper

DOMAINS = ("alpha", "beta")
ATTEMPTS = 4
EXITS = (0,) * 60 + (1,) * 8 + (75,) * 6 + (99,) * 4 + (65,) * 3 + (64, 77, 127, 126)
DRAIN_S = 7 * 86_400.0
"""In so much virtual time without faults everything must be settled."""
STEPS_MAX = 200_000
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class SimClock:
    """Virtual time; the wall's may be set."""

    def __init__(self):
        self.at_s = 1000.0
        self.wall_s = 0.0

    def now(self):
        return _EPOCH + timedelta(seconds=self.at_s + self.wall_s)

    def monotonic_s(self):
        return self.at_s

    def pass_s(self, seconds):
        self.at_s += seconds


class SimRun:
    """A run that will end at `ends_s`, as was drawn when it began."""

    failed = ""

    def __init__(self, world, handler, deliveries):
        random, now_s = world.random, world.clock.at_s
        self.world, self.handler, self.deliveries = world, handler, deliveries
        self.deadline_s = now_s + handler.policy.timeout_s
        self.parts = []
        self.exit, self.timed_out = 0, False
        for delivery in deliveries:
            self.exit = world.exit_of()
            lasts_s = random.choice((0.001, 0.01, 0.3, 5.0))
            if self.exit == -1:
                lasts_s = 10_000.0
            self.parts.append((delivery, now_s, now_s + lasts_s))
            now_s += lasts_s
            if self.exit:
                break
        self.ends_s = now_s

    def overdue(self, now_s):
        """TERM, which a hanging handler may ignore, then KILL."""
        if not self.timed_out and self.world.random.random() < 0.3:
            self.deadline_s = now_s + 5.0
        else:
            self.ends_s = now_s
            self.deadline_s = now_s + 5.0
        self.timed_out = True

    def done(self, now_s):
        """How many of its events are behind it."""
        behind = sum(ends_s <= now_s for _, _, ends_s in self.parts)
        return min(behind, len(self.parts) - bool(self.exit))

    def ended(self):
        verdict = "timeout" if self.timed_out else verdict_of_exit(max(self.exit, 0))
        error = "" if verdict in ("done", "skipped") else f"exit {self.exit}"
        done = self.done(self.ends_s)
        if verdict == "timeout" and done == len(self.deliveries):
            verdict = "done"
        return Ended(done, Outcome(verdict=verdict, ms=1.0, exit=self.exit, error=error))


class World(Nobody):
    """Everything around the core. `run` gives back what should not be; `trace` says why."""

    def __init__(self, seed, hours=6.0):
        self.seed = seed
        self.random = Random(seed)  # noqa: S311  # a world, not a secret
        self.clock = SimClock()
        self.ends_s = self.clock.at_s + hours * 3600
        self.trace, self.problems = [], []
        self.full = False
        self.crash_in = None
        self.crashes = self.power_cuts = self.steps = 0
        self.logs = {domain: SimLog(self, domain) for domain in DOMAINS}
        self.paper, self.index, self.identities = SimPaper(self), SimIndex(self), []
        self.handlers = {each.name: each for each in self._handlers()}
        self.away = set()
        self.runs = {}
        self.runs_of = {name: [] for name in self.handlers}
        self.underway = []
        self.progress = {}
        self.acknowledged = {}
        self.replayed = set()
        self.number = 0
        self.settling = False
        self.agenda = self._agenda()

    # -- what was drawn --------------------------------------------------------------------

    def _handlers(self):
        random = self.random
        for name, kind, key, concurrency in (
            ("on-keyed.sh", "exec", ("data", "key"), random.randint(2, 6)),
            ("on-serial.sh", "exec", (), 1),
            ("on-stretch.py", "python", (), 1),
        ):
            patterns = random.choice((("alpha.*",), ("beta.*", "alpha.*"), ("*.*",)))
            policy = Policy(attempts=ATTEMPTS, backoff_s=random.choice((0.1, 1.0, 30.0)))
            yield Handler(
                name=name, path=Path(name), kind=kind, patterns=patterns, policy=policy,
                concurrency=concurrency, key=key, envelope="", start="beginning",
                installed_s=self.clock.now().timestamp(), version=(1, 0, 0),
            )  # fmt: skip

    def _agenda(self):
        """When what happens from outside: (seconds, number, what)."""
        happenings = (
            ("emit", 12.0), ("twin", 1.0), ("kill", 0.7), ("full", 0.3), ("free", 1.0),
            ("replaced", 0.3), ("away", 0.3), ("replay", 0.6), ("resume", 0.4), ("wall", 0.2),
            ("rotate", 0.3), ("pause", 0.2), ("torn", 0.2),
        )  # fmt: skip
        agenda = []
        for what, rate in happenings:
            at_s = self.clock.at_s
            while (at_s := at_s + self.random.expovariate(rate / 3600)) < self.ends_s:
                agenda.append((at_s, len(agenda), what))
        heapq.heapify(agenda)
        return agenda

    def exit_of(self):
        """What a run comes to; -1: it hangs."""
        if self.settling:
            return 0
        if self.random.random() < 0.02:
            return -1
        return self.random.choice(EXITS)

    def slow_s(self):
        return self.random.choice((0.0, 0.0, 0.0, 0.01, 2.0)) if not self.settling else 0.0

    # -- what the ports tell ---------------------------------------------------------------

    def say(self, *words):
        self.trace.append(f"{self.clock.at_s:.3f} {' '.join(map(str, words))}")

    def step(self, what):
        """A moment between two storage operations: the dispatcher may die here."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise RuntimeError("no end of it")
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in <= 0:
                self.crash_in = None
                self.say("killed at", what)
                raise Crash

    def committed(self, handler, domain, cursor):
        """No cursor past bytes that were not synced."""
        segment, offset = cursor.position
        if offset > self.logs[domain].segments[segment - 1].synced:
            self.problems.append(f"{handler}: cursor {cursor.position} is not on disk")

    def noted(self, text):
        self.say("noted", text)

    def entered(self, entry):
        self.say(entry.action, entry.handler, entry.event, entry.attempt, entry.verdict, entry.then)

    def alert(self, kind, handler, reason):
        self.say("alert", kind, handler, reason)

    def snapshot(self):
        present = [each for name, each in self.handlers.items() if name not in self.away]
        return Snapshot((1,), tuple((each.name, each.version) for each in present))

    def discover(self, known):
        del known
        present = [each for name, each in self.handlers.items() if name not in self.away]
        return Handlers(handlers=tuple(present))

    def limit(self, handler):
        return 8 if handler.kind == "python" else 1

    def start(self, handler, deliveries):
        self.step(f"start {handler.name}")
        run = SimRun(self, handler, deliveries)
        self.underway.append(run)
        self.say("run", handler.name, *(f"{each.event}#{each.attempt}" for each in deliveries))
        if not self.settling and self.random.random() < 0.003:
            self.say("poison")
            raise Crash
        return run

    # -- what happens from outside ---------------------------------------------------------

    def happen(self, what):  # noqa: C901  # a list of happenings, one line each
        random = self.random
        self.say("happens", what)
        if what == "emit":
            for _ in range(random.choice((1, 1, 3, 20))):
                self.emit(random.choice(DOMAINS), random.choice("xyz"))
        elif what == "twin":
            if self.acknowledged:
                self.write(*random.choice(list(self.acknowledged.values())))
        elif what == "kill":
            self.crash_in = random.randint(1, 60)
        elif what in ("full", "free"):
            self.full = what == "full"
        elif what == "away":
            self.away ^= {random.choice(list(self.handlers))}
        elif what == "replaced":
            self.replace(random.choice(list(self.handlers)))
        elif what == "wall":
            self.clock.wall_s += random.choice((-86_400, -60, 60, 86_400))
        elif what == "rotate":
            self.logs[random.choice(DOMAINS)].rotate()
        elif what == "torn":
            log = self.logs[random.choice(DOMAINS)]
            log.live.data += b'{"specversion":"1.0","id":"to'
        elif what == "replay":
            self.decide(random.choice(("replay", "drop")))
        else:
            self.say_to(what, random.choice(list(self.handlers)))

    def emit(self, domain, key, hops=0):
        self.number += 1
        identity = f"{domain}-{self.number}"
        more = {"hops": hops} if hops else {}
        line = envelope.line(
            id=identity, source="sim", type=f"{domain}.happened", time=rfc3339(self.clock.now()),
            data=json.dumps({"key": key}, separators=(",", ":")).encode(), **more,
        )  # fmt: skip
        if self.write(domain, line):
            self.acknowledged[identity] = (domain, line)

    def write(self, domain, line):
        """A writer's one write, torn when the disk is full; whether it is acknowledged."""
        log = self.logs[domain]
        log.heal()
        if self.full:
            log.live.data += line[: self.random.randrange(len(line))]
            return False
        log.live.data += line + b"\n"
        return True

    def replace(self, name):
        installed_s = self.clock.now().timestamp()
        version = (self.handlers[name].version[0] + 1, 0, 0)
        changes = {"version": version, "installed_s": installed_s}
        fields = {field: getattr(self.handlers[name], field) for field in Handler.__struct_fields__}
        self.handlers[name] = Handler(**{**fields, **changes})

    def decide(self, action):
        """A person decides on some dead letter, perhaps once more."""
        letters = self.paper.dead()
        if not letters or self.full:
            return
        letter = self.random.choice(letters)
        event = json.loads(bytes(letter.event))
        self.replayed.add(event["id"])
        self.tell(
            action=action, letter=letter.letter, handler=letter.handler, domain=letter.domain,
            segment=letter.segment, offset=letter.offset, event=event["id"],
            source=event["source"], type=event["type"], replay=letter.letter,
        )  # fmt: skip

    def say_to(self, action, handler):
        self.tell(action={"pause": "paused", "resume": "resumed"}[action], handler=handler)

    def tell(self, **fields):
        if not self.full:
            entry = Entry(time=rfc3339(self.clock.now()), **fields)
            self.paper.journal.live.data += journal.encode(entry) + b"\n"
            self.paper.journal.live.synced = len(self.paper.journal.live.data)

    def cut_power(self):
        self.power_cuts += 1
        how = self.index.cut()
        for log in (*self.logs.values(), self.paper.journal, self.paper.letters):
            log.cut()
            log.heal()
        there = {r.event.id for log in self.logs.values() for r in log.events()}
        for identity in [each for each in self.acknowledged if each not in there]:
            del self.acknowledged[identity]
        self.say("power cut; the index is", how)

    # -- dispatchers -----------------------------------------------------------------------

    def run(self):
        """Work through the agenda, then wait until all is settled: what should not be."""
        while True:
            try:
                if Dispatcher(self).work():
                    break
            except Crash:
                self.crashes += 1
                self.bury_runs()
                if self.random.random() < 0.3:
                    self.cut_power()
                self.clock.pass_s(self.random.choice((0.1, 1.0, 600.0)))
            if self.clock.at_s > self.ends_s + DRAIN_S:
                self.problems.append("stuck: what is not settled never will be")
                break
        return [*self.problems, *self.history()]

    def bury_runs(self):
        """All that ran was killed; a stretch's file says how far it was."""
        for run in self.underway:
            self.note(run, killed=True)
            if run.handler.kind == "python":
                self.progress[run.handler.name] = run.done(self.clock.at_s)
        self.underway.clear()

    def note(self, run, *, killed=False):
        """The runs as the handler would tell of them."""
        now_s = self.clock.at_s
        for number, (delivery, begun_s, ends_s) in enumerate(run.parts):
            if (killed and begun_s > now_s) or (
                run.exit in (126, 127) and number == len(run.parts) - 1
            ):
                continue
            is_last = number == len(run.parts) - 1
            over = not killed or ends_s <= now_s
            status = run.exit if is_last else 0
            self.runs_of[run.handler.name].append(
                Run(
                    event=delivery.event, key=str(delivery.key), attempt=delivery.attempt,
                    begun_ns=int(begun_s * 1e9),
                    ended_ns=int(min(ends_s, now_s) * 1e9) if over else 0,
                    exit=0 if status == 99 else (status if over else -1),
                )
            )  # fmt: skip

    def settle(self):
        """From here on nothing breaks any more, and every handler is there and works."""
        self.say("faults end")
        self.settling, self.full, self.crash_in = True, False, None
        self.away.clear()
        for name in self.handlers:
            self.tell(action="resumed", handler=name)
            self.replace(name)
        for log in self.logs.values():
            log.heal()

    def history(self):
        """The oracle's word on each handler."""
        problems = []
        letters = self.paper.dead()
        for name, handler in self.handlers.items():
            wanted = {
                each for each, (domain, _) in self.acknowledged.items()
                if handler.wants(f"{domain}.happened")
            }  # fmt: skip
            logged = [r.event.id for log in self.logs.values() for r in log.events()]
            known = set(logged) | {run.event for run in self.runs_of[name]}
            history = History(
                acknowledged=wanted, runs=self.runs_of[name], known=known,
                letters={json.loads(bytes(x.event))["id"] for x in letters if x.handler == name},
                order={} if self.power_cuts else self._order(handler),
                attempts_max=ATTEMPTS, replayed=self.replayed,
            )  # fmt: skip
            bounded = not self.crashes
            problems += [
                f"{name}: {problem}" for problem in history.problems()
                if bounded or " runs of " not in problem
            ]  # fmt: skip
            if not self.crashes:
                problems += self._doubled(name)
        return problems

    def _order(self, handler):
        order = {}
        for domain, log in self.logs.items():
            for record in log.events():
                identity = record.event.id
                # A replay comes outside the order, and may be an event's first run.
                if identity in self.replayed or identity not in self.acknowledged:
                    continue
                if handler.wants(record.event.type):
                    key = json.loads(record.raw)["data"]["key"] if handler.key else "None"
                    order.setdefault(f"{domain} {key}", []).append(identity)
        return {key: list(dict.fromkeys(events)) for key, events in order.items()}

    def _doubled(self, name):
        done = [run.event for run in self.runs_of[name] if run.exit == 0 and run.ended_ns]
        twice = {each for each in done if done.count(each) > 1} - self.replayed
        return [f"{name}: {each} was done twice" for each in sorted(twice)]

    def digest(self):
        """The same for the same seed."""
        return hashlib.blake2b("\n".join(self.trace).encode(), digest_size=16).hexdigest()


class Dispatcher:
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
            clock=clock, spectator=world, load=self.books.load, forget=lambda _: None,
        )  # fmt: skip
        self.core = Core(
            clock=clock, books=self.books, intake=self.intake, settlement=self.settlement,
            roster=self.roster, starter=world, path=lambda _: "a loop", spectator=world,
        )  # fmt: skip

    def work(self):
        """Take over and go on; True when the world has nothing left to settle."""
        world, clock = self.world, self.world.clock
        world.say("begins")
        try:
            ledger = self.books.load()
            self._attribute(ledger)
            self.books.take_over(ledger)
            self.core.take_over(ledger, list(DOMAINS))
            while True:
                self._happen()
                if world.settling and not self._open():
                    return self._close()
                if clock.at_s > world.ends_s + DRAIN_S:
                    world.problems.append(f"stuck: {self._open()} open")
                    return True
                self._round()
        except HooklineError as error:
            # The full disk kept it from beginning: whoever starts it tries again.
            world.say("ends:", error)
            raise Crash from error

    def _attribute(self, ledger):
        for name, done in self.world.progress.items():
            running = [x for x in ledger.progress(name).pending.values() if x.running]
            running.sort(key=lambda each: (each.domain, each.position))
            for number, pending in enumerate(running):
                if number != done:
                    pending.running = False
                    pending.attempt -= 1
        self.world.progress.clear()

    def _happen(self):
        world = self.world
        while world.agenda and world.agenda[0][0] <= world.clock.at_s:
            world.happen(heapq.heappop(world.agenda)[2])
        if not world.agenda and not world.settling and world.clock.at_s >= world.ends_s:
            world.settle()

    def _round(self):
        world, clock = self.world, self.world.clock
        for run in [each for each in world.underway if each.ends_s <= clock.at_s]:
            world.underway.remove(run)
            world.note(run)
            self._beget()
            self.core.ended(run, run.ended())
        self.core.mind_deadlines()
        self.core.look(list(DOMAINS))
        for log in world.logs.values():
            log.heal()
        self.core.hear(DOMAINS)
        busy = self.core.turn()
        if not busy:
            self.core.commit()
            # What is due and cannot start, for a full disk say, is tried again now and then.
            pause_s = 1.0 if self.books.trouble else 0.05
            clock.at_s = max(clock.at_s + pause_s, self._next_s())

    def _beget(self):
        """Some handlers beget events, now and then for ever."""
        if not self.world.settling and self.world.random.random() < 0.05:
            hops = self.world.random.choice((1, 16, 17))
            self.world.emit(self.world.random.choice(DOMAINS), "x", hops)

    def _next_s(self):
        world = self.world
        moments = [run.ends_s for run in world.underway]
        moments += [run.deadline_s for run in world.underway]
        moments += [each.next_start_s() for each in self.roster]
        moments.append(world.agenda[0][0] if world.agenda else None)
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
        world = self.world
        self.core.commit(whole=True)
        self.core.commit(whole=True)
        kept, folded = world.index.load(), catch_up(Ledger(), world.paper)
        for name in world.handlers:
            ours, theirs = kept.progress(name), folded.progress(name)
            if ours.cursors != theirs.cursors or ours.pending != theirs.pending:
                world.problems.append(f"{name}: the index is not what the journal says")
        return True
