"""What a scheduler remembers, whatever its file and the logs say."""

import json

import pytest

from hookline.app.schedules import load_timetable
from hookline.model.clock import rfc3339
from hookline.model.errors import HooklineError
from hookline.schedule import kernel, memory
from hookline.schedule.recurrence import SECOND_US, utc_time
from hookline.schedule.tick import SOURCE
from testing.unit.schedule.desk import MINUTELY

AFTER = '[schedule.m]\nafter = 3\nof = "x.*"\nevent = "m.due"\n'
SILENCE = '[schedule.m]\nsilence = "1m"\nof = "x.y"\nevent = "m.due"\n'
CRON = '[schedule.m]\ncron = "* * * * *"\nevent = "m.due"\n'
CENTURY_S = 100 * 365 * 86400


def at(desk):
    moment = rfc3339(utc_time(desk.begin_us + 90 * SECOND_US))
    return f'[schedule.m]\nat = "{moment}"\nevent = "m.due"\n'


of_all_kinds = pytest.mark.parametrize(
    "tables", [MINUTELY, CRON, at, AFTER, SILENCE],
    ids=["every", "cron", "at", "after", "silence"],
)  # fmt: skip


def saved(home):
    return json.loads((home.state / memory.FILE).read_bytes())


def put(home, text):
    (home.state / memory.FILE).write_text(text if isinstance(text, str) else json.dumps(text))


def forged(desk, seconds, *, type="m.due", era=0, **more):
    """A tick that no scheduler has made, with an id as theirs."""
    nominal_us = desk.begin_us + seconds * SECOND_US
    data = {
        "schedule": "m", "nominal": rfc3339(utc_time(nominal_us)),
        "fired": rfc3339(utc_time(nominal_us)), "late_ms": 0.0, "factor": 1.0, "reason": "time",
        "coalesced": 0, "missed": 0, "era": era,
    }  # fmt: skip
    said = {"id": kernel.tick_id("m", nominal_us, era), "source": SOURCE, **more}
    return desk.emit(type, data, **said)


# -- the file ---------------------------------------------------------------------------------


def test_it_is_one_line_and_says_how_far_it_is(desk, home):
    desk = desk()
    desk.at(60).close()
    text = (home.state / memory.FILE).read_text()
    assert text.count("\n") == 1
    known = memory.load(home)
    assert known.schedules["m"].since_us == desk.begin_us + 60 * SECOND_US
    assert set(known.positions) == {"m", "schedule"}
    assert (home.state / memory.FILE).stat().st_mode & 0o777 == 0o640


def test_there_may_be_none(home):
    assert memory.load(home) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda said: json.dumps(said)[:-30],
        lambda _: "",
        lambda _: "null",
        lambda _: "[" * 100_000,
        lambda _: "\udcff",
        lambda said: said | {"version": 2},
        lambda said: said | {"more": 1},
        lambda said: said | {"positions": {"m": [1, -5]}},
        lambda said: said | {"positions": {"m": [0, 0]}},
        lambda said: said | {"positions": {"m": [1 << 70, 0]}},
        lambda said: said | {"journal": [-1, 0]},
        lambda said: said | {"schedules": {"m": {"when": "every 1m", "since_us": 1 << 70}}},
        lambda said: said | {"schedules": {"m": {"when": "every 1m", "since_us": "x"}}},
    ],
    ids=range(13),
)
def test_one_that_cannot_be_read_is_as_if_there_were_none(desk, home, change):
    desk = desk(MINUTELY + 'catch_up = "all"\n')
    desk.at(60).kill()
    text = change(saved(home))
    if isinstance(text, str):
        (home.state / memory.FILE).write_bytes(text.encode(errors="surrogateescape"))
    else:
        put(home, text)
    assert memory.load(home) is None
    assert desk.open().at(120).ticks() == [60, 120]


@pytest.mark.parametrize(
    "said",
    [
        {"since_us": 1 << 62},
        {"since_us": -(1 << 62)},
        {"since_us": (1 << 63) - 1, "nominal_us": (1 << 63) - 1, "fires_us": (1 << 63) - 1},
        {"speed": -1.0},
        {"speed": 1e300},
        {"speed": 0.0},
        {"era": (1 << 63) - 1},
        {"seen": -5},
        {"missed": (1 << 63) - 1},
    ],
    ids=str,
)
@of_all_kinds
def test_whatever_stands_in_it_nothing_breaks_and_time_goes_on(desk, home, said, tables):
    desk = desk()
    tables = tables(desk) if callable(tables) else tables
    desk.configure(tables)
    desk.close()
    text = saved(home)
    text["schedules"]["m"] |= said
    put(home, text)
    desk.open()
    for seconds in range(30, 331, 30):
        desk.emit("x.z").at(seconds)
    assert [n for n in desk.ticks() if 0 < n <= 330]
    assert memory.look(home, load_timetable(home), desk.begin_us + 340 * SECOND_US)
    desk.close()
    assert memory.load(home) is not None
    desk.open()


