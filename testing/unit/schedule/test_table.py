"""What `schedules.toml` may say, and what is said of what it may not."""

import time
from contextlib import nullcontext
from datetime import date

import msgspec
import pytest

from hookline.app.schedules import load_timetable
from hookline.model.errors import BadConfig, BadData
from hookline.schedule.recurrence import HOUR_US, MINUTE_US, SECOND_US, utc_time
from hookline.schedule.table import Table, schedules_of


def only(**said):
    said.setdefault("event", "a.b")
    return schedules_of({"x": Table(**said)})["x"]


def wrong(match, **said):
    with pytest.raises(BadData, match=match):
        only(**said)


def test_each_kind_of_time():
    assert str(only(cron="0 9 * * 1-5").when) == "cron 0 9 * * 1-5 UTC"
    assert str(only(cron="0 9 * * 1-5", timezone="Europe/Berlin").when).endswith("Europe/Berlin")
    assert str(only(cron="@hourly").when) == "cron @hourly UTC"
    assert str(only(cron="*/10 * * * * *").when) == "cron */10 * * * * * UTC"
    assert str(only(cron="Mon..Fri 09:00").when) == "cron Mon..Fri 09:00 UTC"
    assert str(only(cron="daily", timezone="Europe/Berlin").when) == "cron daily Europe/Berlin"
    assert str(only(cron="*-*-* 02:30:00 Europe/Berlin").when).endswith("02:30:00 Europe/Berlin")
    assert only(every="1.5h").interval_us == HOUR_US + HOUR_US // 2
    assert str(only(after=5, of="worker.*").when) == "after 5 of worker.*"
    assert str(only(silence="1h", of="on-a-b.sh").when) == "silence 1h of on-a-b.sh"
    assert str(only(moment="due", of="a.planned").when) == "moment due of a.planned"


def test_moments_are_texts_or_times_of_toml():
    text = """
    [x]
    event = "a.b"
    at = [2026-12-24T18:00:00Z, "2026-12-24T18:00:00+01:00"]
    expires = "2027-01-01T00:00:00Z"
    """
    table = msgspec.toml.decode(text, type=dict[str, Table])
    schedule = schedules_of(table)["x"]
    assert utc_time(schedule.when.after(0)).isoformat() == "2026-12-24T17:00:00+00:00"
    assert utc_time(schedule.expires_us).isoformat() == "2027-01-01T00:00:00+00:00"


def test_everything_else_that_a_table_says():
    schedule = only(
        every="1h", data={"keep": 7}, about="x", priority="high", stagger="1m", jitter="30s",
        misfire_grace="5m", catch_up="all", overlap="queue", adaptive=True,
    )  # fmt: skip
    assert (schedule.data, schedule.about, schedule.priority) == ({"keep": 7}, "x", "high")
    assert (schedule.jitter_us, schedule.grace_us) == (30 * SECOND_US, 5 * MINUTE_US)
    assert (schedule.catch_up, schedule.overlap, schedule.adaptive) == ("all", "queue", True)
    assert only(every="1h").catch_up == "last"
    assert only(every="1h", misfire_grace="0s").grace_us == 0


def test_a_layer_has_an_event_of_its_own():
    schedule = schedules_of({"x": Table(every="1d", layer="dream")})["x"]
    assert (schedule.event, schedule.data, schedule.layer) == (
        "layer.due",
        {"layer": "dream"},
        "dream",
    )
    with pytest.raises(BadData, match=r"run by events of type layer\.due: leave event out"):
        only(every="1d", layer="dream", event="a.b")


