"""Runs that come to what was drawn, and take as long."""

from hookline.dispatch.decide import Outcome, verdict_of_exit
from hookline.dispatch.runner import Ended


class SimRun:
    """A run that will end at `ends_s`, as was drawn when it began."""

    failed = ""

    def __init__(self, world, handler, deliveries):
        random, now_s = world.random, world.clock.at_s
        self.world, self.handler, self.deliveries = world, handler, deliveries
        self.deadline_s = now_s + handler.policy.timeout_s
        self.events = [single for each in deliveries for single in each.singles()]
        self.parts = []
        self.exit, self.timed_out = 0, False
        for delivery in self.events:
            self.exit = world.exit_of(handler)
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
        if verdict == "timeout" and done == len(self.events):
            verdict = "done"
        return Ended(done, Outcome(verdict=verdict, ms=1.0, exit=self.exit, error=error))
