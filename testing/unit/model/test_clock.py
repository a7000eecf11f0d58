"""Times are aware, UTC, and written in one form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hookline.model.clock import (
    SystemClock,
    from_epoch_s,
    nanoseconds,
    parse_rfc3339,
    rfc3339,
)
from hookline.model.errors import BadData

MOMENT = datetime(2026, 11, 21, 1, 35, 31, 123456, tzinfo=UTC)
STORED = "2026-11-21T01:35:31.123456Z"


def test_the_stored_form_is_utc_with_six_decimals():
    zone = timezone(timedelta(hours=-3, minutes=-30))
    assert rfc3339(MOMENT) == rfc3339(MOMENT.astimezone(zone)) == STORED
    assert rfc3339(MOMENT.replace(microsecond=0)) == "2026-11-21T01:35:31.000000Z"
    assert rfc3339(datetime(7, 1, 1, tzinfo=UTC)) == "0007-01-01T00:00:00.000000Z"


def test_a_time_without_a_zone_is_a_bug():
    with pytest.raises(ValueError, match="zone"):
        rfc3339(MOMENT.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (STORED, STORED),
        ("2026-11-21t01:35:31.123456z", STORED),
        ("2026-11-21T01:35:31Z", "2026-11-21T01:35:31.000000Z"),
        ("2026-11-21T01:35:31.1Z", "2026-11-21T01:35:31.100000Z"),
        ("2026-11-21T01:35:31.123456999999Z", STORED),
        ("2026-11-21T01:35:31+02:30", "2026-11-20T23:05:31.000000Z"),
        ("2026-12-31T23:35:31-02:30", "2027-01-01T02:05:31.000000Z"),
        ("2026-11-21T01:35:31-00:00", "2026-11-21T01:35:31.000000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
    ],
)
def test_rfc_3339_is_read(text, stored):
    assert rfc3339(parse_rfc3339(text)) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "tomorrow",
        "1763700009",
        "2026-11-21",
        "2026-11-21T01:35:31",
        "2026-11-21 01:35:31Z",
        "2026-11-21T01:35Z",
        "2026-11-21T01:35:31.Z",
        "2026-11-21T01:35:31,5Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T01:60:00Z",
        "2026-12-31T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-21T01:35:31+24:00",
        "2026-11-21T01:35:31+02:60",
        "2026-11-21T01:35:31+02",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        STORED + "\n",
        "٢٠٢٦-11-21T01:35:31Z",
        "+2026-11-21T01:35:31Z",
    ],
)
def test_no_other_text_is_a_time(text):
    with pytest.raises(BadData, match="time "):
        parse_rfc3339(text, colonless=True)


def test_a_zone_without_colon_is_for_those_who_ask():
    assert rfc3339(parse_rfc3339("2025-12-01T22:55:11-0600", colonless=True)) == (
        "2025-12-02T04:55:11.000000Z"
    )
    with pytest.raises(BadData):
        parse_rfc3339("2025-12-01T22:55:11+0000")


def test_nanoseconds_are_exact_to_the_microsecond():
    assert nanoseconds(MOMENT) == 1795224931_123456_000
    assert nanoseconds(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1_000_000_000


def test_seconds_since_1970_become_a_time():
    assert rfc3339(from_epoch_s(1763700009.123456)) == "2025-11-21T04:40:09.123456Z"
    for impossible in (1e18, float("inf"), float("nan")):
        with pytest.raises(BadData):
            from_epoch_s(impossible)


def test_the_system_clock_is_aware_and_its_other_hand_never_goes_back():
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic_s() <= clock.monotonic_s()
