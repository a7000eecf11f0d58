"""Schedules whose speed is adapted, without a scheduler and its files."""

import msgspec

from hookline.schedule.adapt import Conditions, adapt, hear
from hookline.schedule.adaptive import Adaptive
from hookline.schedule.kernel import due, with_speed
from hookline.schedule.machine import Machine
from hookline.schedule.recurrence import SECOND_US, Every
from hookline.schedule.schedule import Schedule

BEGIN_US = 1_800_000_000 * SECOND_US
QUIET = Machine(load=0.1, processors=2, memory_used=0.3)
CONFIG = msgspec.toml.decode(
    """
hold = "1m"
[on."affect.critical_fatigue"]
speed = 0.5
for = "10m"
[on."affect.emergency_brake"]
speed = 0
until = ["affect.emergency_brake_cleared"]
[on."affect.memory_pressure"]
speed = 0.5
severity = { critical = 0.25, high = 0.5 }
for = "60s"
schedules = ["curiosity*"]
[on."affect.wellbeing_high"]
speed = 1.5
for = "10m"
schedules = ["trigger.curiosity"]
[on."affect.exuberance"]
speed = 50
for = "10m"
[on."affect.faint"]
speed = 0.01
for = "10m"
""",
    type=Adaptive,
)


def schedule(name, *, adaptive=True):
    return Schedule(
        name=name, when=Every(60 * SECOND_US, "60s"), event=f"trigger.{name}", adaptive=adaptive
    )


class World:
    """Some schedules and what becomes of their speeds, under a clock that is moved by hand."""

    def __init__(self, config=CONFIG):
        self.config = config
        self.schedules = {
            "curiosity": schedule("curiosity"),
            "tournament": schedule("tournament"),
            "heartbeat": schedule("heartbeat", adaptive=False),
        }
        self.conditions = Conditions()
        self.machine, self.backlogs = QUIET, {}
        self.now_us = BEGIN_US
        _, self.state = due(self.schedules, {}, self.now_us)

    def after(self, seconds):
        self.now_us += round(seconds * SECOND_US)
        return self

    def hear(self, type, data=None, at_us=None):
        at_us = self.now_us if at_us is None else at_us
        self.conditions = hear(self.config, self.conditions, type, data, at_us)
        return self

    def turn(self):
        """The changes, by schedule: from, to and why."""
        changes, self.conditions = adapt(
            self.config,
            self.schedules,
            self.state,
            self.conditions,
            self.machine,
            self.backlogs,
            self.now_us,
        )
        for each in changes:
            self.state[each.schedule] = with_speed(
                self.schedules[each.schedule],
                self.state[each.schedule],
                each.speed,
                "" if each.speed == 1.0 else each.reason,
                self.now_us,
            )
        return {each.schedule: (each.before, each.speed, each.reason) for each in changes}

    def ticks(self):
        """What is due now."""
        ticks, self.state = due(self.schedules, self.state, self.now_us)
        return ticks

    def speed(self, name="curiosity"):
        self.turn()
        return self.state[name].speed
