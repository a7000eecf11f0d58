"""OnCalendar texts mean what `systemd-analyze calendar` says that they mean."""

import random
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from hookline.model.errors import BadData
from hookline.schedule.calendar import Calendar
from hookline.schedule.recurrence import microseconds, utc_time

BASE = "2026-11-21 12:00:00"
ORACLE = shutil.which("systemd-analyze")
needs_oracle = pytest.mark.skipif(ORACLE is None, reason="systemd-analyze is not here")

TEXTS = [
    "Mon..Fri 09:00", "Mon-Fri 9:00", "Sat,Sun 10:*:0/15", "Wed, 17:48", "Tuesday,Fri..Sun 1:02:03",
    "daily", "DAILY", "minutely", "hourly", "weekly", "monthly", "quarterly", "semiannually",
    "biannually", "bi-annually", "semi-annually", "yearly", "annually", "daily UTC", "Mon..Fri",
    "weekly Europe/Berlin", "*-*-* 02:30:00 Europe/Berlin", "00:00 utc", "*-*-01,15 EST",
    "*-*~1", "*~1", "*-*~*", "*-2~3/1", "*-*~03..07", "*-*~03..07/2", "*-*~8/7", "*-*~28",
    "Mon *-05~07/1", "*-2-29", "Mon *-02-29", "*-*-31", "*-*-01/3 1,2,3..5/2:0", "2..2:00",
    "2030..2033/2-*-*", "27-*-1", "69-1-1", "2199-12-31 23:59:59", "*-1/2-1,2", "3-7 4:5",
    "*:0..23", "1..5/2:00", "10..20/5,3:00", "*-*-* *:*:*", "*:*:0.5/7.25", "10:10:10.123",
    "*-*-* 1:1:5..7.5", "*-*-* 1:1:5..7.5/0.5", "*-*~3..3/5", "0/2:0",
]  # fmt: skip
NEITHER = [
    "", " ", "12", "12:", "hello", "mon tue", "Mon,, 10:00", "Sun..Tue", "*/2:0", "*/0:0", "0/0:0",
    "*,5:00", "3,*:00", "24:00", "*:60", "*:*:60", "*-13-1", "*-*-0", "*-*-32", "5..3:00",
    "1969-1-1", "2200-1-1", "100-1-1", "*-*-*~1", "*-*-~1", "*-2~31", "*-*~*/2", "*-*-1/40",
    "*:*:5/60",
    "00:00:00 *-*-*", "2027-01-01T10:00", "*-02-29 Mon", "2026..:00", "*:*:59.9999999999", "1.5:00",
    "-1:00", "+1:00", "\u0661:00", "mon, tue 1:1", "*-3~3/7",
]  # fmt: skip


def asked(text: str, base: str = BASE, count: int = 6) -> list[str] | None:
    """What systemd says: the next times, in UTC and to the second; None: it is no such text."""
    said = subprocess.run(
        [
            str(ORACLE),
            "calendar",
            f"--iterations={count}",
            f"--base-time={base} UTC",
            "--",
            text,
        ],
        capture_output=True,
        text=True,
        env={"TZ": "UTC", "SYSTEMD_COLORS": "0", "LC_ALL": "C"},
        check=False,
    )
    if said.returncode:
        return None
    lines = [line.partition(": ")[::2] for line in said.stdout.splitlines()]
    times = [what for key, what in lines if key.strip().startswith(("Next elapse", "Iter."))]
    return [] if times == ["never"] else times


def times_of(text: str, base: str = BASE, count: int = 6) -> list[str] | None:
    """The same by us."""
    try:
        calendar = Calendar(text)
    except BadData as wrong:
        return [] if "never" in str(wrong) else None
    found: list[str] = []
    moment_us = calendar.after(microseconds(datetime.fromisoformat(base).replace(tzinfo=UTC)))
    while moment_us is not None and len(found) < count:
        found.append(f"{utc_time(moment_us):%a %Y-%m-%d %H:%M:%S} UTC")
        moment_us = calendar.after(moment_us)
    return found


@needs_oracle
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_means_what_systemd_says(text):
    assert times_of(text) == asked(text)


@needs_oracle
@pytest.mark.parametrize("text", NEITHER)
def test_what_systemd_refuses_is_refused(text):
    assert asked(text) is None
    with pytest.raises(BadData, match=r"cron = .*(like|known)"):
        Calendar(text)


@needs_oracle
def test_any_text_means_what_systemd_says(chance, soak_s):
    for _ in range(60 + int(soak_s * 100)):
        text = any_text(chance)
        base = (
            f"{datetime.fromtimestamp(chance.randrange(1_700_000_000, 1_900_000_000), UTC):%F %T}"
        )
        theirs = asked(text, base, 4)
        # It refuses some lists of days from the end, and loses itself in some zones.
        if theirs is not None:
            assert times_of(text, base, 4) == theirs, (text, base)