def test_it_is_not_written_where_it_cannot_be(desk, home):
    desk = desk()
    home.state.rename(home.coordination / "away")
    home.state.touch()
    with pytest.raises((HooklineError, OSError)):
        memory.save(home, desk.scheduler._saved())
    home.state.unlink()


# -- where to read on --------------------------------------------------------------------------


def test_only_logs_that_mean_something_are_read(desk, home):
    desk(
        MINUTELY + AFTER.replace("schedule.m", "schedule.n").replace("m.due", "n.due")
        + '[adaptive.on."affect.bad"]\nspeed = 0.5\nuntil = ["mood.good"]\n'
    )  # fmt: skip
    assert memory.domains_of(load_timetable(home)) == {
        "schedule", "m", "n", "x", "affect", "mood",
    }  # fmt: skip
    desk_of_all = MINUTELY + AFTER.replace("schedule.m", "schedule.n").replace("x.*", "*.failed")
    (home.config / "schedules.toml").write_text(desk_of_all)
    assert memory.domains_of(load_timetable(home)) is None


def test_with_nothing_saved_all_is_read_and_else_what_came_since(desk, home):
    desk = desk()
    timetable = load_timetable(home)
    assert memory.start(home, None, timetable) == {"schedule": (1, 0), "m": (1, 0)}
    desk.at(60).close()
    known = memory.load(home)
    assert memory.start(home, known, timetable) == known.positions
    assert known.positions["m"].offset == home.live("m").stat().st_size
    assert known.positions["schedule"].offset == home.live("schedule").stat().st_size


def test_a_log_that_nobody_has_followed_yet_counts_from_now_on(desk):
    desk = desk()
    for _ in range(10):
        desk.emit("x.y")
    desk.configure(AFTER)
    assert desk.at(10).ticks() == []
    for _ in range(3):
        desk.emit("x.y")
    assert desk.at(20).ticks() == [10]


def test_a_log_that_comes_up_later_counts_from_its_beginning(desk):
    desk = desk(AFTER)
    for _ in range(3):
        desk.emit("x.y")
    desk.close().clock.advance(1)
    assert len(desk.open().ticks()) == 1


def test_who_only_looks_sees_what_was_not_saved(desk, home):
    desk = desk(MINUTELY + 'catch_up = "all"\n')
    desk.at(60).at(120).tell(memory.PAUSED, schedule="m", reason="so")
    now_us = desk.begin_us + 121 * SECOND_US
    known = memory.look(home, load_timetable(home), now_us)["m"]
    assert (known.since_us, known.paused) == (desk.begin_us + 120 * SECOND_US, True)
    assert known.pause_reason == "so"
    desk.kill()
    assert memory.look(home, load_timetable(home), now_us)["m"] == known


# -- what others write ------------------------------------------------------------------------


def proof(**said):
    """What a tick of `m` says, but for what is said of it here."""
    right = {
        "schedule": "m", "nominal": "2026-11-21T00:00:00Z", "fired": "2026-11-21T00:00:00Z",
        "late_ms": 0, "factor": 1, "reason": "time", "coalesced": 0, "missed": 0,
    }  # fmt: skip
    return right | said


HOSTILE = [
    None, [], "x", 1e300, {}, {"schedule": None}, {"schedule": ["m"]}, {"schedule": "m"},
    {"schedule": "none"}, proof(nominal="x"), proof(nominal="2026-99-99T00:00:00Z"),
    proof(nominal="0001-01-01T00:00:00Z"), proof(nominal="9999-12-31T23:59:59.999999Z"),
    proof(nominal="9999-12-31T23:59:59Z", era=1 << 70), proof(era=-1), proof(coalesced=1 << 70),
    proof(fired="soon"), proof(schedule="n"), proof(reason=5),
    {"schedule": "m", "to": 1e308, "cause": "x", "reason": "x"},
    {"schedule": "m", "to": -1, "cause": "x", "reason": "x"},
    {"schedule": "m", "to": 1, "cause": ["x"], "reason": 7},
]  # fmt: skip


def test_whatever_others_write_under_its_name_it_goes_on(desk, home):
    desk = desk(MINUTELY + 'catch_up = "all"\n')
    desk.at(60)
    for type in ("m.due", "m.other", "schedule.resumed", "schedule.adapted", "config.reloaded"):
        for data in HOSTILE:
            desk.emit(type, data, source=SOURCE)
    with home.live("schedule").open("ab") as log:
        log.write(b"\0\xff{]\n" + b"[" * 200_000 + b"\n" + b'{"specversion":"1.0","id":"x"}\n')
    for forget in (False, True):
        desk.at(120 + 120 * forget).kill()
        if forget:
            (home.state / memory.FILE).unlink()
        desk.open().at(180 + 120 * forget)
    assert [n for n in desk.ticks() if 0 < n < 1000] == [60, 120, 180, 240, 300]


