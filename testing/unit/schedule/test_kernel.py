"""When the kernel has a tick come, and when it is too late: each behaviour by its name. The laws
are in property/."""

from datetime import UTC, datetime

import pytest

from hookline.schedule import kernel
from hookline.schedule.calendar import Calendar
from hookline.schedule.cron import Cron
from hookline.schedule.kernel import AT_ONCE_MAX, MADE_UP_US, next_us, tick_id
from hookline.schedule.recurrence import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    At,
    Every,
    utc_time,
)
from hookline.schedule.schedule import Schedule
from testing.unit.schedule.kernel_desk import EACH_MINUTE, NOON, Desk, at, times, told

# In time


def test_a_new_schedule_begins_now_and_catches_up_with_nothing():
    desk = Desk(catch_up="all")
    assert desk.at(NOON) == []
    assert desk.memory.nominal_us == NOON + MINUTE_US
    assert told(desk.at(NOON + MINUTE_US)) == [(1, 0, 0)]


def test_a_tick_is_due_once_and_not_again():
    desk = Desk()
    assert told(desk.after(MINUTE_US)) == [(1, 0, 0)]
    assert desk.after(0) == []
    assert desk.after(MINUTE_US - 1) == []
    assert next_us(desk.state) == NOON + 2 * MINUTE_US


def test_nothing_adds_up_however_late_each_is():
    desk = Desk(Every(5 * SECOND_US, "5s"))
    found = []
    for _ in range(1000):
        desk.now_us = (next_us(desk.state) or 0) + 3 * SECOND_US
        found += desk.after(0)
    assert [tick.nominal_us for tick in found] == [NOON + n * 5 * SECOND_US for n in range(1, 1001)]


def test_the_id_is_a_hash_of_name_nominal_time_and_era():
    assert tick_id("x", NOON) == tick_id("x", NOON, 0) == "01a1fdfa-4600-87c4-89b6-e08033b361d8"
    assert (
        len({tick_id("x", NOON), tick_id("y", NOON), tick_id("x", NOON + 1), tick_id("x", NOON, 1)})
        == 4
    )


def test_jitter_is_the_same_each_time_and_within_its_bounds():
    desk = Desk(jitter_us=20 * SECOND_US)
    found = []
    for _ in range(200):
        found += desk.at(next_us(desk.state))
    drawn = [tick.fires_us - tick.nominal_us for tick in found]
    again = Schedule(name="x", when=EACH_MINUTE, event="x.due", jitter_us=20 * SECOND_US)

    assert drawn == [
        kernel.fires_at(again, EACH_MINUTE, tick.nominal_us) - tick.nominal_us for tick in found
    ]
    assert all(0 <= each <= 20 * SECOND_US for each in drawn)
    assert min(drawn) < 2 * SECOND_US < 18 * SECOND_US < max(drawn)
    assert told(found) == [(n, 0, 0) for n in range(1, 201)]


def test_jitter_that_is_longer_than_the_interval_turns_no_order_round():
    desk = Desk(jitter_us=HOUR_US)
    found = []
    for _ in range(200):
        found += desk.at(next_us(desk.state))
    assert told(found) == [(n, 0, 0) for n in range(1, 201)]


def test_stagger_is_constant_and_no_lateness():
    desk = Desk(offset_us=20 * SECOND_US)
    assert desk.at(NOON + MINUTE_US) == []
    (tick,) = desk.at(NOON + MINUTE_US + 20 * SECOND_US)
    assert (tick.nominal_us, tick.fires_us) == (NOON + MINUTE_US, desk.now_us)


def test_another_stagger_or_jitter_moves_the_next_tick_and_loses_none():
    desk = Desk()
    desk.now_says(offset_us=20 * SECOND_US)
    assert desk.at(NOON + MINUTE_US) == []
    assert told(desk.after(20 * SECOND_US)) == [(1, 0, 0)]
    desk.now_says(offset_us=0)
    assert told(desk.at(NOON + 2 * MINUTE_US)) == [(2, 0, 0)]


