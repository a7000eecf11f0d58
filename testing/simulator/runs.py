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
        self.is_batch = handler.batch > 1 and len(self.events) > 1
        self.exit, self.timed_out = world.exit_of(handler) if self.is_batch else 0, False
        if self.is_batch and self.exit == 99:
            # Of a batch it says that it failed.
            self.exit = 1
        for delivery in self.events:
            if not self.is_batch:
                self.exit = world.exit_of(handler)
            lasts_s = random.choice((0.001, 0.01, 0.3, 5.0))
            if self.exit == -1:
                lasts_s = 10_000.0
            self.parts.append((delivery, now_s, now_s + lasts_s))
            now_s += lasts_s
            if self.exit and not self.is_batch:
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
        if self.is_batch:
            return behind if behind == len(self.parts) and not self.exit else 0
        return min(behind, len(self.parts) - bool(self.exit))

    def ended(self):
        verdict = "timeout" if self.timed_out else verdict_of_exit(max(self.exit, 0))
        error = "" if verdict in ("done", "skipped") else f"exit {self.exit}"
        done = self.done(self.ends_s)
        if verdict == "timeout" and done == len(self.events):
            verdict = "done"
        outcome = Outcome(verdict=verdict, ms=1.0, exit=self.exit, error=error)
        return Ended(done, outcome, of_all=self.is_batch)

    def over(self, now_s):
        """What a stream program has answered by now, if others are behind it still; those make up
        the run from now on."""
        done = self.done(now_s)
        if self.handler.kind != "stream" or not 0 < done < len(self.events):
            return None
        self.world.note_done(self, done)
        del self.parts[:done], self.events[:done]
        return Ended(done, Outcome(verdict="done", ms=1.0), goes_on=True)