def any_text(chance: random.Random) -> str:
    words = []
    if chance.random() < 0.3:
        names = ["Mon", "tuesday", "WED", "Thu", "Friday", "Sat"]
        words.append(",".join(chance.sample(names, chance.randrange(1, 4))))
    if chance.random() < 0.6:
        year = chance.choice(["*-", "", "2026..2032/3-", "27,31-"])
        sign, most = chance.choice([("-", 31), ("-", 31), ("~", 28)])
        words.append(year + field(chance, 1, 12) + sign + field(chance, 1, most))
    if chance.random() < 0.8 or not words:
        seconds = chance.choice(["", ":" + field(chance, 0, 59), ":7.25/11.5"])
        words.append(field(chance, 0, 23) + ":" + field(chance, 0, 59) + seconds)
    zones = ["", "", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
    return " ".join([*words, chance.choice(zones)]).strip()


def field(chance: random.Random, low: int, high: int) -> str:
    if chance.random() < 0.3:
        return "*"
    items = []
    for _ in range(chance.choice([1, 1, 2])):
        first, last = sorted(chance.randint(low, high) for _ in range(2))
        step = chance.randint(1, 9)
        items.append(chance.choice([f"{first}", f"{first}..{last}", f"{first}..{last}/{step}"]))
        if step <= min(first - low, high - first):
            items[-1] = chance.choice([items[-1], f"{first}/{step}"])
    return ",".join(items)


# The rest holds where there is no systemd, too.


def test_a_time_in_the_gap_is_left_out_that_day():
    assert times_of("02:30 Europe/Berlin", "2026-03-28 00:00:00", 2) == [
        "Sat 2026-03-28 01:30:00 UTC",
        "Mon 2026-03-30 00:30:00 UTC",
    ]
    assert times_of("02:15 Australia/Lord_Howe", "2026-10-02 16:00:00", 2) == [
        "Sun 2026-10-04 15:15:00 UTC",
        "Mon 2026-10-05 15:15:00 UTC",
    ]


def test_an_hour_that_comes_twice_has_its_times_once():
    assert times_of("*:30 America/New_York", "2026-11-01 05:00:00", 2) == [
        "Sun 2026-11-01 05:30:00 UTC",
        "Sun 2026-11-01 07:30:00 UTC",
    ]
    # Whoever begins in the second one has missed them.
    assert times_of("01:30 America/New_York", "2026-11-01 06:10:00", 1) == [
        "Mon 2026-11-02 06:30:00 UTC"
    ]


def test_days_of_the_week_months_ends_and_fractions():
    assert times_of("Mon..Fri 09:00", count=1) == ["Mon 2026-11-23 09:00:00 UTC"]
    assert times_of("Mon *-05~07/1", count=1) == ["Mon 2027-05-31 00:00:00 UTC"]
    assert times_of("*-02~1", count=3) == [
        "Sun 2027-02-28 00:00:00 UTC",
        "Tue 2028-02-29 00:00:00 UTC",
        "Wed 2029-02-28 00:00:00 UTC",
    ]
    assert Calendar("*:*:0.5/7.25").after(0) == 500_000
    assert Calendar("*:*:0.5/7.25").after(500_000) == 7_750_000


def test_what_is_over_is_no_error_and_what_never_comes_is():
    assert times_of("2012-10-15") == []
    for text in ("*-2-30", "Mon 2026-11-22", "*-*-31 Foo/Bar"):
        with pytest.raises(BadData, match=r"never comes about|'Foo/Bar' is not known"):
            Calendar(text)


def test_a_zone_is_said_once():
    assert str(Calendar("daily", "Europe/Berlin")) == "cron daily Europe/Berlin"
    assert str(Calendar("daily UTC")) == "cron daily UTC"
    with pytest.raises(BadData, match="one will do"):
        Calendar("daily UTC", "Europe/Berlin")


@pytest.mark.parametrize("text", ["*:*:0/0.000001", "*:*:0,0.005", "*:*:0..59/0.009"])
def test_more_often_than_every_ten_milliseconds_is_too_often(text):
    with pytest.raises(BadData, match="more often than every 10ms"):
        Calendar(text)
    assert Calendar("*:*:0/0.01").after(0) == 10_000


@pytest.mark.parametrize("text", ["*:" * 5000, "0," * 5000 + "0:00", "9" * 300 + ":00"])
def test_a_long_text_is_refused_at_once(text):
    with pytest.raises(BadData, match="longer than 256"):
        Calendar(text)
