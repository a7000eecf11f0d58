"""A scheduler at work in a home, under a clock that is moved by hand."""

import json
import math

from hookline.app.schedules import KnownHandlers, load_timetable
from hookline.log.append import append_line_to_log
from hookline.log.log import Log
from hookline.model import envelope, ids
from hookline.model.clock import rfc3339
from hookline.schedule.recurrence import SECOND_US, microseconds
from hookline.schedule.scheduler import SETTLE_S, Scheduler
from hookline.schedule.tick import SOURCE, nominal_us, proof_of
from testing.unit.log.clocks import HandClock

MINUTELY = '[schedule.m]\nevery = "1m"\nevent = "m.due"\n'


class Ear:
    """Remembers everything."""

    def __init__(self):
        self.told, self.notes = [], []

    def ticked(self, schedule, tick, late_ms):
        self.told.append((schedule.name, tick.nominal_us, late_ms))

    def noted(self, text):
        self.notes.append(text)


class Desk:
    """It begins at a full hour. Moments are seconds after that."""

    def __init__(self, home, tables=MINUTELY):
        self.home, self.ear, self.clock = home, Ear(), HandClock()
        self.clock.advance(3600 - microseconds(self.clock.now()) % (3600 * SECOND_US) / SECOND_US)
        self.begin_us = microseconds(self.clock.now())
        self.log = Log(home, clock=self.clock)
        self.write(tables)
        self.open()

    # -- the scheduler -------------------------------------------------------------------

    def open(self):
        self.scheduler = Scheduler(
            self.home,
            read=lambda: load_timetable(self.home),
            handlers=KnownHandlers(self.home),
            clock=self.clock,
            ear=self.ear,
        )
        self.scheduler.turn()
        return self

    def close(self):
        if self.scheduler is not None:
            self.scheduler.close()
            self.scheduler = None
        return self

    def kill(self):
        """It ends, and nothing of what it remembers is saved any more."""
        if self.scheduler is not None:
            self.scheduler._save_at_s = math.inf
        return self.close()

    def turn(self):
        return self.scheduler.turn()

    def at(self, seconds):
        """Time passes until then, and there is a turn."""
        self.clock.advance(seconds - self.now_s)
        self.turn()
        return self

    @property
    def now_s(self):
        return (microseconds(self.clock.now()) - self.begin_us) / SECOND_US

    def memory(self, name="m"):
        return self.scheduler.state[name]

    # -- what others do --------------------------------------------------------------------

    def write(self, tables):
        (self.home.config / "schedules.toml").write_text(tables)
        return self

    def configure(self, tables):
        """Another configuration, until it is taken up."""
        self.write(tables).turn()
        self.clock.advance(SETTLE_S)
        self.turn()
        return self

    def emit(self, type, data=None, **fields):
        """An event as anybody may write it."""
        said = {
            "id": ids.uuid7(microseconds(self.clock.now()) * 1000),
            "source": "test",
            "time": rfc3339(self.clock.now()),
            "data": json.dumps(data).encode(),
            **fields,
        }
        line = envelope.line(type=type, **said)
        append_line_to_log(self.home.root, type.partition(".")[0], line)
        return self

    def tell(self, type, **data):
        """An event of the source of schedulers."""
        return self.emit(type, data, source=SOURCE)

    # -- what came of it -------------------------------------------------------------------

    def events(self, pattern="*"):
        return list(self.log.read(pattern))

    def ticks(self, name="m"):
        """The nominal times of a schedule's ticks, in seconds after the beginning."""
        return [
            (nominal_us(proof) - self.begin_us) / SECOND_US
            for event in self.log.read("*")
            if (proof := proof_of(event)) is not None and proof.schedule == name
        ]

    def proofs(self, name="m"):
        found = (proof_of(event) for event in self.log.read("*"))
        return [proof for proof in found if proof is not None and proof.schedule == name]
