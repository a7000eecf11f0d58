"""What is known of speeds, whatever is lost or killed: the log has it."""

import pytest

from hookline.cli.main import main
from hookline.schedule.memory import FILE
from testing.faults.scheduled import Scheduled

MINUTE_S = 60
TABLES = """
[schedule.poll]
every = "60s"
event = "mail.poll_requested"
adaptive = true

[adaptive.load]
slow_at = inf
normal_at = 1.0
[adaptive.memory]
slow_at = inf
normal_at = 1.0

[adaptive.backlog]
slow_at = 2
stop_at = 5

[adaptive.on."affect.critical_fatigue"]
speed = 0.5
for = "10m"
[adaptive.on."affect.emergency_brake"]
speed = 0
until = ["affect.emergency_brake_cleared"]
"""
HANDLER = "on-mail-poll-requested.sh"


class World(Scheduled):
    def changes(self):
        """From, to and cause of each."""
        return [(each["from"], each["to"], each["cause"]) for each in self.data("schedule.adapted")]

    def minutes(self, count):
        """So many minutes with a turn each; how many ticks they had."""
        before = len(self.data("mail.poll_requested"))
        for _ in range(count):
            self.after(MINUTE_S).turn()
        return len(self.data("mail.poll_requested")) - before


@pytest.fixture
def world(home):
    return World(home, TABLES)


def test_fatigue_slows_down_over_restarts_and_is_over_after_them(world):
    assert world.minutes(4) == 4
    world.emit("affect.critical_fatigue").turn()
    assert world.minutes(8) == 4
    assert world.minutes(12) >= 10
    assert world.changes() == [
        (1.0, 0.5, "affect.critical_fatigue"),
        (0.5, 1.0, ""),
    ]
    factors = {each["factor"] for each in world.data("mail.poll_requested")}
    assert factors == {0.5, 1.0}


@pytest.mark.parametrize("minutes", [0, 3])
def test_the_brake_holds_when_all_is_forgotten(world, minutes):
    world.minutes(2)
    world.emit("affect.emergency_brake").turn()
    assert world.minutes(minutes) == 0
    assert world.forget().minutes(10) == 0
    world.emit("affect.emergency_brake_cleared")
    assert world.minutes(10) == 9
    assert len(world.changes()) == 2


def test_a_change_that_was_told_and_not_saved_is_not_told_again(world):
    saved = (world.home.state / FILE).read_bytes()
    world.emit("affect.critical_fatigue").turn()
    (world.home.state / FILE).write_bytes(saved)
    world.after(1).turn().after(1).turn()

    assert world.changes() == [(1.0, 0.5, "affect.critical_fatigue")]
    assert world.minutes(8) == 4


def test_a_schedule_that_is_not_adaptive_any_more_goes_by_the_clock(world):
    world.emit("affect.emergency_brake").turn()
    world.configure(TABLES.replace("adaptive = true", "adaptive = false"))
    assert world.minutes(5) >= 4
    assert world.changes() == [(1.0, 0.0, "affect.emergency_brake"), (0.0, 1.0, "")]


def test_ticks_that_nobody_handles_stop_coming_and_come_again(home, monkeypatch):
    monkeypatch.setenv("HOOKLINE_HOME", str(home.root))
    handler = home.handlers / HANDLER
    handler.write_text("#!/bin/sh\nexit 0\n")
    handler.chmod(0o750)
    world = World(home, TABLES)
    world.minutes(1)
    main(["dispatch", "--once"])

    # No dispatcher runs.
    assert world.minutes(60) == 5
    assert world.changes() == [
        (1.0, 0.5, "backlog"),
        (0.5, 0.25, "backlog"),
        (0.25, 0.0, "backlog"),
    ]
    told = world.data("schedule.adapted")[-1]["reason"]
    assert told == f"5 ticks wait for {HANDLER}"

    main(["dispatch", "--once"])
    assert 0 < world.minutes(3) < 3
