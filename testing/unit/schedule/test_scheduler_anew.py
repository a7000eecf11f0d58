"""A scheduler that begins again, with less saved than it knew."""

import shutil

import pytest

from hookline.model.errors import BadConfig, WriteFailed
from testing.unit.schedule.desk import MINUTELY

ALL = MINUTELY + 'catch_up = "all"\n'
SECONDLY = '[schedule.m]\nevery = "1s"\nevent = "m.due"\ncatch_up = "all"\n'


def without_state(desk, now_s):
    """It is killed, all that it has saved is deleted, and it begins once more."""
    desk.kill()
    shutil.rmtree(desk.home.state)
    desk.home.state.mkdir()
    desk.clock.advance(now_s - desk.now_s)
    return desk.open()


def test_what_was_due_since_a_schedule_began_is_made_up_for(desk):
    desk = without_state(desk(ALL), 200)
    assert desk.ticks() == [60, 120, 180]


def test_what_was_counted_before_the_first_tick_counts(desk):
    desk = desk('[schedule.m]\nafter = 3\nof = "x.y"\nevent = "m.due"\n')
    desk.at(1).emit("x.y").emit("x.y").at(2)
    desk = without_state(desk, 3)
    assert desk.memory().seen == 2
    desk.emit("x.y").at(4)
    assert len(desk.ticks()) == 1


def test_a_silence_goes_on(desk):
    desk = desk('[schedule.m]\nsilence = "1m"\nof = "x.y"\nevent = "m.due"\n')
    assert without_state(desk.at(50), 61).ticks() == [60]


def test_a_schedule_that_was_away_is_not_paused_by_what_was_before(desk):
    desk = desk(SECONDLY)
    desk.tell("schedule.paused", schedule="m").at(1)
    desk.configure("").at(5).configure(SECONDLY).at(6)
    assert not desk.memory().paused
    assert not without_state(desk, 8).memory().paused


def test_another_recurrence_is_as_paused_as_the_one_before(desk):
    desk = desk(SECONDLY)
    desk.tell("schedule.paused", schedule="m").at(1)
    desk.configure(SECONDLY.replace("1s", "2s")).at(5)
    assert desk.memory().paused
    assert without_state(desk, 8).memory().paused
    desk.tell("schedule.resumed", schedule="m").at(9)
    assert desk.at(10).ticks() == [10]


def test_what_maintenance_has_put_off_outlives_a_kill_at_once(desk, home):
    desk = desk(MINUTELY + 'catch_up = "none"\n')
    home.maintenance.touch()
    desk.at(60)
    assert desk.ticks() == []
    desk.kill()
    home.maintenance.unlink()
    desk.clock.advance(200)
    assert desk.open().ticks() == [240]


def test_a_forged_beginning_makes_nothing_come_again(desk):
    desk = desk(ALL)
    desk.at(60).at(120)
    for since in ("1990-01-01T00:00:00Z", "never", "9990-01-01T00:00:00Z"):
        desk.tell("schedule.begun", schedule="m", when="every 1m", since=since)
    desk.tell("schedule.begun", schedule="m", when="every 2m", since="2026-01-01T00:00:00Z")
    desk.tell("schedule.begun", schedule=7)
    assert desk.at(180).ticks()[:2] == [60, 120]
    assert desk.at(240).ticks()[-1] == 240


def test_no_scheduler_begins_without_the_configuration_that_the_last_one_had(desk, home):
    """It would forget all pauses; cron may ask for it at that very moment."""
    desk = desk(SECONDLY)
    desk.tell("schedule.paused", schedule="m").at(1).close()
    (home.config / "schedules.toml").unlink()
    with pytest.raises(BadConfig, match="is gone: put it back, or an empty one"):
        desk.open()
    assert desk.write(SECONDLY).open().memory().paused
    desk.close().write("")
    assert desk.open().scheduler.state == {}


def test_since_when_a_schedule_is_there_is_said_as_soon_as_that_can_be(desk, monkeypatch):
    desk = desk("")
    append = desk.scheduler._log.append

    def refuse(*_, **__):
        raise WriteFailed("schedule-events.jsonl: No space left on device")

    monkeypatch.setattr(desk.scheduler._log, "append", refuse)
    desk.configure(SECONDLY).at(3)
    assert desk.events("schedule.begun") == []
    monkeypatch.setattr(desk.scheduler._log, "append", append)
    desk.at(4).at(5)
    (begun,) = desk.events("schedule.begun")
    assert begun.value()["schedule"] == "m"
