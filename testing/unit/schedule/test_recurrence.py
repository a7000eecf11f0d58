"""Nominal times: spans, moments and counts."""

import pytest

from hookline.model.errors import BadData
from hookline.schedule.calendar import Calendar
from hookline.schedule.cron import Cron
from hookline.schedule.recurrence import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    Asked,
    At,
    Every,
    Lapse,
    Silence,
    local_time,
    microseconds,
    utc_time,
    zone_of,
)

ALL = [
    Every(5 * SECOND_US, "5s"),
    Cron("*/7 * * * *", "Europe/Berlin"),
    Calendar("*:*:7/11.5"),
    At(range(0, 10**10, 10**8 + 1), "many"),
    Lapse(SECOND_US + 1, "a lapse"),
    Silence(HOUR_US, "a silence"),
]


def test_every_is_on_the_grid_of_the_wall_clock():
    hourly = Every(HOUR_US, "1h")
    assert hourly.after(0) == HOUR_US
    assert hourly.after(HOUR_US - 1) == HOUR_US
    assert hourly.after(HOUR_US) == 2 * HOUR_US
    assert hourly.after(-1) == 0
    assert hourly.span(HOUR_US, 5 * HOUR_US - 1) == (4, 4 * HOUR_US)


@pytest.mark.parametrize("interval_us", [0, -1, 9_999])
def test_less_than_ten_milliseconds_is_refused(interval_us):
    with pytest.raises(BadData, match=r"every = 'x' is shorter than 10ms"):
        Every(interval_us, "x")
    assert Every(10_000, "10ms").after(0) == 10_000


def test_a_lapse_is_counted_from_whatever_was_last():
    assert Lapse(7, "").after(100) == 107
    assert Lapse(7, "").span(107, 121) == (3, 121)


def test_moments_are_each_once_and_in_order():
    moments = At([30, 10, 30, 20], "then")
    assert [moments.after(at) for at in (0, 10, 15, 20, 30)] == [10, 20, 20, 30, None]
    assert moments.span(10, 29) == (2, 20)


def test_what_is_asked_for_has_no_times():
    assert Asked("after 3 of a.b").after(0) is None
    assert Asked("after 3 of a.b").span(5, 99) == (1, 5)


@pytest.mark.parametrize("recurrence", ALL, ids=str)
def test_a_span_is_what_going_through_finds(recurrence):
    first = recurrence.after(0)
    found = [first]
    while len(found) < 50 and (next_us := recurrence.after(found[-1])) is not None:
        found.append(next_us)
    for count in (1, 2, len(found)):
        last = found[count - 1]
        assert recurrence.span(first, last) == (count, last)
        assert recurrence.span(first, last + 1) == (count, last)
    assert found == sorted(set(found))


def test_how_far_the_clock_may_go_back_and_times_stand():
    assert Every(MINUTE_US, "1m").rewind_us == MINUTE_US
    assert Every(DAY_US, "1d").rewind_us == Cron("0 0 * * *").rewind_us == 3 * HOUR_US
    assert Calendar("daily").rewind_us == 3 * HOUR_US
    assert At([1], "1").rewind_us > 10_000 * 366 * DAY_US
    assert Asked("after 3 of a.b").rewind_us == 0


def test_the_same_text_means_the_same_and_another_kind_does_not():
    assert Every(SECOND_US, "1s") == Every(SECOND_US, "1s")
    assert hash(Every(SECOND_US, "1s")) == hash(Every(SECOND_US, "1s"))
    assert Every(SECOND_US, "1s") != Every(2 * SECOND_US, "2s")
    assert Cron("0 0 * * *") != Cron("0 0 * * *", "Europe/Berlin")
    assert Silence(7, "x") != Asked("x")
    assert str(Every(SECOND_US, "1s")) == "every 1s"
    assert repr(At([1], "then")) == "<At: at then>"


def test_times_are_exact_in_both_directions():
    for moment_us in (0, 1, -1, 1_795_262_400_123_457, 253_000_000_000_000_001):
        assert microseconds(utc_time(moment_us)) == moment_us
        assert microseconds(local_time(moment_us, zone_of("Europe/Berlin"))) == moment_us
