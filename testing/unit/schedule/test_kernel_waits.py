"""What the kernel waits for besides the time, and what is made of it then."""

from functools import partial

import pytest

from hookline.schedule import kernel
from hookline.schedule.kernel import due, next_us
from hookline.schedule.recurrence import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    Asked,
    Every,
    Silence,
)
from hookline.schedule.schedule import Schedule
from testing.unit.schedule.kernel_desk import EACH_MINUTE, NOON, Desk, times, told

# Who is still at work


def test_overlap_skip_gives_up_what_comes_due_meanwhile():
    desk = Desk(overlap="skip")
    assert len(desk.after(MINUTE_US)) == 1
    assert desk.after(MINUTE_US, busy={"x"}) == []
    assert desk.after(2 * MINUTE_US, busy={"x"}) == []
    assert desk.after(0) == []
    assert told(desk.after(MINUTE_US)) == [(5, 0, 3)]


def test_overlap_queue_puts_off():
    desk = Desk(overlap="queue", catch_up="all")
    assert desk.after(MINUTE_US, busy={"x"}) == []
    assert next_us(desk.state, busy={"x"}) is None
    assert desk.after(MINUTE_US, busy={"x"}) == []
    assert told(desk.after(0)) == [(1, 0, 0), (2, 0, 0)]


def test_overlap_allow_does_not_care():
    assert told(Desk(overlap="allow").after(MINUTE_US, busy={"x"})) == [(1, 0, 0)]


# Pauses and maintenance


def test_what_came_due_in_a_pause_is_not_made_up_for():
    desk = Desk(catch_up="all")
    desk.change(kernel.pause)
    assert next_us(desk.state) is None
    assert desk.after(10 * MINUTE_US) == []
    desk.change(lambda memory: kernel.resume(desk.schedule, memory, desk.now_us))
    assert desk.after(0) == []
    assert told(desk.after(MINUTE_US)) == [(11, 0, 0)]
    # Somebody resumes what is not paused.
    before = desk.memory
    desk.change(lambda memory: kernel.resume(desk.schedule, memory, desk.now_us + DAY_US))
    assert desk.memory == before


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
@pytest.mark.parametrize("grace_us", [None, 0, DAY_US])
def test_maintenance_defers_and_one_tick_comes_after_it(catch_up, grace_us):
    desk = Desk(catch_up=catch_up, grace_us=grace_us)
    for _ in range(10):
        assert desk.after(MINUTE_US, deferring=True) == []
    (tick,) = desk.after(30 * SECOND_US)
    assert told([tick]) == [(10, 9, 0)]
    assert tick.reason == "maintenance is over"
    (tick,) = desk.at(NOON + 11 * MINUTE_US)
    assert (told([tick]), tick.reason) == ([(11, 0, 0)], "time")


def test_what_maintenance_put_off_is_not_given_up_for_who_is_still_at_work():
    desk = Desk(overlap="skip")
    assert desk.after(MINUTE_US, busy={"x"}, deferring=True) == []
    assert desk.after(1, busy={"x"}) == []
    assert told(desk.after(1)) == [(1, 0, 0)]


def test_nothing_is_deferred_that_did_not_come_due():
    desk = Desk()
    assert desk.after(MINUTE_US - 1, deferring=True) == []
    (tick,) = desk.after(1)
    assert tick.reason == "time"


# Crashes


def test_a_crash_between_appending_and_saving_makes_no_tick_twice():
    desk = Desk(catch_up="all")
    saved = desk.state
    appended = desk.after(5 * MINUTE_US)
    desk.state = saved
    for tick in appended[:3]:
        desk.change(lambda memory, tick=tick: kernel.recall(desk.schedule, memory, tick.nominal_us))
    assert [tick.id for tick in desk.after(0)] == [tick.id for tick in appended[3:]]


def test_an_older_tick_says_nothing_new():
    desk = Desk()
    desk.after(5 * MINUTE_US)
    before = desk.memory
    desk.change(lambda memory: kernel.recall(desk.schedule, memory, NOON + MINUTE_US))
    assert desk.memory == before
    # One of a later era is news, whatever its time is.
    desk.change(lambda memory: kernel.recall(desk.schedule, memory, NOON + MINUTE_US, 1))
    assert (desk.memory.era, desk.memory.since_us) == (1, NOON + MINUTE_US)


