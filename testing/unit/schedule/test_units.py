"""Timers of systemd, as systemd means them."""

import subprocess

import pytest

from hookline.model.errors import BadData
from hookline.schedule.moving import Entry, Left, move
from hookline.schedule.units import read_timer, read_unit, service_of, span_s, split

SERVICE = "[Service]\nType=oneshot\nExecStart=/bin/echo done\n"


def read(timer, service=SERVICE, zone="UTC", name="backup.timer"):
    unit = None if service is None else read_unit([service])
    return read_timer(name, read_unit([f"[Timer]\n{timer}"]), unit, zone=zone, user="ada")


@pytest.mark.parametrize(
    ("timer", "said"),
    [
        ("OnCalendar=daily", ["daily"]),
        ("OnCalendar=Mon..Fri 09:00\nOnCalendar=Sat 10:00", ["Mon..Fri 09:00", "Sat 10:00"]),
        ("OnCalendar=daily\nOnCalendar=\nOnCalendar=hourly", ["hourly"]),
    ],
)
def test_each_time_is_a_schedule(timer, said):
    entry = read(timer)
    assert isinstance(entry, Entry)
    assert [each.cron for each in entry.timings] == said
    assert {each.overlap for each in entry.timings} == {"skip"}


def test_the_zone_is_that_of_the_machine_unless_the_time_names_one():
    entry = read("OnCalendar=daily\nOnCalendar=daily Asia/Tokyo", zone="Europe/Berlin")
    assert [each.timezone for each in entry.timings] == ["Europe/Berlin", None]


def test_persistent_catches_up_and_a_random_delay_is_a_jitter():
    (timing,) = read("OnCalendar=daily\nPersistent=true\nRandomizedDelaySec=1h 30min").timings
    assert (timing.catch_up, timing.jitter) == ("last", "90m")
    (timing,) = read("OnCalendar=daily").timings
    assert (timing.catch_up, timing.jitter) == ("none", None)


def test_a_time_that_counts_from_the_last_run_is_a_span_of_the_clock():
    entry = read("OnBootSec=5min\nOnUnitActiveSec=15min")
    assert [each.every for each in entry.timings] == ["15m"]
    assert any("not counted from its last run" in note for note in entry.notes)
    assert any("OnBootSec: falls away" in note for note in entry.notes)


@pytest.mark.parametrize(
    ("timer", "service", "why"),
    [
        ("OnBootSec=5min", SERVICE, "OnBootSec"),
        ("Persistent=true", SERVICE, "no time"),
        ("OnCalendar=whenever", SERVICE, "whenever"),
        ("OnUnitActiveSec=5 parsecs", SERVICE, "parsecs"),
        ("OnCalendar=daily", None, "backup.service is not beside it"),
        ("OnCalendar=daily", "[Service]\n", "no ExecStart"),
        ("OnCalendar=daily", "[Service]\nType=forking\nExecStart=/bin/x\n", "forking"),
        ("OnCalendar=daily", "[Service]\nUser=bob\nExecStart=/bin/x\n", "runs as bob"),
        (
            "OnCalendar=daily",
            "[Service]\nEnvironmentFile=/x\nExecStart=/bin/x\n",
            "EnvironmentFile",
        ),
        ("OnCalendar=daily", "[Service]\nExecStart=/bin/x %m\n", "%m"),
        ("OnCalendar=daily", "[Service]\nExecStart=!/bin/x\n", "before a command"),
        ("OnCalendar=daily", '[Service]\nExecStart=/bin/x "a\n', "does not end"),
        ("OnCalendar=daily", "[Service]\nExecStart=/bin/x ; /bin/y\n", "several commands"),
    ],
)
def test_what_cannot_be_said_is_left_with_the_reason(timer, service, why):
    left = read(timer, service)
    assert isinstance(left, Left)
    assert why in left.why


