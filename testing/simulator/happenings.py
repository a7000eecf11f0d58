"""What happens in a world from outside, and when: events, people, faults."""

import heapq
from functools import partial

from testing.simulator.people import People

SOME = {
    "twin": 1.0, "kill": 0.7, "stop": 0.4, "full": 0.3, "replaced": 0.3, "away": 0.4,
    "broken": 0.2, "wall": 0.2, "rotate": 0.4, "pause": 0.3, "torn": 0.2, "unsynced": 0.1,
    "late": 0.4, "late_command": 0.3, "cut": 0.1, "swap": 0.15, "flip": 0.1, "decide": 0.6,
    "replay": 0.2, "replay_letters": 0.2, "purge": 0.3, "archive": 0.4,
}  # fmt: skip
"""How often each happens in an hour, as a rule. A world has some of them often, some never."""
EVERY = {"emit": 12.0, "free": 1.0, "resume": 0.5, "interrupt": 0.3, "again": 0.5}
"""As above, in every world."""
FLIPPED_BYTES = 2000
HOLDS_S = (0.05, 5.0, 600.0, 3600.0)


class Happenings:
    """The agenda of a world."""

    def __init__(self, world):
        self.world = world
        self.random = world.random
        self.people = People(world, self.later)
        self._agenda = []
        self._number = 0
        for what, rate in SOME.items():
            self._draw(what, rate * self.random.choice((0, 1, 1, 3)))
        for what, rate in EVERY.items():
            self._draw(what, rate)

    def _draw(self, what, rate):
        """When it happens, `rate` times an hour."""
        happen = getattr(self, f"_{what}", None) or getattr(self.people, what)
        at_s = self.world.clock.at_s
        while rate and (at_s := at_s + self.random.expovariate(rate / 3600)) < self.world.ends_s:
            self._plan(at_s, what, happen)

    def next_s(self):
        """When the next one is; None: there is nothing to come."""
        return self._agenda[0][0] if self._agenda else None

    def happen(self):
        """What is due happens; when all is over, the world settles."""
        world = self.world
        while self._agenda and self._agenda[0][0] <= world.clock.at_s:
            _, _, what, happen = heapq.heappop(self._agenda)
            world.say("happens", what)
            happen()
        if not self._agenda and not world.settling and world.clock.at_s >= world.ends_s:
            world.settle()

    def later(self, pause_s, what, happen):
        """Something follows, unless a power cut ends whoever does it."""
        cuts = self.world.power_cuts
        self._plan(
            self.world.clock.at_s + pause_s, what,
            lambda: happen() if self.world.power_cuts == cuts else None,
        )  # fmt: skip

    def _plan(self, at_s, what, happen):
        self._number += 1
        heapq.heappush(self._agenda, (at_s, self._number, what, happen))

    def _domain(self):
        return self.random.choice(list(self.world.logs))

    def _handler(self):
        """More often one that is not there: what is said of it must count all the same."""
        some = sorted(self.world.away) or list(self.world.handlers)
        return self.random.choice((self.random.choice(some), *self.world.handlers))

    # -- events ----------------------------------------------------------------------------

    def _emit(self):
        for _ in range(self.random.choice((1, 1, 3, 20))):
            self.world.emit(self._domain(), self.random.choice("xyz"))

    def _twin(self):
        if self.world.acknowledged:
            self.world.write(*self.random.choice(list(self.world.acknowledged.values())))

    def _torn(self):
        """A writer dies over its line."""
        domain = self._domain()
        line = self.world.line(domain, "x")
        self.world.logs[domain].write(line[: self.random.randrange(len(line))])

    def _late(self):
        """A writer that has opened the log writes when the log may be closed."""
        domain = self._domain()
        file = self.world.logs[domain].live
        line = self.world.line(domain, self.random.choice("xyz"))
        self._hold(file, partial(self.world.write, domain, line, file))
        self.later(self.random.choice(HOLDS_S) / 2, "rotate", self.world.logs[domain].rotate)

    def _late_command(self):
        """As above, of the journal."""
        paper = self.world.paper
        file, action = paper.journal.live, self.random.choice(("pause", "resume"))
        say = partial(self.world.say_to, action, self._handler(), file)
        decide = partial(self.people.decide, file)
        self._hold(file, self.random.choice((say, decide)))
        paper.bytes_max = 0
        self.world.was_late = True

    def _hold(self, file, write):
        def release():
            write()
            file.writers -= 1

        file.writers += 1
        self.later(self.random.choice(HOLDS_S), "late write", release)

    # -- handlers and their files ----------------------------------------------------------

    def _replaced(self):
        self.world.replace(self._handler())

    def _away(self):
        self.world.away ^= {self.random.choice(list(self.world.handlers))}

    def _broken(self):
        """It cannot be run for a while, as of a missing interpreter."""
        self.world.broken ^= {self.random.choice(list(self.world.handlers))}

    def _pause(self):
        self.world.say_to("pause", self._handler())

    def _resume(self):
        self.world.say_to("resume", self._handler())

    # -- the machine -----------------------------------------------------------------------

    def _kill(self):
        self.world.crash_in = self.random.randint(1, 60)

    def _stop(self):
        """The dispatcher is told to stop, and is begun again."""
        self.world.stopping = True

    def _full(self):
        self.world.full = True

    def _unsynced(self):
        self.random.choice(self.world.every_log).failing = True

    def _free(self):
        self.world.mend()

    def _wall(self):
        self.world.clock.set(self.random.choice((-86_400, -60, 60, 86_400)))

    # -- logs that somebody changes --------------------------------------------------------

    def _rotate(self):
        self.world.logs[self._domain()].rotate()

    def _cut(self):
        """Truncated in place, at any byte or behind a line; all of it, perhaps."""
        domain = self._domain()
        log = self.world.logs[domain]
        data = log.live.data
        at = self.random.randrange(len(data) + 1)
        keeps = self.random.choice((0, at, data.rfind(b"\n", 0, at) + 1))

        def cut():
            del data[keeps:]
            log.live.synced = min(log.live.synced, keeps)

        self.world.shake(domain, len(log.segments), cut)

    def _swap(self):
        """Another file of this name: shorter, as long, or longer."""
        domain = self._domain()
        log = self.world.logs[domain]
        old = bytes(log.live.data)
        kept = old[: old.rfind(b"\n", 0, self.random.randrange(len(old) + 1)) + 1]
        data = bytearray(self.random.choice((b"", kept)))
        bytes_min = int(len(old) * self.random.choice((0.0, 0.5, 1.0, 1.5)))
        lines = []
        while len(data) < bytes_min:
            short = bytes_min - len(data)
            lines.append(self.world.line(domain, self.random.choice("xyz")))
            is_last = len(lines[-1]) + 1 <= short < len(lines[-1]) + 400
            if is_last:
                self.world.number -= 1
                padding = max(0, short - len(lines[-1]) - 1 - len(',"padding":""'))
                lines[-1] = self.world.line(domain, "x", padding=padding)
            data += lines[-1] + b"\n"

        def swap():
            log.segments[-1].writers = 0
            log.segments[-1] = type(log.live)(data)

        self.world.shake(domain, len(log.segments), swap)
        self.world.own(domain, lines)

    def _flip(self):
        """A bit near the end of a log is another one."""
        domain = self._domain()
        log = self.world.logs[domain]
        segment = self.random.choice([n for n, x in enumerate(log.segments, 1) if x.data] or [0])
        if segment:
            data = log.segments[segment - 1].data
            at = self.random.randrange(max(0, len(data) - FLIPPED_BYTES), len(data))
            bit = 1 << self.random.randrange(8)
            if chr(data[at]).isdigit() and chr(data[at] ^ bit).isdigit():
                # It would be another event, and may be one that is there already: a twin.
                return

            def flip():
                data[at] ^= bit

            known = self._events(domain, segment)
            self.world.shake(domain, segment, flip)
            # Where it is stored once more, that one is known for its twin: nobody looks whether the
            # first is still there.
            for event in known - self._events(domain, segment):
                self.world.acknowledged.pop(event, None)

    def _events(self, domain, segment):
        found = self.world.logs[domain].events()
        return {each.event.id for each in found if each.position.segment == segment}
