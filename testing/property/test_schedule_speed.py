"""Schedules at other speeds than the clock's: what becomes of their ticks, and of a backlog."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.schedule.adapt import STEP
from hookline.schedule.kernel import due, with_speed
from hookline.schedule.machine import Machine
from hookline.schedule.recurrence import SECOND_US, Every
from hookline.schedule.schedule import Schedule
from testing.unit.schedule.world import CONFIG, QUIET, World, schedule

MINUTE_US = 60 * SECOND_US
BEGIN_US = 1000 * MINUTE_US
SCHEDULE = Schedule(
    name="curiosity",
    when=Every(MINUTE_US, "60s"),
    event="trigger.curiosity",
    adaptive=True,
)


def run(changes, until_s, step_s=1):
    """The seconds at which ticks come while the speed changes at some of them, and their `late`."""
    state, ticks = {}, []
    for second in range(0, until_s, step_s):
        now_us = BEGIN_US + second * SECOND_US
        found, state = due({"curiosity": SCHEDULE}, state, now_us)
        ticks += [(second, (now_us - each.fires_us) // SECOND_US) for each in found]
        if second in changes:
            speed = changes[second]
            changed = with_speed(SCHEDULE, state["curiosity"], speed, "why", now_us)
            state = {"curiosity": changed}
    return ticks


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, [60, 120, 180, 240, 300]),
        ({70: 0.5}, [60, 180, 300]),
        ({70: 2.0}, [60, 90, 120, 150, 180, 210, 240, 270, 300, 330]),
        # The minute of 120 was not due at half the speed, and is not late at the whole.
        ({70: 0.5, 170: 1.0}, [60, 180, 240, 300]),
        ({70: 0.25, 200: 0.5}, [60, 201, 320]),
        ({70: 0.0, 250: 1.0}, [60, 300]),
        ({70: 0.0, 250: 0.5}, [60, 251]),
        ({70: 0.0}, [60]),
    ],
)
def test_nothing_is_late_or_made_up_for_by_a_change_of_speed(changes, seconds):
    assert [second for second, _ in run(changes, 340)] == seconds
    assert all(late <= 1 for _, late in run(changes, 340))


def test_what_is_due_already_stays_due():
    _, state = due({"curiosity": SCHEDULE}, {}, BEGIN_US)
    late_us = BEGIN_US + MINUTE_US + 5 * SECOND_US
    slow = with_speed(SCHEDULE, state["curiosity"], 0.5, "why", late_us)
    still = with_speed(SCHEDULE, state["curiosity"], 0.0, "why", late_us)

    for memory in (slow, still):
        ticks, _ = due({"curiosity": SCHEDULE}, {"curiosity": memory}, late_us)
        assert [each.nominal_us for each in ticks] == [BEGIN_US + MINUTE_US]


SEVERITIES = st.sampled_from([None, {"severity": "critical"}, {"severity": "high"}])
STEPS = st.lists(
    st.tuples(
        st.integers(0, 150),
        st.lists(st.tuples(st.sampled_from(sorted(CONFIG.types)), SEVERITIES), max_size=2),
        st.sampled_from([None, 0.1, 1.9, 2.1, 2.9, 3.1, 50.0]),
        st.sampled_from([None, 0.3, 0.85, 0.95]),
        st.integers(0, 25),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_whatever_happens_speeds_stay_in_their_bounds_and_do_not_flap(steps):
    world = World()
    changes = []

    def turn():
        for name, (before, speed, reason) in world.turn().items():
            changes.append((name, world.now_us, before, speed, reason))

    for seconds, events, load, memory, backlog in steps:
        world.after(seconds)
        world.machine = Machine(load=load, processors=2, memory_used=memory)
        world.backlogs = {"curiosity": {"on-trigger-curiosity.sh": backlog}}
        for type, data in events:
            world.hear(type, data)
        turn()

    # Then all is quiet.
    world.machine, world.backlogs = QUIET, {}
    world.hear("affect.emergency_brake_cleared")
    for _ in range(30):
        world.after(60)
        turn()
    assert {memory.speed for memory in world.state.values()} == {1.0}

    for _, _, _, speed, reason in changes:
        assert speed == 0.0 or CONFIG.speed_min <= speed <= CONFIG.speed_max
        assert reason
    assert not any(name == "heartbeat" for name, *_ in changes)
    for name in ("curiosity", "tournament"):
        check_pace([each for each in changes if each[0] == name])


def check_pace(changes):
    """Up, or to another cause: only a hold after the last change. Down: at once, by steps that
    matter, so that there are only so many of them."""
    downs, down_max = 0, 1 + math.ceil(math.log(CONFIG.speed_max / CONFIG.speed_min, STEP))
    last_us = None
    for _, at_us, before, speed, _ in changes:
        if speed < before:
            downs += 1
            assert downs <= down_max
        else:
            downs = 0
            assert last_us is None or at_us - last_us >= CONFIG.hold_us
        last_us = at_us


def test_fatigue_comes_and_stays_and_goes():
    """By the minute; a tick a minute, but for the one that never adapts."""
    world = World()
    ticks = {name: [] for name in world.schedules}
    reasons = set()
    for minute in range(1, 61):
        world.after(60)
        for tick in world.ticks():
            ticks[tick.schedule].append(minute)
            reasons.add(tick.speed_reason)
        # It comes at 10 and is said again until 25; ten minutes after that it is over.
        if minute in (10, 15, 20, 25):
            world.hear("affect.critical_fatigue")
        world.turn()

    slow = [*range(1, 11), *range(12, 35, 2), *range(36, 61)]
    assert ticks == {"curiosity": slow, "tournament": slow, "heartbeat": list(range(1, 61))}
    since = "2027-01-15T08:10:00Z"
    why = f"affect.critical_fatigue since {since} until 10m without another"
    assert reasons == {"", why}


class SlowHandler:
    """Settles ticks one after the other, each after so many seconds."""

    def __init__(self, takes_s):
        self.takes_s = takes_s
        self.waiting = []
        self.left_s = 0

    def second(self):
        """Another second of work."""
        if self.waiting:
            self.left_s = (self.left_s or self.takes_s) - 1
            if not self.left_s:
                self.waiting.pop(0)


def work(world, handler, seconds):
    """The longest backlog while a handler does what it can, and how many changes of speed."""
    longest = changes = 0
    for _ in range(seconds):
        world.after(1)
        handler.waiting += [each for each in world.ticks() if each.schedule == "curiosity"]
        longest = max(longest, len(handler.waiting))
        world.backlogs = {"curiosity": {"on-trigger-curiosity.sh": len(handler.waiting)}}
        changes += len(world.turn())
        handler.second()
    return longest, changes


@pytest.mark.parametrize(
    ("takes_s", "longest_max"),
    [
        (50, 1),
        # Half as often, or a quarter as often, is seldom enough.
        (90, 4),
        (200, 7),
        # Longer than the slowest speed has it: it stands still now and then.
        (3000, 20),
    ],
)
def test_the_backlog_of_a_slow_handler_stays_bounded(takes_s, longest_max):
    world, handler = World(), SlowHandler(takes_s)
    hours = 24
    longest, changes = work(world, handler, hours * 3600)
    assert longest <= longest_max
    assert changes <= 12 * hours

    # Once it is quick again, all of it is made good, and the speed is the clock's.
    handler.takes_s = handler.left_s = 1
    work(world, handler, 3600)
    assert (handler.waiting, world.state["curiosity"].speed) == ([], 1.0)


def test_without_adaptive_the_same_backlog_only_grows():
    world, handler = World(), SlowHandler(90)
    world.schedules["curiosity"] = schedule("curiosity", adaptive=False)
    assert work(world, handler, 6 * 3600)[0] > 100
