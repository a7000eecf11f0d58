"""What `after` counts and `silence` watches, whatever is lost, claimed or killed."""

from datetime import timedelta

import pytest

from hookline.app.schedules import trigger
from hookline.schedule.memory import FILE
from testing.faults.scheduled import Scheduled

TABLES = """
[schedule.reflection]
after = 3
of = "insight.*"
event = "reflection.due"

[schedule.backup_missing]
silence = "26h"
of = "backup.done"
event = "backup.missing"

[schedule.alarm]
moment = "due"
of = "alarm.set"
event = "alarm.due"
"""
HOUR_S = 3600
DAY_S = 86400


class World(Scheduled):
    def emit(self, type="insight.found", count=1, **more):
        return super().emit(type, count, **more)

    def ticks(self, type):
        """Why each came."""
        return [each["reason"] for each in self.data(type)]


@pytest.fixture
def world(home):
    return World(home, TABLES)


def test_a_tick_comes_after_so_many_events_and_again_after_as_many(world):
    for count in range(1, 8):
        world.after(1).emit().turn()
        assert len(world.ticks("reflection.due")) == count // 3


def test_many_events_at_once_make_one_tick(world):
    assert world.after(1).emit(count=10).turn().ticks("reflection.due") == ["count"]
    assert len(world.after(1).emit(count=2).turn().ticks("reflection.due")) == 1
    assert len(world.after(1).emit().turn().ticks("reflection.due")) == 2


def test_what_made_a_tick_is_not_counted_again_when_all_is_forgotten(world):
    # More than is read in one round, so that the tick is heard of before the last of them.
    world.after(1).emit(count=300, data={"pad": "x" * 30_000}).turn()
    world.forget()

    assert world.after(1).turn().ticks("reflection.due") == ["count"]
    assert world.after(1).emit(count=2).turn().ticks("reflection.due") == ["count"]
    assert len(world.after(1).emit().turn().ticks("reflection.due")) == 2


def test_what_made_a_tick_is_not_counted_again_when_it_was_killed_before_it_saved(world):
    saved = (world.home.state / FILE).read_bytes()
    world.after(1).emit(count=300, data={"pad": "x" * 30_000}).turn()
    (world.home.state / FILE).write_bytes(saved)

    assert world.after(1).turn().ticks("reflection.due") == ["count"]


def test_an_event_that_claims_to_be_of_the_future_holds_nothing_up(world):
    later = world.clock.now() + timedelta(days=30_000)
    world.after(1).emit(count=2).emit(time=later).turn()
    assert len(world.ticks("reflection.due")) == 1
    assert len(world.after(1).emit(count=3).turn().ticks("reflection.due")) == 2

    world.emit("backup.done", time=later).turn()
    assert world.after(26 * HOUR_S + 1).turn().ticks("backup.missing") == ["time"]


def test_a_tick_that_a_person_asked_for_begins_the_count_anew(world):
    world.emit(count=2)
    trigger(world.home, "reflection")
    assert world.after(1).turn().emit(count=2).turn().ticks("reflection.due") == ["manual"]
    assert world.after(1).emit().turn().ticks("reflection.due") == ["manual", "count"]


def set_alarm(world, in_s):
    due = (world.after(1).clock.now() + timedelta(seconds=in_s)).isoformat()
    return world.emit("alarm.set", data={"due": due})


def test_a_moment_that_an_event_names_is_kept_whatever_is_forgotten(world):
    set_alarm(world, 300).turn()
    world.forget()
    assert world.after(299).turn().ticks("alarm.due") == []
    assert world.after(1).turn().ticks("alarm.due") == ["time"]
    world.forget()
    assert world.after(DAY_S).turn().ticks("alarm.due") == ["time"]


def test_a_moment_that_was_named_while_the_scheduler_was_down_is_kept(world):
    set_alarm(world, 300)
    assert world.after(301).turn().ticks("alarm.due") == ["time"]


def test_what_names_no_moment_changes_nothing(world):
    set_alarm(world, 300)
    for due in ("tomorrow", 7, None, "9999-01-01T00:00:00Z", {"x": 1}):
        world.emit("alarm.set", data={"due": due}).turn()
    world.emit("alarm.set", data=[]).turn()
    assert world.after(301).turn().ticks("alarm.due") == ["time"]


def test_silence_is_told_once_for_each_span_of_it_and_not_after_a_success(world):
    assert world.after(26 * HOUR_S - 1).turn().ticks("backup.missing") == []
    assert len(world.after(2).turn().ticks("backup.missing")) == 1
    assert len(world.after(HOUR_S).turn().ticks("backup.missing")) == 1
    assert len(world.after(25 * HOUR_S).turn().ticks("backup.missing")) == 2
    assert len(world.after(HOUR_S).emit("backup.done").turn().ticks("backup.missing")) == 2
    assert len(world.after(26 * HOUR_S - 1).turn().ticks("backup.missing")) == 2
    assert len(world.after(2).turn().ticks("backup.missing")) == 3


def test_a_success_while_the_scheduler_was_down_is_no_silence(world):
    world.after(20 * HOUR_S).emit("backup.done")
    assert world.after(20 * HOUR_S).turn().ticks("backup.missing") == []
    assert len(world.after(6 * HOUR_S + 1).turn().ticks("backup.missing")) == 1