def test_what_has_expired_is_not_due():
    desk = Desk(expires_us=NOON + 2 * MINUTE_US)
    assert told(desk.after(3 * MINUTE_US)) == [(1, 0, 0)]
    assert next_us(desk.state) is None
    # Put off, it goes on from then.
    desk.now_says(expires_us=NOON + HOUR_US)
    assert desk.after(0) == []
    assert told(desk.after(MINUTE_US)) == [(4, 0, 0)]


def test_another_recurrence_begins_now():
    desk = Desk()
    desk.after(10)
    desk.now_says(when=Every(HOUR_US, "1h"))
    assert desk.after(30 * MINUTE_US) == []
    assert times(desk.at(NOON + HOUR_US)) == ["Sat 13:00"]


# Too late


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        # After three days with 3 * 24 * 60 minutes and a half.
        ("none", [(4320, 0, 4319)]),
        ("last", [(4320, 4319, 0)]),
    ],
)
def test_three_days_down(catch_up, expected):
    desk = Desk(catch_up=catch_up)
    assert told(desk.after(3 * DAY_US + MINUTE_US // 2)) == expected
    assert told(desk.after(MINUTE_US)) == [(4321, 0, 0)]


def test_three_days_down_with_all_makes_each_a_thousand_at_a_time():
    desk = Desk(catch_up="all")
    found = desk.after(3 * DAY_US)
    assert len(found) == AT_ONCE_MAX
    assert next_us(desk.state) < desk.now_us
    while ticks := desk.after(0):
        found += ticks
    assert told(found) == [(n, 0, 0) for n in range(1, 4321)]
    assert [tick.reason for tick in found[:-1]] == ["catch-up"] * 4319


def test_all_makes_up_for_a_month_and_counts_what_was_before():
    desk = Desk(Every(HOUR_US, "1h"), catch_up="all")
    found = desk.after(100 * DAY_US)
    while ticks := desk.after(0):
        found += ticks
    assert len(found) == MADE_UP_US // HOUR_US + 1
    assert found[0].coalesced == 2400 - len(found)
    assert [tick.coalesced for tick in found[1:]] == [0] * (len(found) - 1)


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", []),
        ("last", ["Fri 02:00"]),
        ("all", ["Tue 02:00", "Wed 02:00", "Thu 02:00", "Fri 02:00"]),
    ],
)
def test_four_nights_down_and_up_by_day(catch_up, expected):
    desk = Desk(Cron("0 2 * * *"), now_us=at("2026-11-23T12:00"), catch_up=catch_up)
    ticks = desk.at(at("2026-11-27T09:00"))
    assert times(ticks) == expected
    assert all(tick.reason == "catch-up" for tick in ticks)
    # What was given up is told by the tick after it.
    (tick,) = desk.at(at("2026-11-28T02:00"))
    assert (tick.missed, tick.reason) == (4 if catch_up == "none" else 0, "time")


def test_within_its_grace_a_tick_is_in_time():
    desk = Desk(Cron("0 * * * *"), grace_us=10 * MINUTE_US, catch_up="none")
    assert times(desk.at(NOON + HOUR_US + 10 * MINUTE_US)) == ["Sat 13:00"]
    assert desk.at(NOON + 2 * HOUR_US + 10 * MINUTE_US + 1) == []
    assert desk.memory.missed == 1


def test_within_a_long_grace_each_is_in_time():
    desk = Desk(grace_us=5 * MINUTE_US)
    ticks = desk.after(3 * MINUTE_US + 1)
    assert told(ticks) == [(1, 0, 0), (2, 0, 0), (3, 0, 0)]
    assert {tick.reason for tick in ticks} == {"time"}
    assert told(desk.after(10 * MINUTE_US)) == [(9, 5, 0), *((n, 0, 0) for n in range(10, 14))]


def test_without_a_grace_what_has_something_due_behind_it_is_a_misfire():
    # Of uneven spans, too.
    desk = Desk(Calendar("*:*:0,45"), catch_up="none")
    assert told(desk.at(NOON + 55 * SECOND_US)) == [(0.75, 0, 0)]
    assert told(desk.at(NOON + MINUTE_US + 55 * SECOND_US)) == [(1.75, 0, 1)]
    desk = Desk(Cron("0 * * * *"), catch_up="none")
    assert desk.at(NOON + HOUR_US + MINUTE_US + 1) == []
    assert times(desk.at(NOON + 2 * HOUR_US + MINUTE_US)) == ["Sat 14:00"]