def test_what_is_not_carried_over_is_noted():
    service = f"[Unit]\nConditionACPower=true\n{SERVICE}PrivateTmp=yes\nNice=5\n"
    (note,) = read("OnCalendar=daily", service).notes
    assert "ConditionACPower, Nice, PrivateTmp" in note


def test_the_unit_is_named_by_unit_or_by_the_timer():
    assert service_of(read_unit(["[Timer]\nUnit=other.service\n"]), "a.timer") == "other.service"
    assert service_of(read_unit(["[Timer]\nOnCalendar=daily\n"]), "a.timer") == "a.service"


def test_drop_ins_change_a_unit_and_lines_go_on():
    unit = read_unit(
        [
            "# a\n[Timer]\nOnCalendar=daily\n; b\nPersistent=no\n",
            "[Timer]\nOnCalendar=\nOnCalendar=Mon \\\n  09:00\nPersistent=yes\n",
        ]
    )
    assert unit == {"Timer": [("OnCalendar", "Mon    09:00"), ("Persistent", "yes")]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5min", 300), ("1h 30min", 5400), ("90", 90), ("2days 3s", 172803), ("50ms", 0.05)],
)
def test_a_span_is_as_systemd_writes_it(text, expected):
    assert span_s(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "x", "5 m m", "-5s", "1h, 2"])
def test_no_other_text_is_a_span(text):
    with pytest.raises(BadData):
        span_s(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("'a b' \"c 'd'\"", ["a b", "c 'd'"]),
        ('"" x', ["", "x"]),
        (r"a\x20b \\ \"", ["a b", "\\", '"']),
        ("A='x y'", ["A=x y"]),
    ],
)
def test_words_are_as_systemd_splits_them(text, words):
    assert split(text) == words


def run(service, tmp_path):
    entry = read("OnCalendar=daily", service)
    assert isinstance(entry, Entry), entry
    script = tmp_path / "handler.sh"
    script.write_text(move(entry, "x").script)
    done = subprocess.run(
        ["/bin/bash", str(script)],
        env={"HOME": str(tmp_path)}, input="{}", text=True, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("lines", "printed"),
    [
        ("ExecStart=/bin/echo 'a  b' $(date) `date` * ~", "a  b $(date) `date` * ~\n"),
        ("Environment=A=1 'B=x  y'\nExecStart=/bin/echo ${A}-${B} $B", "1-x  y x y\n"),
        ("ExecStart=/bin/echo $$HOME a$$b ${NOTHING}", "$HOME a$b \n"),
        ("ExecStart=:/bin/echo ${A} $$", "${A} $$\n"),
        ("ExecStart=/bin/echo %% %n %N", "% backup.service backup\n"),
        ("WorkingDirectory=/usr\nExecStart=/bin/pwd", "/usr\n"),
        ("ExecStart=/bin/pwd", "/\n"),
        ("ExecStartPre=/bin/echo 1\nExecStart=/bin/echo 2\nExecStart=/bin/echo 3", "1\n2\n3\n"),
        ("ExecStart=-/bin/false\nExecStart=/bin/echo on", "on\n"),
        ("ExecStart=/bin/cat", ""),
        ("ExecStart=time", None),
    ],
)
def test_a_command_runs_as_systemd_runs_it(lines, printed, tmp_path):
    status, out = run(f"[Service]\nType=oneshot\n{lines}\n", tmp_path)
    if printed is None:
        # There may be no program of the name; bash's own keyword it is not.
        assert "real" not in out
    else:
        assert (status, out) == (0, printed)


def test_the_first_command_that_fails_is_the_last(tmp_path):
    service = "[Service]\nExecStart=/bin/false\nExecStart=/bin/echo on\n"
    assert run(service, tmp_path) == (1, "")


def test_a_service_has_as_long_as_it_is_given():
    assert read("OnCalendar=daily", f"{SERVICE}TimeoutStartSec=2min\n").timeout == "2m"
    assert read("OnCalendar=daily", f"{SERVICE}TimeoutStartSec=infinity\n").timeout == "1d"
