"""A home whose scheduler is started anew for each turn: all that it knows is in its files."""

from hookline.app.schedules import KnownHandlers, load_timetable
from hookline.log.log import Log
from hookline.schedule.memory import FILE
from hookline.schedule.scheduler import Scheduler
from testing.unit.log.clocks import HandClock


class Ear:
    """Nobody listens."""

    def ticked(self, schedule, tick, late_ms):
        pass

    def noted(self, text):
        raise AssertionError(text)


class Scheduled:
    """A home with a scheduler now and then, under a clock that is moved by hand."""

    def __init__(self, home, tables):
        self.home, self.clock = home, HandClock()
        self.log = Log(home, clock=self.clock)
        self.configure(tables)
        self.turn()

    def configure(self, tables):
        """`schedules.toml`."""
        (self.home.config / "schedules.toml").write_text(tables)

    def after(self, seconds):
        self.clock.advance(seconds)
        return self

    def emit(self, type, count=1, **more):
        with self.log.batch() as log:
            for _ in range(count):
                log.append(type, source="test", **more)
        return self

    def turn(self):
        """One start, one turn and one end of a scheduler."""
        scheduler = Scheduler(
            self.home,
            read=lambda: load_timetable(self.home),
            handlers=KnownHandlers(self.home),
            clock=self.clock,
            ear=Ear(),
        )
        scheduler.turn()
        scheduler.close()
        return self

    def forget(self):
        """What the scheduler has saved is lost."""
        (self.home.state / FILE).unlink()
        return self

    def data(self, type):
        """What the events of a type say."""
        return [event.value() for event in self.log.read(type)]
