"""One world, drawn from one seed: what arrives, what handlers do, what breaks and when."""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from hookline.app.selftest.history import Run
from hookline.dispatch import ledger as journal
from hookline.dispatch.decide import Policy
from hookline.dispatch.handlers import Handler, Handlers, Snapshot
from hookline.dispatch.ledger import Entry
from hookline.dispatch.spectator import Nobody
from hookline.model import envelope
from hookline.model.clock import rfc3339
from hookline.model.position import Position
from testing.simulator import oracle
from testing.simulator.disk import Crash, SimLog, SimPaper
from testing.simulator.happenings import Happenings
from testing.simulator.index import SimIndex
from testing.simulator.life import DRAIN_S, Life
from testing.simulator.runs import SimRun

DOMAINS = ("alpha", "beta")
ATTEMPTS = 4
EXITS = (0,) * 60 + (1,) * 8 + (75,) * 6 + (99,) * 4 + (65,) * 3 + (64, 77, 127, 126)
STEPS_MAX = 1_000_000
HANDLERS = (("on-keyed.sh", "exec", 1), ("on-serial.sh", "exec", 1), ("on-stretch.py", "python", 1))
"""Name, kind, and the most events of a run, but for Python's."""
OF_MANY = (("on-keyed.sh", "exec", 1), ("on-batch.sh", "exec", 8), ("on-stream.sh", "stream", 8))
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class SimClock:
    """Virtual time; the wall's may be set."""

    def __init__(self):
        self.at_s = 1000.0
        self.wall_s = 0.0

    def now(self):
        # As of a real clock: no two readings are the same.
        self.at_s += 2e-6
        return _EPOCH + timedelta(seconds=self.at_s + self.wall_s)

    def wall_now_s(self):
        """As the times of files have it, since 1970."""
        return _EPOCH.timestamp() + self.at_s + self.wall_s

    def monotonic_s(self):
        return self.at_s

    def pass_s(self, seconds):
        self.at_s += seconds

    def set(self, seconds):
        """Set the wall's on, or back."""
        self.wall_s += seconds


