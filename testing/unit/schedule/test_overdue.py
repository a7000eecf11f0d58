"""Which layers a scheduler runs when it starts."""

import msgspec
import pytest

from hookline.model.clock import parse_rfc3339
from hookline.schedule import kernel
from hookline.schedule.overdue import overdue, overdue_ticks
from hookline.schedule.recurrence import microseconds
from hookline.schedule.runs import Run
from hookline.schedule.table import Table, schedules_of


def moment_us(text):
    return microseconds(parse_rfc3339(text))


def schedule(**said):
    return schedules_of({"it": Table(layer="nightly", **said)})["it"]


def is_overdue(it, last, now):
    return overdue(it, last and moment_us(last), moment_us(now))


DAILY = schedule(cron="0 4 * * *")


def test_a_layer_that_never_ran_is_overdue():
    assert is_overdue(DAILY, None, "2026-11-21T12:00:00Z")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("2026-11-21T04:05:00Z", False),
        ("2026-11-20T05:00:00Z", False),
        ("2026-11-20T04:48:01Z", False),
        ("2026-11-20T04:47:59Z", True),
        ("2026-11-10T04:00:00Z", True),
    ],
)
def test_a_daily_one_is_overdue_after_thirty_one_hours_and_twelve_minutes(last, expected):
    assert is_overdue(DAILY, last, "2026-11-21T12:00:00Z") is expected


def test_the_gap_is_that_around_now_and_not_the_one_behind_it():
    # 2026-11-20 is a Friday. On Saturday the gap is from Friday to Monday, and the next two times,
    # Monday's and Tuesday's, are but a day apart.
    weekdays = schedule(cron="0 9 * * 1-5")
    friday = "2026-11-20T09:01:00Z"
    assert not is_overdue(weekdays, friday, "2026-11-22T20:00:00Z")
    assert is_overdue(weekdays, "2026-11-18T09:01:00Z", "2026-11-22T20:00:00Z")
    # On Wednesday it is a day.
    assert is_overdue(weekdays, friday, "2026-11-25T12:00:00Z")


def test_a_last_chance_that_was_missed_is_overdue():
    once = schedule(at="2026-11-20T00:00:00Z")
    assert is_overdue(once, "2026-11-19T00:00:00Z", "2026-11-21T00:00:00Z")
    assert not is_overdue(once, "2026-11-20T00:00:01Z", "2026-11-21T00:00:00Z")
    assert not is_overdue(once, "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z")


def test_an_interval_is_its_own_gap():
    hourly = schedule(every="1h")
    assert not is_overdue(hourly, "2026-11-21T10:45:00Z", "2026-11-21T12:00:00Z")
    assert is_overdue(hourly, "2026-11-21T10:41:00Z", "2026-11-21T12:00:00Z")


@pytest.mark.parametrize(
    "it",
    [
        schedule(cron="0 4 * * *", catch_up="none"),
        schedule(cron="0 4 * * *", expires="2026-11-21T00:00:00Z"),
        schedule(after=10, of="note.*"),
        schedule(silence="1h", of="note.*"),
    ],
)
def test_what_makes_up_for_nothing_or_goes_by_no_clock_is_not_overdue(it):
    assert not is_overdue(it, None, "2026-11-21T12:00:00Z")
    assert not is_overdue(it, "2026-11-01T04:00:00Z", "2026-11-21T12:00:00Z")


def test_a_clock_that_was_set_back_makes_nothing_overdue():
    assert not is_overdue(DAILY, "2026-11-21T12:00:00Z", "2026-11-20T12:00:00Z")


NOW_US = moment_us("2026-11-21T12:00:00Z")


def run(at, status="success"):
    return Run(
        run="r", layer="nightly", layer_hash="0" * 16, trigger="schedule", started_at=at,
        completed_at=at, status=status,
    )  # fmt: skip


def ticks(it=DAILY, last=None, done=None, **remembered):
    memory = msgspec.structs.replace(kernel.remembered(it, None, NOW_US), **remembered)
    return overdue_ticks(
        {"it": it},
        {"it": memory},
        {"nightly": last} if last else {},
        {"nightly": moment_us(done)} if done else {},
        NOW_US,
    )


def test_what_is_overdue_has_one_tick_until_there_is_another_run():
    (first,) = ticks()
    assert (first.reason, first.nominal_us) == ("overdue", NOW_US)
    (again,) = ticks()
    assert again.id == first.id
    (after_a_failure,) = ticks(last=run("2026-11-21T11:00:00Z", "failed"))
    assert after_a_failure.id != first.id
    assert ticks(last=run("2026-11-21T11:00:00Z"), done="2026-11-21T11:00:00Z") == []


def test_what_is_due_anyhow_or_paused_or_no_layers_is_left_alone():
    assert ticks(fires_us=NOW_US) == []
    assert ticks(paused=True) == []
    plain = schedules_of({"it": Table(cron="0 4 * * *", event="a.b")})["it"]
    assert ticks(plain) == []
