"""Cron expressions mean what Debian's cron(8) means by them; where others differ is named."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from hookline.model.errors import BadData
from hookline.schedule.cron import Cron, is_cron
from hookline.schedule.recurrence import local_time, microseconds

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def times_of(cron: Cron, after: str, count: int, zone: str = "UTC") -> list[str]:
    found, moment_us = [], at(after)
    for _ in range(count):
        moment_us = cron.after(moment_us) or 0
        found.append(f"{local_time(moment_us, ZoneInfo(zone)):%a %d %b %H:%M:%S %z}")
    return found


def test_five_fields_six_fields_and_nicknames():
    assert times_of(Cron("*/20 3 * * *"), "2026-11-21T03:10", 2) == [
        "Sat 21 Nov 03:20:00 +0000",
        "Sat 21 Nov 03:40:00 +0000",
    ]
    assert Cron("*/10 * * * * *").after(at("2026-11-21T03:10:01")) == at("2026-11-21T03:10:10")
    assert Cron("@Daily").after(at("2026-11-21T03:10")) == at("2026-11-22T00:00")
    assert str(Cron(" 0 9 * * MON-FRI ", "Europe/Berlin")) == "cron 0 9 * * MON-FRI Europe/Berlin"


def test_sunday_is_0_and_7():
    assert times_of(Cron("0 0 * * 0"), "2026-11-21T00:00", 1) == ["Sun 22 Nov 00:00:00 +0000"]
    assert times_of(Cron("0 0 * * 7"), "2026-11-21T00:00", 1) == ["Sun 22 Nov 00:00:00 +0000"]


def test_a_day_of_the_month_or_a_day_of_the_week():
    assert times_of(Cron("0 0 13 * 5"), "2026-11-21T00:00", 3) == [
        "Fri 27 Nov 00:00:00 +0000",
        "Fri 04 Dec 00:00:00 +0000",
        "Fri 11 Dec 00:00:00 +0000",
    ]


def test_leap_days_and_last_days():
    assert Cron("0 0 29 2 *").after(at("2026-11-21T00:00")) == at("2028-02-29T00:00")
    assert Cron("0 0 29 2 *").after(at("2096-03-01T00:00")) == at("2104-02-29T00:00")
    assert Cron("0 0 L * *").after(at("2028-02-01T00:00")) == at("2028-02-29T00:00")


def test_a_fixed_time_in_the_gap_is_due_right_after_it():
    assert times_of(
        Cron("30 2 * * *", "Europe/Berlin"), "2026-03-28T00:00", 3, "Europe/Berlin"
    ) == [
        "Sat 28 Mar 02:30:00 +0100",
        "Sun 29 Mar 03:00:00 +0200",
        "Mon 30 Mar 02:30:00 +0200",
    ]


def test_a_fixed_time_in_the_fold_is_due_once():
    new_york = Cron("30 1 * * *", "America/New_York")
    assert times_of(new_york, "2026-11-01T00:00", 2, "America/New_York") == [
        "Sun 01 Nov 01:30:00 -0400",
        "Mon 02 Nov 01:30:00 -0500",
    ]
    # Begun in the repeated hour, it is over for that day.
    assert times_of(new_york, "2026-11-01T06:00", 1, "America/New_York") == [
        "Mon 02 Nov 01:30:00 -0500"
    ]


def test_every_half_hour_goes_on_through_the_fold():
    half_hours = Cron("*/30 * * * *", "Europe/Berlin")
    found, moment_us = [], at("2026-10-24T23:59")
    for _ in range(6):
        moment_us = half_hours.after(moment_us) or 0
        found.append(moment_us)
    assert found == [at("2026-10-25T00:00") + n * 1_800_000_000 for n in range(6)]


def test_half_an_hour_of_summer_time_is_taken_as_well_which_cronsim_does_not():
    expression, zone = "0 4 * * *", "Australia/Lord_Howe"
    assert times_of(Cron(expression, zone), "2026-04-04T00:00", 1, zone) == [
        "Sun 05 Apr 04:00:00 +1030"
    ]
    # It goes by hours from before the change, and is half an hour off where that is half an hour.
    wildcard = "*/30 4 * * *"
    begin = datetime(2026, 4, 5, 0, 10, tzinfo=ZoneInfo(zone))
    assert f"{next(CronSim(wildcard, begin)):%H:%M}" == "04:30"
    assert times_of(Cron(wildcard, zone), begin.isoformat(), 1, zone) == [
        "Sun 05 Apr 04:00:00 +1030"
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "61 * * * *", "*/0 * * * *", "* * * *", "* * * * * * *", "0 0 31 2 *", "0 0 30 2 *",
        "@every 0s", "@", "0 0 * * 8", "-1 * * * *", "1.5 * * * *", "5-3 * * * *", "", "x * * * *",
        "0 0 0 * *",
        "\u0661 * * * *", "0 0 */30 2 6#5", "1/2/3 * * * *", "1- * * * *", "* * * * MON#6",
    ],
)  # fmt: skip
def test_what_is_no_expression_or_never_comes_is_refused(expression):
    with pytest.raises(BadData, match=r"cron = .*(it is like|never comes about)"):
        Cron(expression)


def test_a_long_expression_is_refused_at_once():
    with pytest.raises(BadData, match="longer than 256"):
        Cron("0," * 5000 + "0 * * * *")


@pytest.mark.parametrize("zone", ["../../x", "/etc/passwd", "", "Europe/Nowhere", "x" * 5000, "\0"])
def test_a_zone_that_is_not_known_is_refused(zone):
    with pytest.raises(BadData, match=r"timezone = .* is not known here"):
        Cron("0 0 * * *", zone)


def test_what_is_to_be_cron_is_told_by_its_shape():
    assert is_cron("* * * * *")
    assert is_cron("0 * * * * *")
    assert is_cron("@daily")
    assert not is_cron("Mon..Fri 09:00")
    assert not is_cron("daily")
