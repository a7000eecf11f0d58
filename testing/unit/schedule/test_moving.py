"""What becomes of an entry: tables, and a handler."""

import tomllib
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model.types import handler_event_type
from hookline.schedule.moving import Entry, Left, Timing, checked, move, name_of, names, toml
from hookline.schedule.table import NAME


def entry(**said):
    given = {
        "where": "line 1 of tab", "was": "* * * * * x", "origin": "tab", "domain": "cron",
        "hint": "/opt/make-tea.sh --hot", "timings": (Timing(cron="* * * * *"),), "body": "true\n",
    }  # fmt: skip
    return Entry(**{**given, **said})


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        ("/usr/local/bin/backup_db.sh --all", "backup-db"),
        ("cd /srv/app && ./run-it", "run-it"),
        ("test -x /usr/sbin/anacron || run-parts x", "anacron"),
        ("FOO=bar sudo -n /opt/x/Report.py", "report"),
        ("/usr/bin/env python3 /opt/tool.py", "tool"),
        ("timeout 30s flock -n lock", "lock"),
        ("'unterminated", "unterminated"),
        ("2fa-check", "2fa-check"),
        ("---", "job"),
        ("", "job"),
        ("ümlaut", "mlaut"),
        ("x" * 200, "x" * 40),
    ],
)
def test_a_job_is_called_as_its_program(hint, name):
    assert name_of(hint) == name


@given(st.text(max_size=100))
def test_whatever_a_command_is_its_name_is_one_and_so_is_its_handlers(hint):
    made = move(entry(hint=hint), next(names(entry(hint=hint))))
    assert NAME.match(made.name)
    assert handler_event_type(made.handler.removesuffix(".sh")) == made.event


def test_the_second_of_a_name_has_a_number():
    assert list(islice(names(entry()), 3)) == ["make-tea", "make-tea-2", "make-tea-3"]


def test_each_time_is_a_table_and_all_are_one_event():
    timings = (Timing(cron="0 1 * * *", timezone="Asia/Tokyo"), Timing(every="5m", jitter="10s"))
    made = move(entry(timings=timings), "tea")
    tables = {name: tomllib.loads(text)["schedule"][name] for name, text in made.tables.items()}
    assert tables == {
        "tea": {
            "cron": "0 1 * * *", "timezone": "Asia/Tokyo", "event": "cron.tea", "about": "from tab",
            "catch_up": "none",
        },
        "tea-time-2": {
            "every": "5m", "event": "cron.tea", "about": "from tab", "jitter": "10s",
            "catch_up": "none",
        },
    }  # fmt: skip
    assert made.handler == "on-cron-tea.sh"


def test_an_entry_whose_times_no_schedule_can_say_is_left():
    left = checked(entry(timings=(Timing(every="1ms"),)))
    assert isinstance(left, Left)
    assert "every = '1ms' is shorter" in left.why


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_is_a_string_of_toml(text):
    assert tomllib.loads(f"a = {toml(text)}") == {"a": text}


def test_the_origin_ends_no_comment():
    script = move(entry(origin="tab\nrm -rf /\r\x1b[2J"), "tea").script
    assert "\nrm" not in script
    assert "\x1b" not in script