def test_a_year_without_anybody_is_counted_and_not_gone_through():
    desk = Desk(Cron("* * * * * *", "Europe/Berlin"))
    (tick,) = desk.after(365 * DAY_US)
    assert tick.coalesced == 365 * 86_400 - 1


def test_a_leap_day_and_a_year_of_the_clock_beyond_2038():
    desk = Desk(Cron("0 0 29 2 *"), now_us=at("2027-01-01T00:00"))
    assert utc_time(next_us(desk.state)) == datetime(2028, 2, 29, tzinfo=UTC)
    assert len(desk.at(at("2028-02-29T00:00"))) == 1
    assert utc_time(next_us(desk.state)) == datetime(2032, 2, 29, tzinfo=UTC)
    desk = Desk(Cron("0 0 * * *"), now_us=at("2040-02-28T12:00"))
    assert times(desk.at(at("2040-02-29T00:00"))) == ["Wed 00:00"]


# The clocks are changed


@pytest.mark.parametrize(
    ("zone", "when", "day", "hours"),
    [
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", ["Sun 01:00", "Mon 00:30"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", ["Sun 00:30", "Mon 01:30"]),
        ("America/New_York", "30 2 * * *", "2026-03-08T00:00", ["Sun 07:00", "Mon 06:30"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00", ["Sun 05:30", "Mon 06:30"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00", ["Sat 15:30", "Sun 15:15"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00", ["Sat 14:45", "Sun 15:15"]),
        ("Europe/Berlin", "Sun,Mon 02:30", "2026-03-28T12:00", ["Mon 00:30", "Sun 00:30"]),
        ("Europe/Berlin", "Sun,Mon 02:30", "2026-10-24T12:00", ["Sun 00:30", "Mon 01:30"]),
    ],
)
def test_a_gap_and_a_fold(zone, when, day, hours):
    recurrence = Calendar(when, zone) if ":" in when else Cron(when, zone)
    desk = Desk(recurrence, now_us=at(day))
    found = []
    while len(found) < 2:
        # Someone who looks each ten minutes, and so twice in the hour that comes twice.
        found += desk.after(10 * MINUTE_US)
    assert times(found) == hours


# The clock is set, or stands still


def test_an_hour_back_stands_for_times_of_day_and_begins_anew_for_short_spans():
    daily, often = Desk(Cron("0 13 * * *")), Desk()
    for desk in (daily, often):
        assert len(desk.at(NOON + HOUR_US)) == 1
        assert desk.at(NOON) == []
    assert daily.at(NOON + HOUR_US) == []
    (again,) = often.after(MINUTE_US)
    assert (again.nominal_us, again.era) == (NOON + MINUTE_US, 1)
    assert again.id == tick_id("x", NOON + MINUTE_US, 1)


def test_a_day_forward_and_back_again():
    desk = Desk()
    assert told(desk.after(DAY_US)) == [(1440, 1439, 0)]
    assert desk.at(NOON + MINUTE_US // 2) == []
    assert told(desk.at(NOON + MINUTE_US)) == [(1, 0, 0)]
    assert desk.memory.era == 1


def test_to_1970_and_back():
    desk = Desk()
    assert desk.at(5) == []
    (tick,) = desk.at(MINUTE_US)
    assert (tick.nominal_us, tick.era) == (MINUTE_US, 1)
    # Back in the present it is no storm, whatever is to be caught up with.
    (tick,) = desk.at(NOON)
    assert tick.coalesced == NOON // MINUTE_US - 2


def test_a_moment_comes_once_however_the_clock_is_set():
    desk = Desk(At([NOON + HOUR_US], "13:00"))
    assert len(desk.at(NOON + DAY_US)) == 1
    assert desk.at(NOON) == []
    assert desk.at(NOON + 2 * HOUR_US) == []


def test_after_a_suspend_what_was_due_meanwhile_is_one():
    desk = Desk()
    assert told(desk.at(NOON + 8 * HOUR_US + 1)) == [(480, 479, 0)]
