"""The schedules of a home, and what is asked of them."""

from functools import partial

import pytest

from hookline.app.schedules import (
    KnownHandlers,
    load_schedules,
    load_timetable,
    overdue_layers,
    remembered,
    scheduler,
    set_paused,
    simulated,
    the_schedule,
    told,
    trigger,
)
from hookline.log.log import Log
from hookline.model.errors import BadConfig, BadData, TryAgain
from hookline.schedule.recurrence import HOUR_US
from hookline.schedule.tick import SOURCE, proof_of
from testing.unit.schedule.desk import MINUTELY, Ear

TWO = (
    MINUTELY
    + '[schedule.n]\nevery = "5s"\nevent = "m.other"\npriority = "high"\ndata = { a = 1 }\n'
)


@pytest.fixture
def write(home):
    return (home.config / "schedules.toml").write_text


def test_there_may_be_none(home):
    assert load_schedules(home) == {}
    assert remembered(home, load_timetable(home)) == {}
    assert told(home, {}, None) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[schedule.m]\nevery = "soon"\nevent = "a.b"\n', "schedule.m: every = "),
        ('[schedule.m]\nevery = "5s"\nevent = "a.b"\nevnt = 1\n', "evnt"),
        ('[schedule.m]\nevery = "5s"\n', "schedule.m: event is missing"),
        ("[schedule", "schedules.toml"),
        ("\udcff", "schedules.toml"),
        ("schedule = 5", "schedule"),
    ],
)
def test_one_that_is_wrong_is_named_with_its_file_and_key(home, text, wrong):
    (home.config / "schedules.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadConfig) as told:
        load_timetable(home)
    assert str(told.value).startswith(str(home.config / "schedules.toml"))
    assert wrong in str(told.value)


def test_one_that_is_not_there_is_told_with_those_that_are(home, write):
    write(TWO)
    assert the_schedule(home, "n").event == "m.other"
    with pytest.raises(BadData, match=r"no schedule 'x' in .*/schedules\.toml: m, n"):
        the_schedule(home, "x")


def test_a_tick_that_is_asked_for_says_so_and_is_another_each_time(home, write):
    write(TWO)
    first, second = trigger(home, "n"), trigger(home, "n")
    assert [event.id for event in Log(home).read("m.*")] == [first.id, second.id]
    assert first.id != second.id
    assert (first.source, first.type, first.priority, first.subject) == (
        SOURCE, "m.other", "high", "n",
    )  # fmt: skip
    proof = proof_of(first)
    assert proof.is_extra
    assert (proof.schedule, proof.nominal, proof.late_ms) == ("n", proof.fired, 0.0)
    assert first.value()["a"] == 1


def test_a_tick_that_is_asked_for_moves_no_nominal_time(home, write):
    write(MINUTELY)
    running = scheduler(home, Ear())
    running.turn()
    before = running.state["m"]
    trigger(home, "m")
    running.turn()
    assert running.state["m"] == before
    running.close()


def test_a_pause_is_an_event_and_needs_nobody_who_schedules(home, write):
    write(MINUTELY)
    event = set_paused(home, "m", paused=True, reason="it hurts")
    assert (event.type, event.value()) == (
        "schedule.paused",
        {"schedule": "m", "reason": "it hurts"},
    )
    assert remembered(home, load_timetable(home))["m"].pause_reason == "it hurts"
    event = set_paused(home, "m", paused=False)
    assert (event.type, event.value()) == ("schedule.resumed", {"schedule": "m"})
    assert not remembered(home, load_timetable(home))["m"].paused
    with pytest.raises(BadData):
        set_paused(home, "x", paused=True)


def test_one_scheduler_a_home(home, write):
    write(MINUTELY)
    running = scheduler(home, Ear())
    with pytest.raises(TryAgain, match="runs already"):
        scheduler(home, Ear())
    running.close()
    scheduler(home, Ear()).close()


def test_one_that_cannot_begin_leaves_its_place_to_the_next(home, write):
    write("[schedule")
    with pytest.raises(BadConfig):
        scheduler(home, Ear())
    write(MINUTELY)
    scheduler(home, Ear()).close()


def test_ticks_are_told_by_schedule_and_those_of_others_are_not(home, write):
    write(TWO)
    for name in ("m", "n", "n"):
        trigger(home, name)
    Log(home).append("m.due", source="somebody", data={"schedule": "m"})
    found = told(home, load_schedules(home), None)
    assert [(each.name, each.manual) for each in found] == [("m", 1), ("n", 2)]
    found = told(home, {"m": the_schedule(home, "m")}, None)
    assert [(each.name, each.manual) for each in found] == [("m", 1)]
    assert told(home, load_schedules(home), "2100-01-01T00:00:00.000000Z") == []


def test_in_virtual_time_nothing_adds_up(home, write):
    write(TWO)
    found = simulated(load_schedules(home), 10 * HOUR_US)
    assert [(each.name, each.ticks, each.drift_ms, each.off_grid) for each in found] == [
        ("m", 600, 0.0, 0), ("n", 7200, 0.0, 0),
    ]  # fmt: skip
    assert all(0 < each.p99_ms <= 20 for each in found)


def test_handlers_are_known_from_before_where_they_cannot_be_looked_at(home):
    path = home.handlers / "on-m-due.sh"
    path.write_text("#!/bin/bash\n")
    path.chmod(0o750)
    known = KnownHandlers(home)
    assert [handler.name for handler in known()] == ["on-m-due.sh"]
    home.handlers.rename(home.handlers.with_name("away"))
    home.handlers.write_text("")
    assert [handler.name for handler in known()] in (["on-m-due.sh"], [])


def test_a_layer_that_is_overdue_has_one_tick_however_often_a_scheduler_starts(home, write):
    write('[schedule.night]\ncron = "30 3 * * *"\nlayer = "dream"\n')
    for _ in range(3):
        running = scheduler(home, Ear())
        running.make_up(partial(overdue_layers, home))
        running.close()
    (event,) = Log(home).read("layer.due")
    proof = proof_of(event)
    assert (proof.reason, proof.is_extra) == ("overdue", True)
