"""What would fire, and when."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hookline.schedule import kernel
from hookline.schedule.plan import plan
from hookline.schedule.recurrence import HOUR_US, SECOND_US, microseconds
from hookline.schedule.table import Table, schedules_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}


def schedules(**tables):
    return schedules_of(
        {
            name: msgspec.convert({"event": f"{name}.due", **table}, Table)
            for name, table in tables.items()
        }
    )


def moment(text):
    """Of a clock on a wall in Berlin."""
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=BERLIN))


def planned(found, begin_us, hours=24, state=None):
    return list(plan(found, state or {}, begin_us, begin_us + round(hours * HOUR_US)))


def local(moment_us):
    return datetime.fromtimestamp(moment_us / SECOND_US, BERLIN).strftime("%d %H:%M")


def test_the_night_that_has_no_half_past_two_is_noted():
    found = planned(schedules(n=NIGHTLY), moment("2026-03-28T12:00"), hours=48)
    assert [(local(each.nominal_us), each.notes) for each in found] == [
        ("29 03:00", ("the clock goes from 02:00 to 03:00",)),
        ("30 02:30", ()),
    ]


def test_the_night_that_has_two_of_them_is_noted_and_has_one_tick():
    found = planned(schedules(n=NIGHTLY), moment("2026-10-24T12:00"), hours=48)
    assert [(local(each.nominal_us), each.notes) for each in found] == [
        ("25 02:30", ("02:30 comes twice; this is the first",)),
        ("26 02:30", ()),
    ]


def test_by_the_hour_both_of_them_are_there():
    hourly = schedules(n={"cron": "0 * * * *", "timezone": "Europe/Berlin"})
    found = planned(hourly, moment("2026-10-25T00:30"), hours=4)
    assert [(local(each.nominal_us), each.notes) for each in found] == [
        ("25 01:00", ()),
        ("25 02:00", ("02:00 comes twice; this is the first",)),
        ("25 02:00", ("02:00 comes twice; this is the second",)),
        ("25 03:00", ()),
    ]


def test_stagger_and_jitter_are_noted_and_in_order():
    both = {"every": "1h", "stagger": "10m", "jitter": "30s"}
    found = planned(schedules(a=both, b=both), moment("2026-06-01T00:30"), hours=2)
    assert [each.name for each in found] == ["a", "b", "a", "b"]
    assert [each.fires_us for each in found] == sorted(each.fires_us for each in found)
    for each in found:
        (jitter,) = [note for note in each.notes if note.startswith("jitter")]
        assert 0 < float(jitter.removeprefix("jitter ").removesuffix("s")) <= 30
        assert [n for n in each.notes if n != jitter] == (
            ["stagger 300s"] if each.name == "b" else []
        )


def test_it_ends_before_the_end():
    found = schedules(m={"every": "1h"})
    begin_us = moment("2026-06-01T00:00")
    assert len(planned(found, begin_us, hours=3)) == 2
    assert len(planned(found, begin_us, hours=3.001)) == 3


@pytest.fixture
def days_ago():
    """What is remembered of some that nobody has run for three hours."""
    begin_us = moment("2026-06-01T00:00")
    found = schedules(
        all={"every": "1h", "catch_up": "all"},
        last={"every": "1h", "catch_up": "last", "misfire_grace": "1s"},
        none={"every": "1h", "catch_up": "none", "misfire_grace": "1s"},
    )
    _, state = kernel.due(found, {}, begin_us)
    return found, state, begin_us + round(3.5 * HOUR_US)


def test_what_was_missed_comes_at_once_and_is_noted(days_ago):
    found, state, now_us = days_ago
    found = [each for each in planned(found, now_us, 1, state) if each.fires_us == now_us]
    assert [(each.name, each.notes) for each in found] == [
        ("all", ("catch-up",)), ("all", ("catch-up",)), ("all", ("catch-up",)),
        ("last", ("catch-up", "for 2 more that were due before")),
    ]  # fmt: skip


def test_what_was_given_up_is_noted_with_the_next(days_ago):
    found, state, now_us = days_ago
    (each,) = [each for each in planned(found, now_us, 1, state) if each.name == "none"]
    assert each.fires_us == now_us + HOUR_US // 2
    assert each.notes == ("3 were given up",)


def test_another_speed_is_noted():
    found = schedules(m={"every": "1h", "adaptive": True})
    now_us = moment("2026-06-01T00:00")
    _, state = kernel.due(found, {}, now_us)
    state["m"] = kernel.with_speed(found["m"], state["m"], 2.0, "all is well", now_us)
    got = planned(found, now_us, 2, state)
    assert len(got) == 3
    assert got[0].notes == ("at 2 times its speed: all is well",)


def test_what_is_paused_or_not_a_matter_of_time_is_not_planned():
    found = schedules(
        m={"every": "1h"}, a={"after": 3, "of": "x.y"}, gone={"at": "2020-01-01T00:00:00Z"}
    )
    now_us = moment("2026-06-01T00:00")
    _, state = kernel.due(found, {}, now_us)
    assert {each.name for each in planned(found, now_us, 3, state)} == {"m"}
    state["m"] = kernel.pause(state["m"])
    assert planned(found, now_us, 3, state) == []


def test_a_year_of_a_minute_comes_one_by_one():
    """It is not reckoned before anybody asks."""
    found = schedules(m={"every": "10ms"})
    now_us = moment("2026-06-01T00:00")
    first = next(plan(found, {}, now_us, now_us + 366 * 24 * HOUR_US))
    assert first.nominal_us == now_us + 10_000