class World(Nobody):
    """Everything around the core. `run` gives back what should not be; `trace` says why."""

    def __init__(self, seed, hours=6.0, handlers=HANDLERS):
        self.seed = seed
        self.random = Random(seed)  # noqa: S311  # a world, not a secret
        self.clock = SimClock()
        self.ends_s = self.clock.at_s + hours * 3600
        self.trace, self.problems = [], []
        self.full = self.was_late = False
        self.crash_in = None
        self.stopping = False
        self.crashes = self.power_cuts = self.steps = 0
        self.logs = {domain: SimLog(self, domain) for domain in DOMAINS}
        self.paper, self.index, self.identities = SimPaper(self), SimIndex(self), []
        self.handlers = {each.name: each for each in self._handlers(handlers)}
        self.away, self.broken = set(), set()
        self.runs_of = {name: [] for name in self.handlers}
        self.underway = []
        self.progress = {}
        self.acknowledged = {}
        self.known = set()
        self.replayed = Counter()
        self.shaken, self.reread = set(), set()
        self.number = 0
        self.read, self.over = Position(1, 0), set()
        self.poison, self.poisonous = set(), self.random.choice((0.0, 0.001, 0.003))
        self.settling = False
        self.happenings = Happenings(self)

    def _handlers(self, handlers):
        random = self.random
        for name, kind, most in handlers:
            key = ("data", "key") if name == "on-keyed.sh" else ()
            concurrency = random.randint(2, 6) if key else 1
            patterns = random.choice((("alpha.*",), ("beta.*", "alpha.*"), ("*",)))
            policy = Policy(attempts=ATTEMPTS, backoff_s=random.choice((0.1, 1.0, 30.0)))
            yield Handler(
                name=name, path=Path(name), kind=kind, patterns=patterns, policy=policy,
                concurrency=concurrency, key=key, envelope="", start="beginning",
                batch=most if kind == "exec" else 1, window=most if kind == "stream" else 1,
                installed_s=self.clock.now().timestamp(), version=(1, 0, 0),
            )  # fmt: skip

    @property
    def every_log(self):
        return (*self.logs.values(), self.paper.journal, self.paper.letters)

    def exit_of(self, handler):
        """What a run comes to; -1: it hangs."""
        if handler.name in self.broken:
            return 126
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
        is_known = (domain, segment) not in self.shaken
        if is_known and offset > self.logs[domain].segments[segment - 1].synced:
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
        return 8 if handler.kind == "python" else max(handler.batch, handler.window)

    def start(self, handler, deliveries):
        self.step(f"start {handler.name}")
        run = SimRun(self, handler, deliveries)
        self._check_unsettled(handler, run.events)
        self.underway.append(run)
        self.say("run", handler.name, *(f"{each.event}#{each.attempt}" for each in run.events))
        if not self.settling and self._is_poison(deliveries[0].event):
            self.say("poison")
            raise Crash(deliveries[0].event)
        return run

    def _is_poison(self, event):
        """Some events kill the dispatcher, again and again."""
        if self.random.random() < self.poisonous:
            self.poison.add(event)
        return event in self.poison

    def _check_unsettled(self, handler, deliveries):
        """Nothing runs again that the journal says to be over, unless somebody asked for it, or its
        log is read again."""
        if self.power_cuts:
            return
        while (chunk := self.paper.read(self.read, patient=False)).next != self.read:
            entries = filter(None, (journal.decode(line.raw) for line in chunk.lines))
            for entry in entries:
                self.over |= {(entry.handler, *place) for place in self._settled_by(entry)}
            self.read = chunk.next
        for each in deliveries:
            is_over = (handler.name, each.domain, each.position, each.event) in self.over
            is_shaken = (each.domain, each.position.segment) in self.shaken
            if is_over and not each.replay and not is_shaken:
                self.problems.append(f"{handler.name}: {each.event} was over, and runs again")

    def _settled_by(self, entry):
        if entry.action == "batch" and entry.then == "settled":
            last = Position(entry.segment, entry.mark)
            return [
                (entry.domain, record.position, record.event.id)
                for record in self.logs[entry.domain].events()
                if entry.position <= record.position <= last
            ]
        is_over = entry.action == "attempt" and entry.then in ("settled", "dead-letter")
        return [(entry.domain, entry.position, entry.event)] if is_over and not entry.replay else []

    # -- what others write -----------------------------------------------------------------

    def line(self, domain, key, hops=0, padding=0):
        """A new event."""
        self.number += 1
        data = {"key": key, **({"padding": "." * padding} if padding else {})}
        return envelope.line(
            id=f"{domain}-{self.number}", source="sim", type=f"{domain}.happened",
            time=rfc3339(self.clock.now()),
            data=json.dumps(data, separators=(",", ":")).encode(),
            **({"hops": hops} if hops else {}),
        )  # fmt: skip

    def emit(self, domain, key, hops=0):
        self.write(domain, self.line(domain, key, hops))

    def write(self, domain, line, file=None):
        """A writer's one write, torn when the disk is full; whether it is acknowledged."""
        log = self.logs[domain]
        identity = json.loads(line)["id"]
        self.known.add(identity)
        if self.full:
            log.write(line[: self.random.randrange(len(line))], file)
            return
        log.write(line + b"\n", file)
        if file is None or file in log.segments:
            self.acknowledged.setdefault(identity, (domain, line))

    def own(self, domain, lines):
        """These are in the log by now."""
        for line in lines:
            self.acknowledged[json.loads(line)["id"]] = (domain, line)

    def tell(self, entry, file=None):
        """An entry of somebody else's in the journal, on disk; False on a full disk."""
        if self.full:
            return False
        log = self.paper.journal
        file = file or log.live
        file.heal()
        log.write(journal.encode(entry) + b"\n", file)
        file.synced = len(file.data)
        return True

    def say_to(self, action, handler, file=None):
        told = {"pause": "paused", "resume": "resumed"}[action]
        self.tell(Entry(action=told, time=rfc3339(self.clock.now()), handler=handler), file)

    def replace(self, name):
        """Another version of a handler's file."""
        installed_s = self.clock.now().timestamp()
        version = (self.handlers[name].version[0] + 1, 0, 0)
        changes = {"version": version, "installed_s": installed_s}
        fields = {field: getattr(self.handlers[name], field) for field in Handler.__struct_fields__}
        self.handlers[name] = Handler(**{**fields, **changes})

    # -- what takes away -------------------------------------------------------------------

    def cut_power(self):
        self.power_cuts += 1
        how = self.index.cut()
        for log in self.every_log:
            log.cut()
        self.forget_lost()
        self.say("power cut; the index is", how)

    def shake(self, domain, segment, change):
        """Somebody changes a log that nobody may change: what lies there may be read again."""
        log = self.logs[domain]
        for step in (change, None):
            self.reread |= {x.event.id for x in log.events() if x.position.segment >= segment}
            if step:
                step()
        self.shaken.add((domain, segment))
        self.known |= self.reread
        self.forget_lost()

    def forget_lost(self):
        """Nobody can deliver what is not there any more."""
        there = {record.raw for log in self.logs.values() for record in log.events()}
        for identity, (_, line) in list(self.acknowledged.items()):
            if line not in there:
                del self.acknowledged[identity]

    # -- dispatchers -----------------------------------------------------------------------

    def run(self):
        """Work through the agenda, then wait until all is settled: what should not be."""
        while True:
            for log in self.every_log:
                log.close()
            try:
                if Life(self).work():
                    break
            except Crash as crash:
                self.crashes += 1
                self.bury_runs()
                if not crash.args and self.random.random() < 0.3:
                    self.cut_power()
            self.clock.pass_s(self.random.choice((0.1, 1.0, 600.0)))
            if self.clock.at_s > self.ends_s + DRAIN_S:
                self.problems.append("stuck: what is not settled never will be")
                break
        return [*self.problems, *oracle.problems(self)]

    def bury_runs(self):
        """All that ran was killed; a stretch's file says how far it was."""
        for run in self.underway:
            self.note(run, killed=True)
            if run.handler.kind == "python":
                first = run.deliveries[0].place[:2]
                self.progress[run.handler.name] = first, run.done(self.clock.at_s)
        self.underway.clear()

    def note(self, run, *, killed=False):
        """The runs as the handler would tell of them."""
        now_s = self.clock.at_s
        for number, (delivery, begun_s, ends_s) in enumerate(run.parts):
            is_told = run.is_batch or number == len(run.parts) - 1
            if begun_s > now_s or (run.exit in (126, 127) and is_told):
                continue
            over = not killed or ends_s <= now_s
            status = run.exit if is_told else 0
            self.runs_of[run.handler.name].append(
                Run(
                    event=delivery.event, key=str(delivery.key), attempt=delivery.attempt,
                    begun_ns=int(begun_s * 1e9),
                    ended_ns=int(min(ends_s, now_s) * 1e9) if over else 0,
                    exit=0 if status == 99 else (status if over else -1),
                )
            )  # fmt: skip

    def note_done(self, run, count):
        """The first events of a stretch that goes on."""
        self.runs_of[run.handler.name] += [
            Run(
                event=delivery.event, key=str(delivery.key), attempt=delivery.attempt,
                begun_ns=int(begun_s * 1e9), ended_ns=int(ends_s * 1e9), exit=0,
            )
            for delivery, begun_s, ends_s in run.parts[:count]
        ]  # fmt: skip

    def mend(self):
        """There is room on the disk again, and it works. What has met with one that did not is
        started again."""
        self.full = False
        for log in self.every_log:
            log.failing = False
        self.stopping = self.stopping or any(log.lost for log in self.every_log)

    def settle(self):
        """From here on nothing breaks any more, and every handler is there and works."""
        self.say("faults end")
        self.settling, self.crash_in = True, None
        self.mend()
        self.away.clear()
        self.broken.clear()
        for run in self.underway:
            # Nobody is left who would resume what it pauses.
            run.exit = 1 if run.exit == 77 else run.exit
        for name in self.handlers:
            self.say_to("resume", name)
            self.replace(name)

    def digest(self):
        """The same for the same seed."""
        return hashlib.blake2b("\n".join(self.trace).encode(), digest_size=16).hexdigest()
