"""Those who decide on dead letters, replay, purge and archive, by the product's own rules."""

from pathlib import Path
from types import SimpleNamespace

from hookline.dispatch import letters, purge, replays, retention
from hookline.dispatch.handlers import Handlers
from hookline.dispatch.letters import Wanted
from hookline.dispatch.pace import Pace
from hookline.dispatch.paper import catch_up
from hookline.dispatch.replays import Replay
from hookline.log.query import Found
from hookline.model.clock import from_epoch_s, rfc3339
from hookline.model.position import Position

KEEP_S = (60.0, 600.0, 7200.0)
RATES = (0.01, 1.0, 1000.0)
NO_HOME = SimpleNamespace(handlers=Path("nowhere"))
"""Where it cannot be told which handlers there will be: what any of them needs is kept."""


class People:
    """What they do, and what they have under way. `later` says when they go on."""

    def __init__(self, world, later):
        self.world = world
        self.random = world.random
        self.later = later
        self.replays = []
        self.asking = {}

    # -- dead letters ----------------------------------------------------------------------

    def decide(self, file=None):
        """A person decides on some dead letter, perhaps once more."""
        found = [each for each in self.world.paper.dead() if each.identity]
        if found:
            action = self.random.choice(("replay", "drop"))
            self._tell(letters.decision(self.random.choice(found), action, self.world.clock), file)

    def replay_letters(self):
        """All open letters again, so many a second."""
        found = [each for each in self._open_letters() if each.identity]
        asked = (letters.decision(each, "replay", self.world.clock) for each in found)
        self._ask("letters", asked)

    def purge(self):
        """Open letters that are old are dropped; a file that has only old ones goes."""
        world = self.world
        oldest_s = world.clock.wall_now_s() - self.random.choice(KEEP_S)
        wanted = Wanted(until=rfc3339(from_epoch_s(oldest_s)))
        for letter in filter(wanted.takes, self._open_letters()):
            if not self._tell(letters.decision(letter, "drop", world.clock, "old")):
                return
        queue = world.paper.letters
        if queue.live.data:
            queue.rotate()
        old = [n for n in queue.ordinals()[:-1] if queue.segments[n - 1].written_s < oldest_s]
        lines = (line for chunk in queue.chunks() for line in chunk.lines)
        held = purge.held_parts(old, lines, self._ledger()) if old else {}
        for ordinal in old:
            if ordinal in held:
                return
            queue.segments[ordinal - 1].gone = True

    def _open_letters(self):
        closed = self._ledger().closed
        return [each for each in self.world.paper.dead() if each.letter not in closed]

    def _ledger(self):
        """As one who only looks finds it."""
        return catch_up(self.world.index.load(), self.world.paper)

    def _tell(self, entry, file=None):
        """A word in the journal. What was asked for may run again."""
        if entry.action == "replay":
            self.world.replayed[entry.event] += 1
        return self.world.tell(entry, file)

    # -- replays -----------------------------------------------------------------------------

    def replay(self):
        """A stretch of the logs once more, under a name."""
        world = self.world
        begun_s = self.random.uniform(0.0, world.clock.at_s)
        now_s = world.clock.wall_now_s()
        handler = self.random.choice(list(world.handlers))
        types = self.random.choice((("*",), ("alpha.*",), ("beta.happened",)))
        query = {
            "since": rfc3339(from_epoch_s(now_s - begun_s)),
            "until": rfc3339(from_epoch_s(now_s)),
        }
        name = f"again-{len(self.replays) + 1}"
        self.replays.append(Replay(name=name, handler=handler, types=types, **query))
        self._go_on(self.replays[-1])

    def again(self):
        """Somebody asks again under a name, which was interrupted or is through."""
        if self.replays:
            self._go_on(self.random.choice(self.replays))

    def interrupt(self):
        self.asking.clear()

    def _go_on(self, replay):
        """Ask for what was not asked for, as the journal knows it."""
        world = self.world
        asked = (each for each in world.paper.entries() if each.replay == replay.name)
        reached = {each.domain: each.position for each in asked if each.action == "replay"}
        found = [
            Found(domain, record)
            for domain, log in world.logs.items()
            for record in log.events()
            if not log.segments[record.position.segment - 1].gone
            and record.position > reached.get(domain, Position(0, 0))
            and replay.takes(Found(domain, record))
            and replay.since <= record.event.time < replay.until
        ]
        now = rfc3339(world.clock.now())
        self._ask(replay.name, (replays._entry(replay, each, now) for each in found))

    def _ask(self, name, entries):
        """Begin to ask, each when it is due; the same name asks once at a time."""
        if name not in self.asking:
            self.asking[name] = entries
            pace = Pace(None, self.random.choice(RATES), self.world.clock.at_s)
            self._ask_next(name, entries, pace)

    def _ask_next(self, name, entries, pace):
        if self.asking.get(name) is not entries:
            return
        for entry in entries:
            if not self._tell(entry):
                break
            pause_s = pace.due_s("") - self.world.clock.at_s
            self.later(pause_s, "ask", lambda: self._ask_next(name, entries, pace))
            return
        del self.asking[name]

    # -- the archiver ------------------------------------------------------------------------

    def archive(self):
        """Closed segments that are old and that nobody needs are deleted."""
        world = self.world
        before_s = world.clock.wall_now_s() - self.random.choice(KEEP_S)
        present = (each for name, each in world.handlers.items() if name not in world.away)
        found = Handlers(handlers=tuple(present))
        ledger = self._ledger()
        for log in (world.paper.journal, world.paper.letters):
            log.live.synced = len(log.live.data)
        for domain, log in world.logs.items():
            segments = [
                retention.Segment(ordinal=n, size=len(file.data), written_s=file.written_s)
                for n, file in enumerate(log.segments[:-1], 1)
                if not file.gone
            ]
            kept, _ = retention.needs(NO_HOME, domain, log, found, ledger)
            for segment in retention.plan(segments, kept, before_s).delete:
                file = log.segments[segment.ordinal - 1]
                if file.writers:
                    break
                file.gone = True
                log.opened.pop(segment.ordinal, None)
