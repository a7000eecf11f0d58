"""One schedule and the kernel's decisions about it, under a clock that is a number."""

from datetime import UTC, datetime
from functools import partial

import msgspec

from hookline.schedule import kernel
from hookline.schedule.kernel import due
from hookline.schedule.recurrence import MINUTE_US, Every, microseconds, utc_time
from hookline.schedule.schedule import Schedule


def at(text):
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


NOON = at("2026-11-21T12:00:00")
EACH_MINUTE = Every(MINUTE_US, "1m")


class Desk:
    """One schedule and what is remembered of it, from noon on."""

    def __init__(self, when=EACH_MINUTE, now_us=NOON, **said):
        self.schedule = Schedule(name="x", when=when, event="x.due", **said)
        self.now_us = now_us
        _, self.state = due({"x": self.schedule}, {}, now_us)

    @property
    def memory(self):
        return self.state["x"]

    def now_says(self, **said):
        """The configuration is another one from now on."""
        self.schedule = msgspec.structs.replace(self.schedule, **said)

    def change(self, change, *args):
        """Something comes from the logs."""
        self.state = {"x": change(self.memory, *args)}

    def heard(self, at_us):
        self.change(partial(kernel.heard, self.schedule), at_us)

    def at(self, now_us, **how):
        self.now_us = now_us
        ticks, self.state = due({"x": self.schedule}, self.state, now_us, **how)
        return ticks

    def after(self, span_us, **how):
        return self.at(self.now_us + span_us, **how)


def told(ticks):
    """Nominal times after noon in minutes, and how many each tick stands for or has missed."""
    return [((tick.nominal_us - NOON) / MINUTE_US, tick.coalesced, tick.missed) for tick in ticks]


def times(ticks):
    return [f"{utc_time(tick.nominal_us):%a %H:%M}" for tick in ticks]