@of_all_kinds
@pytest.mark.parametrize("era", [0, 7, 1 << 53])
def test_a_tick_of_the_far_future_stops_no_schedule(desk, tables, era):
    desk = desk()
    desk.configure(tables(desk) if callable(tables) else tables)
    forged(desk, CENTURY_S, era=era).at(10)
    forged(desk, CENTURY_S + 1, era=era, type="m.other").at(20)
    for _ in range(6):
        desk.emit("x.z")
    assert [n for n in desk.at(90).at(100).ticks() if n < 300]
    desk.kill().open()
    for _ in range(6):
        desk.emit("x.z")
    assert [n for n in desk.at(160).ticks() if n < 300]


def test_an_id_that_is_no_ticks_says_nothing(desk):
    desk = desk()
    forged(desk, 60, id="another").at(1)
    assert desk.at(60).ticks() == [60, 60]


def test_a_tick_of_another_schedules_type_says_nothing(desk):
    desk = desk(MINUTELY + CRON.replace("schedule.m", "schedule.n").replace("m.due", "m.other"))
    forged(desk, 60, type="m.other").at(60)
    assert desk.ticks("m") == [60, 60]


def test_a_clock_that_was_ahead_and_is_set_right_loses_no_time(desk):
    """What was appended then is of the future, and true: the times that come again are of a new
    era, whether the scheduler has seen the clock move or not."""
    desk = desk()
    desk.at(7200).kill()
    desk.clock.set_back(7200 - 30)
    desk.open()
    for seconds in range(60, 7261, 60):
        desk.at(seconds)
    assert desk.ticks() == [7200, *range(60, 7261, 60)]
    assert len({event.id for event in desk.events("m.*")}) == len(desk.ticks())


@pytest.mark.parametrize("tables", [AFTER, SILENCE], ids=["after", "silence"])
def test_events_of_the_far_future_count_as_of_now(desk, tables):
    desk = desk(tables)
    future = rfc3339(utc_time(desk.begin_us + CENTURY_S * SECOND_US))
    for _ in range(3):
        desk.emit("x.y", time=future)
    desk.at(1).at(2)
    assert desk.at(62).ticks() == ([1] if tables is AFTER else [61])
    assert desk.memory().era == 0


def test_to_be_resumed_in_the_future_is_to_be_resumed_now(desk):
    desk = desk()
    desk.tell(memory.PAUSED, schedule="m").at(1)
    future = rfc3339(utc_time(desk.begin_us + CENTURY_S * SECOND_US))
    desk.emit(memory.RESUMED, {"schedule": "m"}, source=SOURCE, time=future).at(2)
    assert desk.at(60).ticks() == [60]


def test_a_very_long_reason_is_cut(desk):
    desk = desk()
    desk.tell(memory.PAUSED, schedule="m", reason="x" * 100_000).at(1)
    assert len(desk.memory().pause_reason) == 200


def test_only_whoever_schedules_is_believed(desk):
    desk = desk()
    desk.emit(memory.PAUSED, {"schedule": "m"}, source="somebody")
    desk.emit("m.due", {"schedule": "m"}, source="somebody")
    assert desk.at(60).ticks() == [60]


def test_what_it_says_of_its_own_speed_is_remembered(desk):
    desk = desk(MINUTELY + "adaptive = true\n")
    desk.tell(memory.ADAPTED, schedule="m", to=0.5, cause="affect.bad", reason="so bad")
    recollection = memory.Recollection(None, load_timetable(desk.home))
    now_us = desk.begin_us + 5 * SECOND_US
    desk.kill()
    known = memory.look(desk.home, load_timetable(desk.home), now_us)["m"]
    assert (known.speed, known.speed_reason) == (0.5, "so bad")
    assert recollection.state == {}


def test_of_a_thousand_schedules_each_event_finds_those_that_count_it_at_once(desk, monkeypatch):
    tables = "".join(
        f'[schedule.s{n}]\nafter = 9\nof = "x.e{n}"\nevent = "m.due"\n' for n in range(1000)
    )
    desk = desk(tables)
    looked = []
    matches = memory.matches
    monkeypatch.setattr(memory, "matches", lambda *each: looked.append(each) or matches(*each))
    for _ in range(20):
        desk.emit("x.e5")
    desk.at(1)
    assert len(desk.ticks("s5")) == 1
    assert {of for of, type in looked if type == "x.e5"} == {f"x.e{n}" for n in range(1000)}
    assert len([type for _, type in looked if type == "x.e5"]) == 1000