# After so many events, and when nothing comes


def count_to(three=3, **said):
    return Desk(Asked("after 3 of a.b"), after=three, of="a.b", **said)


def test_after_so_many_events_it_is_due_at_once():
    desk = count_to()
    for n in (1, 2):
        desk.heard(NOON + n)
        assert desk.after(1) == []
    assert next_us(desk.state) is None
    desk.heard(NOON + 3)
    (tick,) = desk.after(1)
    assert (tick.nominal_us, tick.reason) == (NOON + 3, "count")
    assert desk.memory.seen == 0
    assert desk.after(DAY_US) == []


def test_a_count_that_was_skipped_begins_anew():
    desk = count_to(overlap="skip")
    for n in (1, 2, 3):
        desk.heard(NOON + n)
    assert desk.after(10, busy={"x"}) == []
    desk.heard(desk.now_us)
    assert desk.after(1) == []
    assert (desk.memory.seen, desk.memory.missed) == (1, 1)


def test_a_count_that_was_full_in_a_pause_is_due_with_the_next_event():
    desk = count_to()
    desk.change(kernel.pause)
    for n in (1, 2, 3):
        desk.heard(NOON + n)
    desk.now_us += 10
    desk.change(lambda memory: kernel.resume(desk.schedule, memory, desk.now_us))
    assert desk.after(1) == []
    desk.heard(desk.now_us)
    assert len(desk.after(1)) == 1


@pytest.mark.parametrize("off_us", [-10 * MINUTE_US, 10 * MINUTE_US, 30 * 365 * DAY_US])
def test_a_count_is_due_now_whatever_the_clock_of_the_last_event_says(off_us):
    desk = count_to()
    for n in range(20):
        for _ in range(3):
            desk.heard(desk.now_us + off_us)
        ticks = desk.after(1) or desk.after(1)
        assert len(ticks) == 1, n
        assert abs(ticks[0].nominal_us - desk.now_us) <= max(0, -off_us) + 20


def test_a_count_goes_on_when_the_clock_is_set_back():
    desk = count_to()
    for n in (1, 2, 3, 4, 5):
        desk.heard(NOON + n)
    assert len(desk.after(10)) == 1
    desk.heard(NOON + 11)
    assert desk.at(NOON - DAY_US) == []
    desk.heard(desk.now_us)
    desk.heard(desk.now_us)
    assert len(desk.after(1) or desk.after(1)) == 1


def wait_for_moment(*names, **said):
    desk = Desk(Asked("moment due of a.b"), moment="due", of="a.b", **said)
    for moment_us, at_us in names:
        desk.change(partial(kernel.named, desk.schedule), moment_us, at_us)
    return desk


def test_a_moment_is_due_when_an_event_says_and_once():
    desk = wait_for_moment((NOON + 90, NOON + 1))
    assert next_us(desk.state) == NOON + 90
    assert desk.at(NOON + 89) == []
    (tick,) = desk.at(NOON + 95)
    assert (tick.nominal_us, tick.reason) == (NOON + 90, "time")
    assert desk.after(DAY_US) == []


def test_of_two_moments_the_one_that_was_said_last_counts():
    desk = wait_for_moment((NOON + 90, NOON + 1), (NOON + 50, NOON + 2), (NOON + 70, NOON + 3))
    assert [tick.nominal_us for tick in desk.at(NOON + 60) + desk.at(NOON + 100)] == [NOON + 70]


def test_a_moment_that_is_over_is_due_at_once_unless_its_tick_came():
    desk = wait_for_moment((NOON - 500, NOON + 1))
    (tick,) = desk.at(NOON + 2)
    assert tick.nominal_us == NOON + 1
    # The logs are read once more from before that tick.
    desk.change(lambda memory: kernel.named(desk.schedule, memory, NOON - 500, NOON + 1))
    assert desk.after(DAY_US) == []


