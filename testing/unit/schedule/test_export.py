"""Schedules as lines of a crontab and as timers of systemd."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.schedule.calendar import Calendar
from hookline.schedule.cron import Cron
from hookline.schedule.crontab import read_crontab
from hookline.schedule.export import (
    Lost,
    Program,
    calendar_of,
    crontab,
    crontab_run_due,
    units,
    units_run_due,
)
from hookline.schedule.recurrence import Every
from hookline.schedule.table import Table, schedules_of
from hookline.schedule.units import read_timer, read_unit

PROGRAM = Program(str(Path(sys.executable).with_name("hookline")), "/srv/my bus")
COMMAND = f"{PROGRAM.hookline} schedule trigger x --home '/srv/my bus'"
START_US = 1_772_000_000_000_000


def table(**said):
    return msgspec.convert({"event": "a.b", **said}, Table)


def cron_lines(zone="UTC", **said):
    return crontab({"x": table(**said)}, PROGRAM, zone)


def timer(**said):
    """The lines that say when, and what cannot be said."""
    made, told = units({"x": table(**said)}, PROGRAM)
    text = made.get("hookline-x.timer", "")
    return text.partition("[Timer]\n")[2].partition("\n\n")[0].splitlines(), told


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ({"cron": "*/5 1-3 * jan mon"}, "*/5 1-3 * jan mon"),
        ({"cron": "0 */5 * * * *"}, "*/5 * * * *"),
        ({"cron": "@daily"}, "@daily"),
        ({"every": "60s"}, "* * * * *"),
        ({"every": "5m"}, "*/5 * * * *"),
        ({"every": "300s"}, "*/5 * * * *"),
        ({"every": "1h"}, "0 * * * *"),
        ({"every": "6h"}, "0 */6 * * *"),
        ({"every": "1d"}, "0 0 * * *"),
        ({"every": "7d"}, "0 0 * * 4"),
    ],
)
def test_a_schedule_is_a_line_of_a_crontab(said, times):
    assert cron_lines(**said, catch_up="none") == [f"{times} {COMMAND}"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"every": "5s"}, "cron has no seconds"),
        ({"every": "90s"}, "no whole number of minutes"),
        ({"every": "7m"}, "goes into no hour"),
        ({"every": "2d"}, "goes into no hour"),
        ({"cron": "30 * * * * *"}, "has seconds"),
        ({"cron": "0 0 * * 5#2"}, "L or #"),
        ({"cron": "0 0 L * *"}, "L or #"),
        ({"cron": "Mon..Fri 09:00"}, "for systemd"),
        ({"at": "2030-01-01T00:00:00Z"}, "at is known to Hookline"),
        ({"after": 5, "of": "a.c"}, "after is known to Hookline"),
    ],
)
def test_what_cron_cannot_say_is_a_comment(said, why):
    (line,) = cron_lines(**said, catch_up="none")
    assert line.startswith("# x: ")
    assert why in line
    assert "--run-due" in line


def test_what_is_lost_of_a_schedule_is_told_above_it():
    lines = cron_lines(every="5m", jitter="10s", adaptive=True)
    assert lines[:-1] == [
        "# x: jitter = 10s is not known to cron",
        "# x: adaptive is not known to cron",
        "# x: catch_up = last: cron makes up for nothing",
    ]


def test_schedules_of_other_zones_come_last_under_their_zone():
    tables = {
        "a": table(cron="0 3 * * *", timezone="Asia/Tokyo", catch_up="none"),
        "b": table(cron="0 3 * * *", timezone="Europe/Berlin", catch_up="none"),
        "c": table(every="5m", catch_up="none"),
        "d": table(every="6h", catch_up="none"),
    }
    lines = [line.partition(" --home")[0] for line in crontab(tables, PROGRAM, "Europe/Berlin")]
    run = f"{PROGRAM.hookline} schedule trigger"
    assert [line for line in lines if not line.startswith("#")] == [
        f"0 3 * * * {run} b",
        f"*/5 * * * * {run} c",
        "CRON_TZ=Asia/Tokyo",
        f"0 3 * * * {run} a",
        "CRON_TZ=UTC",
        f"0 */6 * * * {run} d",
    ]


FIELDS = [
    st.sampled_from(given)
    for given in (
        ["*", "0", "*/7", "5,35", "10-50/20"],
        ["*", "3", "*/6", "8-17"],
        ["*", "13", "*/2", "1,15", "28-31"],
        ["*", "feb", "1-6/2"],
        ["*", "mon", "1-5", "0", "7", "fri,sun"],
    )
]


@given(st.tuples(*FIELDS), st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]))
def test_a_crontab_comes_back_as_it_was(fields, zone):
    text = f"{' '.join(fields)} /bin/true"
    (entry,) = read_crontab(text, name="tab", zone=zone, user="ada")
    (timing,) = entry.timings
    said = {key: value for key, value in msgspec.structs.asdict(timing).items() if value}
    lines = crontab({"x": table(**said)}, Program("/bin/hookline", "/50%"), zone)
    (again,) = read_crontab("\n".join(lines), name="tab", zone=zone, user="ada")
    assert again.timings == entry.timings
    assert "/bin/hookline schedule trigger x --home /50%" in again.body


@given(st.tuples(*FIELDS))
def test_a_cron_expression_and_its_calendar_texts_have_the_same_times(fields):
    cron = Cron(" ".join(fields))
    calendars = [Calendar(f"{each} UTC") for each in calendar_of(" ".join(fields))]
    at_us = START_US
    for _ in range(20):
        expected = cron.after(at_us)
        assert min(filter(None, (each.after(at_us) for each in calendars))) == expected
        at_us = expected


@given(
    st.sampled_from(
        [
            "0.2s",
            "500ms",
            "1s",
            "5s",
            "15s",
            "30s",
            "1m",
            "5m",
            "20m",
            "1h",
            "4h",
            "12h",
            "1d",
            "7d",
        ]
    )
)
def test_a_span_and_its_calendar_text_have_the_same_times(every):
    (line, *_), _ = timer(every=every)
    every_us = schedules_of({"x": table(every=every)})["x"].interval_us
    at_us = START_US
    for _ in range(20):
        expected = Every(every_us, every).after(at_us)
        assert Calendar(line.removeprefix("OnCalendar=")).after(at_us) == expected
        at_us = expected


def test_what_goes_into_no_day_is_counted_from_the_last_one():
    lines, _ = timer(every="90s")
    assert lines[1:3] == ["OnActiveSec=0", "OnUnitActiveSec=90s"]


def test_jitter_and_catch_up_are_those_of_the_timer():
    lines, told = timer(cron="0 3 * * *", timezone="Europe/Berlin", jitter="5m")
    assert lines == [
        "OnCalendar=*-*-* 03:00:00 Europe/Berlin",
        "Persistent=true",
        "AccuracySec=1s",
        "RandomizedDelaySec=5min",
        "FixedRandomDelay=true",
    ]
    assert told == []
    assert timer(every="5s", catch_up="none")[0][1:] == ["Persistent=false", "AccuracySec=100ms"]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"cron": "Mon..Fri 09:00", "timezone": "Asia/Tokyo"}, "Mon..Fri 09:00 Asia/Tokyo"),
        ({"cron": "Mon..Fri 09:00 Asia/Tokyo"}, "Mon..Fri 09:00 Asia/Tokyo"),
        ({"cron": "daily"}, "daily UTC"),
        ({"at": "2030-01-01T01:00:00+01:00"}, "2030-01-01 00:00:00 UTC"),
    ],
)
def test_an_oncalendar_text_stays_what_it_is(said, line):
    assert timer(**said)[0][0] == f"OnCalendar={line}"


def test_what_systemd_cannot_say_is_told():
    assert "silence is known to Hookline" in timer(silence="5m", of="a.c")[1][0]
    assert timer(every="5m", stagger="1m", adaptive=True)[1] == [
        "x: stagger = 1m is not known to systemd",
        "x: adaptive is not known to systemd",
    ]
    with pytest.raises(Lost):
        calendar_of("0 0 * * 5L")


def test_a_timer_comes_back_as_it_was():
    said = {"cron": "*-*-* 03:00:00", "jitter": "5m", "timezone": "Asia/Tokyo"}
    made, _ = units({"x": table(**said)}, PROGRAM)
    entry = read_timer(
        "hookline-x.timer",
        read_unit([made["hookline-x.timer"]]), read_unit([made["hookline-x.service"]]),
        zone="UTC", user="ada",
    )  # fmt: skip
    (timing,) = entry.timings
    assert (timing.cron, timing.jitter) == ("*-*-* 03:00:00 Asia/Tokyo", "5m")
    assert "schedule trigger x --home '/srv/my bus'" in entry.body


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_has_nothing_to_say_against_the_units(tmp_path):
    home = tmp_path / "a $bus with 100%"
    tables = {
        "a": table(every="200ms"),
        "b": table(every="90s", jitter="10s"),
        "c": table(cron="*/5 8-17 13 * fri", timezone="Europe/Berlin"),
        "d": table(at="2030-01-01T00:00:00Z"),
        "e": table(cron="Mon..Fri 09:00"),
    }
    program = PROGRAM._replace(home=str(home))
    made = units(tables, program)[0] | units_run_due(program)
    assert len(made) == 12
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in made)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "hookline-" in line]
    assert (said, done.returncode) == ([], 0), done.stderr


def test_one_line_or_one_timer_drives_all():
    assert crontab_run_due(PROGRAM) == [
        f"* * * * * {PROGRAM.hookline} schedule run-due --home '/srv/my bus'"
    ]
    assert set(units_run_due(PROGRAM)) == {"hookline-run-due.timer", "hookline-run-due.service"}