def test_stagger_is_shared_evenly_by_those_that_are_due_together():
    tables = {
        name: Table(every=every, event="a.b", stagger=stagger)
        for name, every, stagger in (
            ("c", "1h", "1m"), ("a", "1h", "1m"), ("b", "1h", "1m"),
            ("d", "1h", "2m"), ("e", "2h", "1m"), ("f", "1h", None),
        )
    }  # fmt: skip
    offsets = {name: each.offset_us // SECOND_US for name, each in schedules_of(tables).items()}
    assert offsets == {"a": 0, "b": 20, "c": 40, "d": 0, "e": 0, "f": 0}


@pytest.mark.parametrize(
    "cron", ["hello", "* * *", "* * * * * * *", "every 5m", "61 * * * *", "", "5"]
)
def test_what_is_neither_cron_nor_a_calendar_event_is_told_what_both_are_like(cron):
    wrong(r"^schedule\.x: cron = .*\*/5 \* \* \* \*.*Mon\.\.Fri 09:00", cron=cron)


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("one of cron, every, at, after, silence, moment says when", {}),
        ("cron and every", {"cron": "@daily", "every": "1h"}),
        ("Bad day-of-month", {"cron": "0 0 31 2 *"}),
        ("never comes about", {"cron": "*-02-30"}),
        ("longer than 256", {"cron": "1," * 5000 + "2 * * * *"}),
        ("longer than 256", {"cron": "*-*-" + "1," * 5000 + "2"}),
        (r"timezone = '../../x' is not known", {"cron": "@daily", "timezone": "../../x"}),
        (r"timezone = '' is not known", {"cron": "@daily", "timezone": ""}),
        (r"timezone = '' is not known", {"cron": "daily", "timezone": ""}),
        ("timezone = 'Mars/Base' is not known", {"cron": "daily Mars/Base"}),
        ("one will do", {"cron": "daily UTC", "timezone": "UTC"}),
        ("timezone is for cron, not for every", {"every": "1h", "timezone": "UTC"}),
        ("every = '0s' is shorter than 10ms", {"every": "0s"}),
        ("every = '9ms' is shorter than 10ms", {"every": "9ms"}),
        ("every = '0.000000001s' is shorter", {"every": "0.000000001s"}),
        ("every = duration '-5s' is not like", {"every": "-5s"}),
        ("every = duration '1e12s' is not like", {"every": "1e12s"}),
        ("every = duration '5' is not like", {"every": "5"}),
        ("every = duration '' is not like", {"every": ""}),
        ("every = '999999999d' is longer than a hundred years", {"every": "999999999d"}),
        ("jitter = duration 'soon'", {"every": "1h", "jitter": "soon"}),
        ("misfire_grace = duration '-1s'", {"every": "1h", "misfire_grace": "-1s"}),
        ("stagger = duration 'x'", {"every": "1h", "stagger": "x"}),
        ("at is empty", {"at": []}),
        ("at = .*2026-12-24.* is no time", {"at": date(2026, 12, 24)}),
        ("at = .* is no time", {"at": [7]}),
        ("at = .* is no time", {"at": [["x" * 10_000]]}),
        ("time '24 December' is not like", {"at": "24 December"}),
        ("not in the years 1970 to 9000", {"at": "9999-12-31T23:59:59Z"}),
        ("not in the years 1970 to 9000", {"every": "1h", "expires": "1969-01-01T00:00:00Z"}),
        ("time '12026-.*' is not like", {"at": "12026-01-01T00:00:00Z"}),
        ("of says which events", {"after": 5}),
        ("of says which events", {"every": "1h", "of": "a.b"}),
        ("of = 'A B' is no type and no pattern", {"after": 5, "of": "A B"}),
        ("of = '.*' is no type", {"silence": "1h", "of": "no handler"}),
        ("moment = 'a b' is no key", {"moment": "a b", "of": "a.b"}),
        ("of = 'on-a-b.sh' is no type", {"moment": "due", "of": "on-a-b.sh"}),
        ("silence is zero", {"silence": "0s", "of": "a.b"}),
        ("type 'nodot' is not like", {"every": "1h", "event": "nodot"}),
        ("event is missing", {"every": "1h", "event": ""}),
        ("priority", {"every": "1h", "priority": "urgent"}),
        ("adaptive is for schedules with `every`", {"cron": "@daily", "adaptive": True}),
        ("layer = '../x' is no name of a layer", {"every": "1h", "layer": "../x"}),
        ("data.late_ms is what a tick says by itself", {"every": "1h", "data": {"late_ms": 1}}),
        (r"data: .*write the time as a text", {"every": "1h", "data": {"day": date(2026, 1, 1)}}),
        ("data takes .* bytes, at most", {"every": "1h", "data": {"x": "y" * 70_000}}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_with_table_and_key(match, said):
    began_s = time.process_time()
    with pytest.raises(BadData, match=match) as caught:
        only(**said)
    text = str(caught.value)
    assert text.startswith("schedule.x: ")
    assert len(text) < 600
    assert "\n" not in text
    # Nothing that a file may say takes it long, whatever the machine is.
    assert time.process_time() - began_s < 2.0


@pytest.mark.parametrize("name", ["", "X", "a b", "../x", "a" * 65, "-a", "a.b", "a\n"])
def test_a_name_is_fit_for_a_file_and_a_subject(name):
    with pytest.raises(BadData, match="the name is made of"):
        schedules_of({name: Table(every="1h", event="a.b")})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            '[schedule.x]\nevery = "1h"\nevent = "a.b"\ncatchup = "all"',
            r"`catchup` - at `\$\.schedule\.x`",
        ),
        ('[schedule.x]\nevery = 5\nevent = "a.b"', "every"),
        (
            '[schedule.x]\nevery = "1h"\nevent = "a.b"\ncatch_up = "some"',
            r"\$\.schedule\.x\.catch_up",
        ),
        ('[adaptive.on."a.b"]\nsped = 1', r"`sped` - at `\$\.adaptive\.on\.a\.b`"),
        ('[schedule.x]\nafter = 0\nof = "a.b"\nevent = "a.b"', "after"),
        ('[schedule.x]\nevery = "1h"\nevery = "2h"\nevent = "a.b"', "every|[Oo]verwrite|line"),
        ('[schedule.x\nevery = "1h"', "schedules.toml"),
        ('[schedules.x]\nevery = "1h"', "schedules"),
        (
            '[schedule.x]\ncron = "61 * * * *"\nevent = "a.b"',
            r"schedule\.x: cron = '61 \* \* \* \*'",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_key(home, text, match):
    path = home.config / "schedules.toml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=match) as caught:
        load_timetable(home)
    assert str(path) in str(caught.value)


def counting(**of):
    return {name: Table(after=1, of=each, event=f"{name}.due") for name, each in of.items()}


@pytest.mark.parametrize(
    "of", [{"a": "*"}, {"a": "a.*"}, {"a": "*.due"}, {"a": "b.due", "b": "c.due", "c": "a.due"}]
)
def test_ticks_that_count_for_themselves_are_refused(of):
    with pytest.raises(BadData, match=r"schedule\.a: of = .* takes in what it appends itself"):
        schedules_of(counting(**of))


@pytest.mark.parametrize(("count", "refused"), [(1, True), (2, True), (3, False)])
def test_ticks_that_are_worth_less_than_another_one_may_count(count, refused):
    # Each tick counts for both.
    tables = {name: Table(after=count, of="*", event=f"{name}.due") for name in "ab"}
    with pytest.raises(BadData) if refused else nullcontext():
        schedules_of(tables)


def test_ticks_may_count_for_others():
    tables = counting(a="x.y", b="a.due", c="b.due") | {
        "d": Table(silence="1h", of="d.*", event="d.missing"),
        "e": Table(every="1h", event="x.y"),
    }
    assert set(schedules_of(tables)) == set("abcde")
