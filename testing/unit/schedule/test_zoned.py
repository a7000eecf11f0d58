"""Times of day in a zone, where its clocks are changed: three ways to take a change, one walk."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hookline.schedule.recurrence import HOUR_US, MINUTE_US, SECOND_US, microseconds, utc_time
from hookline.schedule.zoned import TimesOfDay, Zoned

HALF_HOURS = TimesOfDay(range(24), (0, 30), (0,))


def at(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def zoned(zone, changes, times=HALF_HOURS, months=range(1, 13)):
    return Zoned(zone, ZoneInfo(zone), times, lambda _: True, list(months), changes)


def times_of(recurrence, after, count):
    found, moment = [], at(after)
    for _ in range(count):
        moment = recurrence.after(moment)
        found.append(utc_time(moment).strftime("%H:%M"))
    return found


def test_a_rank_is_how_many_times_of_day_come_before():
    times = TimesOfDay((2, 14), (5, 30), (0, 7_500_000))
    all_ = [times.nth(rank) for rank in range(times.count)]

    assert all_ == sorted(all_)
    assert times.count == len(set(all_)) == 8
    assert all_[-1] == 14 * HOUR_US + 30 * MINUTE_US + 7_500_000
    for moment in (0, 1, 86_400 * SECOND_US - 1, *all_, *(each + 1 for each in all_)):
        assert times.rank(moment) == sum(each < moment for each in all_)


# Europe/Berlin: 29 March 2026 02:00 -> 03:00 at 01:00 UTC; 25 October 03:00 -> 02:00 at 01:00 UTC.
@pytest.mark.parametrize(
    ("changes", "spring", "autumn"),
    [
        ("elapsed", ["00:30", "01:00", "01:30"], ["00:30", "01:00", "01:30", "02:00"]),
        ("after the gap", ["00:30", "01:00", "01:30"], ["00:30", "02:00", "02:30", "03:00"]),
        ("left out", ["00:30", "01:00", "01:30"], ["00:30", "02:00", "02:30", "03:00"]),
    ],
)
def test_half_hours_over_both_changes(changes, spring, autumn):
    assert times_of(zoned("Europe/Berlin", changes), "2026-03-29T00:00", 3) == spring
    assert times_of(zoned("Europe/Berlin", changes), "2026-10-25T00:00", 4) == autumn


@pytest.mark.parametrize(
    ("changes", "spring", "autumn"),
    [
        ("elapsed", ["01:30", "00:30"], ["00:30", "01:30", "01:30"]),
        ("after the gap", ["01:30", "01:00", "00:30"], ["00:30", "01:30", "01:30"]),
        ("left out", ["01:30", "00:30"], ["00:30", "01:30", "01:30"]),
    ],
)
def test_half_past_two_over_both_changes(changes, spring, autumn):
    half_past_two = zoned("Europe/Berlin", changes, TimesOfDay((2,), (30,), (0,)))

    assert times_of(half_past_two, "2026-03-28T00:00", len(spring)) == spring
    # Only where it is a matter of time that has gone by, the hour that comes twice has it twice.
    expected = autumn if changes == "elapsed" else [autumn[0], autumn[2]]
    assert times_of(half_past_two, "2026-10-25T00:00", len(expected)) == expected


def test_a_change_of_half_an_hour():
    # Australia/Lord_Howe: 4 October 2026 02:00 -> 02:30, 5 April 02:00 -> 01:30 (both 15:00 UTC).
    made_up = zoned("Australia/Lord_Howe", "after the gap", TimesOfDay((2,), (15,), (0,)))
    twice = zoned("Australia/Lord_Howe", "elapsed", TimesOfDay((1,), (45,), (0,)))
    once = zoned("Australia/Lord_Howe", "left out", TimesOfDay((1,), (45,), (0,)))

    assert times_of(made_up, "2026-10-03T00:00", 2) == ["15:30", "15:15"]
    assert times_of(twice, "2026-04-04T00:00", 3) == ["14:45", "15:15", "15:15"]
    assert times_of(once, "2026-04-04T00:00", 2) == ["14:45", "15:15"]


def test_a_gap_at_midnight_leaves_the_day_where_it_is():
    # America/Havana: 8 March 2026 00:00 -> 01:00 at 05:00 UTC.
    midnight = TimesOfDay((0,), (0,), (0,))
    assert times_of(zoned("America/Havana", "left out", midnight), "2026-03-07T06:00", 1) == [
        "04:00"
    ]
    late = zoned("America/Havana", "after the gap", midnight)
    assert late.after(at("2026-03-07T06:00")) == at("2026-03-08T05:00")


def test_several_times_of_one_gap_are_one():
    three = zoned("Europe/Berlin", "after the gap", TimesOfDay((2,), (0, 20, 40), (0,)))
    assert three.after(at("2026-03-29T00:59:59")) == at("2026-03-29T01:00")
    assert three.after(at("2026-03-29T01:00")) == at("2026-03-30T00:00")
    assert three.span(at("2026-03-29T01:00"), at("2026-03-30T00:00")) == (2, at("2026-03-30T00:00"))


@pytest.mark.parametrize("changes", ["elapsed", "after the gap", "left out"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_a_span_counts_what_going_through_finds(zone, changes):
    recurrence = zoned(zone, changes, TimesOfDay((1, 2), range(0, 60, 7), (0, 30 * SECOND_US)))
    first = recurrence.after(at("2026-01-01T00:00"))
    until, count, last, moment = at("2027-01-01T00:00"), 0, first, first
    while moment <= until:
        count, last, moment = count + 1, moment, recurrence.after(moment)

    assert recurrence.span(first, until) == (count, last)
    assert recurrence.span(first, first) == (1, first)
    assert recurrence.span(last, last + 1) == (1, last)


def test_a_year_of_seconds_is_counted_and_not_gone_through():
    each_second = zoned(
        "Europe/Berlin",
        "elapsed",
        TimesOfDay(range(24), range(60), [second * SECOND_US for second in range(60)]),
    )
    first, until = at("2026-01-01T00:00"), at("2027-01-01T00:00")
    assert each_second.span(first, until) == (365 * 86_400 + 1, until)


def test_what_never_comes_is_none_and_is_known_soon():
    never = Zoned("never", ZoneInfo("Europe/Berlin"), HALF_HOURS, lambda _: False, [1], "elapsed")
    assert never.after(0) is None
    assert never.after(at("9000-01-01T00:00")) is None
    assert zoned("UTC", "elapsed").after(at("9989-12-31T23:30")) is None