def test_a_moment_that_nobody_was_there_for_is_made_up_for():
    desk = wait_for_moment((NOON + 90, NOON + 1))
    (tick,) = desk.at(NOON + DAY_US)
    assert (tick.nominal_us, tick.reason) == (NOON + 90, "catch-up")


def test_a_moment_stays_when_a_clock_is_set_back_before_it():
    desk = wait_for_moment((NOON + HOUR_US, NOON + 1))
    assert desk.at(NOON - DAY_US) == []
    assert next_us(desk.state) == NOON + HOUR_US


def test_silence_is_told_again_and_again_until_something_comes():
    desk = Desk(Silence(HOUR_US, "silence 1h of a.b"), of="a.b")
    assert times(desk.at(NOON + HOUR_US)) == ["Sat 13:00"]
    assert times(desk.at(NOON + 2 * HOUR_US)) == ["Sat 14:00"]
    desk.heard(NOON + 2 * HOUR_US + MINUTE_US)
    assert desk.at(NOON + 3 * HOUR_US) == []
    assert times(desk.at(NOON + 3 * HOUR_US + MINUTE_US)) == ["Sat 15:01"]


def test_an_old_event_and_one_of_the_future_do_not_hide_a_silence():
    desk = Desk(Silence(HOUR_US, "silence 1h of a.b"), of="a.b")
    desk.heard(NOON - DAY_US)
    assert times(desk.at(NOON + HOUR_US)) == ["Sat 13:00"]
    desk.heard(NOON + 365 * DAY_US)
    desk.after(1)
    assert times(desk.after(HOUR_US)) == ["Sat 14:00"]


def test_who_is_heard_in_maintenance_was_not_silent():
    desk = Desk(Silence(HOUR_US, "silence 1h of a.b"), of="a.b")
    assert desk.at(NOON + HOUR_US, deferring=True) == []
    desk.heard(NOON + HOUR_US + 5)
    assert desk.after(10) == []
    (tick,) = desk.after(HOUR_US)
    assert tick.reason == "time"


# Speed


def test_at_another_speed_each_is_counted_from_the_one_before():
    desk = Desk(adaptive=True)
    desk.after(MINUTE_US)
    desk.change(lambda memory: kernel.with_speed(desk.schedule, memory, 0.5, "tired", desk.now_us))
    assert desk.after(MINUTE_US) == []
    (tick,) = desk.after(MINUTE_US)
    assert told([tick]) == [(3, 0, 0)]
    assert (tick.speed, tick.speed_reason) == (0.5, "tired")
    desk.change(lambda memory: kernel.with_speed(desk.schedule, memory, 1.0, "", desk.now_us))
    assert told(desk.after(MINUTE_US)) == [(4, 0, 0)]


def test_faster_comes_sooner_and_makes_up_nothing_from_before():
    desk = Desk(Every(HOUR_US, "1h"), adaptive=True)
    desk.at(NOON + 50 * MINUTE_US)
    desk.change(lambda memory: kernel.with_speed(desk.schedule, memory, 6.0, "well", desk.now_us))
    assert told(desk.after(0)) == [(50, 0, 0)]
    assert told(desk.after(10 * MINUTE_US)) == [(60, 0, 0)]


def test_at_speed_zero_it_stands_still():
    desk = Desk(adaptive=True)
    desk.change(lambda memory: kernel.with_speed(desk.schedule, memory, 0.0, "brake", NOON))
    assert next_us(desk.state) is None
    assert desk.after(DAY_US) == []
    desk.change(lambda memory: kernel.with_speed(desk.schedule, memory, 1.0, "", desk.now_us))
    assert len(desk.after(MINUTE_US)) == 1


# Many


def test_many_are_due_in_the_order_in_which_they_were():
    named = {
        name: Schedule(name=name, when=EACH_MINUTE, event="x.due", offset_us=offset_us)
        for name, offset_us in (("b", 5), ("c", 0), ("a", 5))
    }
    _, state = due(named, {}, NOON)
    ticks, state = due(named, state, NOON + MINUTE_US + 10)
    assert [tick.schedule for tick in ticks] == ["c", "a", "b"]
    # One that is gone is forgotten.
    del named["b"]
    _, state = due(named, state, NOON + MINUTE_US + 11)
    assert state.keys() == {"a", "c"}
