"""Crontabs, as cron means them."""

import subprocess
from datetime import UTC, datetime

import msgspec
import pytest

from hookline.schedule.crontab import read_crontab
from hookline.schedule.moving import Entry, Left, move
from hookline.schedule.recurrence import microseconds, utc_time
from hookline.schedule.table import Table, schedules_of


def read(text, **options):
    said = {"name": "tab", "zone": "UTC", "user": "ada", **options}
    return read_crontab(text, **said)


def only(text, **options):
    (entry,) = read(text, **options)
    return entry


def recurrence(entry):
    (timing,) = entry.timings
    said = {key: value for key, value in msgspec.structs.asdict(timing).items() if value}
    table = msgspec.convert({**said, "event": "a.b"}, Table)
    return schedules_of({"x": table})["x"].when


@pytest.mark.parametrize(
    ("line", "cron"),
    [
        ("*/5 * * * * x", "*/5 * * * *"),
        ("  0\t3 *  jan-mar mon,wed-fri/2 x y", "0 3 * jan-mar mon,wed-fri/2"),
        ("0 0 * * 7 x", "0 0 * * 7"),
        ("-0 4 * * * quietly", "0 4 * * *"),
        ("@daily x", "0 0 * * *"),
        ("@midnight x", "0 0 * * *"),
        ("@Hourly x", "0 * * * *"),
        ("@weekly x", "0 0 * * 0"),
        ("@annually x", "0 0 1 1 *"),
    ],
)
def test_the_times_are_as_they_are_written(line, cron):
    entry = only(line)
    assert entry.timings[0].cron == cron
    assert entry.timings[0].catch_up == "none"
    assert (entry.where, entry.was) == ("line 1 of tab", line.strip())


def test_comments_and_blank_lines_are_nothing_and_lines_keep_their_numbers():
    found = read("# a\n\n  # b\n* * * * * x\nA=1\n* * * * * y\n")
    assert [each.where for each in found] == ["line 4 of tab", "line 6 of tab"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("@reboot x", "programs.toml"),
        ("61 * * * * x", "Bad minute"),
        ("0 0 30 2 * x", "Bad day-of-month"),
        ("* * * * *", "neither a setting"),
        ("hello", "neither a setting"),
        ("@sometimes x", "@sometimes"),
        ("0~30 * * * * x", "Bad minute"),
        ("* * * * * a\0b", "NUL"),
    ],
)
def test_what_cannot_be_said_is_left_with_the_reason(line, why):
    left = only(line)
    assert isinstance(left, Left)
    assert left.was == line
    assert why in left.why


def test_the_zone_is_that_of_the_machine_or_of_cron_tz_from_its_line_on():
    text = "0 1 * * * a\nCRON_TZ=UTC\n0 1 * * * b\nCRON_TZ='Asia/Tokyo'\n0 1 * * * c\n"
    found = read(text, zone="Europe/London")
    assert [each.timings[0].timezone for each in found] == ["Europe/London", None, "Asia/Tokyo"]
    assert isinstance(only("CRON_TZ=Nowhere/Land\n0 1 * * * a\n"), Left)


def test_times_in_utc_are_not_lost_in_the_hour_that_london_repeats():
    # cronie#124: with CRON_TZ=UTC, jobs from 01:00 to 01:59 did not run when clocks went back.
    entry = only("CRON_TZ=UTC\n30 1 * * * x\n", zone="Europe/London")
    before = microseconds(datetime(2022, 10, 30, 0, 50, tzinfo=UTC))
    assert utc_time(recurrence(entry).after(before)) == datetime(2022, 10, 30, 1, 30, tzinfo=UTC)


def test_a_system_crontab_has_a_column_for_the_user():
    entry = only("17 *\t* * *\tada\tcd / && run-parts /etc/cron.hourly", system=True)
    assert "cd / && run-parts /etc/cron.hourly" in entry.body
    left = only("17 * * * * root run-parts /etc/cron.hourly", system=True)
    assert "it runs as root, and handlers run as ada" in left.why
    assert "no command" in only("17 * * * * ada", system=True).why


def test_a_random_delay_is_a_jitter():
    assert only("RANDOM_DELAY=45\n0 4 * * * x").timings[0].jitter == "45m"
    assert "RANDOM_DELAY" in only("RANDOM_DELAY=some\n0 4 * * * x").why


def test_that_nobody_is_mailed_any_more_is_noted():
    assert "nobody is mailed" in only("MAILTO=ada\n0 4 * * * x").notes[0]
    assert only('MAILTO=""\n0 4 * * * x').notes == ()


def run(text, tmp_path, event="{}"):
    """What the command prints when the handler runs it."""
    entry = only(text)
    assert isinstance(entry, Entry)
    script = tmp_path / "handler.sh"
    script.write_text(move(entry, "x").script)
    env = {"HOME": str(tmp_path), "PATH": "/somewhere/else:/usr/bin:/bin", "LOGNAME": "ada"}
    done = subprocess.run(
        ["/bin/bash", str(script)],
        env=env, cwd="/", input=event, text=True, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("* * * * * echo a", "a\n"),
        ("* * * * * pwd -P | sed 's,.*/,,'; echo \"$PATH\"", None),
        ("* * * * * cat", ""),
        ("* * * * * cat%one%two", "one\ntwo\n"),
        ("* * * * * cat%one%", "one\n"),
        ("* * * * * cat%", "\n"),
        ("* * * * * echo 100\\%; cat%50\\%", "100%\n50%\n"),
        ("* * * * * echo 'it'\"'\"'s' \"$((1 + 1))\" `echo b`", "it's 2 b\n"),
        ("A = 'x  y' \n* * * * * echo \"$A\"", "x  y\n"),
        ('A=$HOME\'\n* * * * * echo "$A"', "$HOME'\n"),
        ("SHELL=/bin/bash\n* * * * * [[ a == a ]] && echo ${BASH_VERSION:+bash}", "bash\n"),
        ("PATH=/opt:/bin\n* * * * * echo $PATH", "/opt:/bin\n"),
        ("HOME=/usr\n* * * * * pwd", "/usr\n"),
        ("* * * * * echo '$(touch never)' # no", "$(touch never)\n"),
    ],
)
def test_a_command_runs_as_cron_runs_it(text, printed, tmp_path):
    status, out = run(text, tmp_path)
    expected = f"{tmp_path.name}\n/usr/bin:/bin\n" if printed is None else printed
    assert (status, out) == (0, expected)
    assert [each.name for each in tmp_path.iterdir()] == ["handler.sh"]


@pytest.mark.parametrize("command", ["exit 77", "false", "kill -TERM $$"])
def test_a_command_that_fails_is_a_failed_attempt_whatever_its_status(command, tmp_path):
    assert run(f"* * * * * {command}", tmp_path)[0] == 1
    assert run(f"* * * * * {command}%input", tmp_path)[0] == 1
