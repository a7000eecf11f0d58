"""The scheduler: what it appends, and what becomes of it when something is in the way."""

import errno
import os
import shutil
import signal
import threading

import pytest

from hookline.model.errors import TryAgain, WriteFailed
from hookline.schedule import kernel, memory
from hookline.schedule.recurrence import SECOND_US
from hookline.schedule.scheduler import AGAIN_S, SAVE_S
from testing.unit.schedule.desk import MINUTELY

ALL = MINUTELY + 'catch_up = "all"\n'
SECONDLY = '[schedule.m]\nevery = "1s"\nevent = "m.due"\ncatch_up = "all"\n'


class Disk:
    """Takes no more lines, or only those of some domains, while it is full."""

    def __init__(self, monkeypatch, desk):
        self.is_full, self.tried = False, []
        append = desk.scheduler._log.append_fields

        def refuse(fields, **more):
            self.tried.append(fields["id"])
            if self.is_full:
                raise WriteFailed("m-events.jsonl: No space left on device")
            return append(fields, **more)

        monkeypatch.setattr(desk.scheduler._log, "append_fields", refuse)


# -- when it is due -------------------------------------------------------------------------


def test_each_tick_comes_at_its_time_and_once(desk):
    desk = desk()
    assert desk.at(59.99).ticks() == []
    assert desk.at(60).ticks() == [60]
    assert desk.at(60.1).ticks() == [60]
    assert desk.at(119).at(120).at(121).ticks() == [60, 120]
    assert [name for name, *_ in desk.ear.told] == ["m", "m"]
    assert desk.ear.notes == []


def test_it_rests_until_something_is_due_and_nothing_but_the_look_at_the_logs_wakes_it(desk):
    desk = desk('[schedule.m]\nevery = "1d"\nevent = "m.due"\n')
    assert desk.turn() == 5.0
    desk = desk.at(24 * 3600 - 61 - 3600 * (desk.begin_us // SECOND_US // 3600 % 24))
    assert desk.turn() == 5.0


def test_the_pause_ends_when_something_is_due(desk):
    desk = desk()
    desk.at(58)
    assert desk.turn() == pytest.approx(2.0)
    assert desk.scheduler._due_us == desk.begin_us + 60 * SECOND_US


def test_who_hears_of_its_own_ticks_decides_nothing_anew(desk, monkeypatch):
    """With a thousand schedules that is most of what a turn costs."""
    desk = desk()
    desk.at(60)
    decided = []
    due = kernel.due
    monkeypatch.setattr(
        kernel, "due", lambda *args, **more: decided.append(1) or due(*args, **more)
    )
    desk.at(60.1).emit("x.y").at(61).at(119)
    assert decided == []
    desk.at(120)
    assert (len(decided), desk.ticks()) == (1, [60, 120])
    desk.tell(memory.PAUSED, schedule="m").at(121)
    assert len(decided) == 2
    desk.clock.set_back(30)
    desk.turn()
    assert len(decided) == 3


def test_an_adaptive_schedule_is_thought_over_every_second(desk):
    assert desk(MINUTELY + "adaptive = true\n").turn() == pytest.approx(1.0)


def test_a_long_time_is_caught_up_with_in_turns_that_follow_at_once(desk):
    desk = desk(SECONDLY)
    desk.at(2500)
    turns = 1
    while desk.turn() == 0.0:
        turns += 1
    assert (turns, desk.ticks()) == (2, list(range(1, 2501)))


def test_a_clock_that_is_set_back_begins_again_with_other_ids(desk):
    desk = desk()
    desk.at(60).at(120)
    desk.clock.set_back(110)
    desk.turn()
    desk.at(60)
    assert desk.ticks() == [60, 120, 60]
    assert len({event.id for event in desk.events("m.*")}) == 3


# -- what it remembers ----------------------------------------------------------------------


def test_what_was_appended_before_a_kill_is_found_in_the_log(desk):
    desk = desk(ALL)
    desk.at(60).kill().open()
    assert desk.ticks() == [60]
    desk.kill().clock.advance(125)
    assert desk.open().ticks() == [60, 120, 180]


def test_without_its_state_the_logs_tell_how_far_it_was(desk, home):
    desk = desk(ALL)
    desk.at(60).at(120).kill()
    (home.state / memory.FILE).unlink()
    desk.clock.advance(65)
    assert desk.open().ticks() == [60, 120, 180]


def test_a_state_folder_that_is_deleted_while_it_runs_is_made_again(desk, home):
    desk = desk(ALL)
    shutil.rmtree(home.state)
    desk.at(60).at(60 + SAVE_S)
    assert (home.state / memory.FILE).exists()
    assert desk.ear.notes == []
    assert desk.kill().open().ticks() == [60]


def test_it_saves_once_something_has_changed_and_not_more(desk, home):
    desk = desk()
    first = (home.state / memory.FILE).stat().st_ino
    desk.at(1).at(30).at(59)
    assert (home.state / memory.FILE).stat().st_ino == first
    desk.at(60)
    assert (home.state / memory.FILE).stat().st_ino == first
    desk.at(60 + SAVE_S)
    saved = (home.state / memory.FILE).stat().st_ino
    assert saved != first
    desk.at(100)
    assert (home.state / memory.FILE).stat().st_ino == saved


def test_nothing_is_saved_before_the_ticks_that_say_it_are_on_disk(desk, home, monkeypatch):
    """Also those of this turn, in a log that nobody has read yet."""
    desk = desk()
    synced = []
    real = os.fdatasync

    def fdatasync(fd):
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(memory, "save", lambda *_: synced.append("saved"))
    desk.clock.advance(60)
    desk.scheduler._save_at_s = 0.0
    desk.turn()
    assert desk.ticks() == [60]
    logs = {os.fspath(home.live("schedule")), os.fspath(home.live("m"))}
    assert (set(synced[:-1]), synced[-1]) == (logs, "saved")


def test_another_recurrence_outlives_a_kill_at_once(desk):
    """Else what came due after the kill would count as the old one's."""
    desk = desk(SECONDLY)
    desk.at(1).configure(SECONDLY.replace("1s", "2s"))
    desk.at(4).kill().clock.advance(4)
    assert desk.open().ticks() == [1, 2, 4, 6, 8]


def test_so_does_one_that_was_written_while_nobody_ran(desk):
    desk = desk(SECONDLY)
    desk.at(1).close().write(SECONDLY.replace("1s", "2s"))
    desk.open().at(2).at(4).kill().clock.advance(4)
    assert desk.open().ticks() == [1, 2, 4, 6, 8]


# -- what others do --------------------------------------------------------------------------


def test_a_new_configuration_is_taken_up_once_nobody_writes_it_any_more(desk):
    desk = desk()
    desk.write("").turn()
    desk.write(SECONDLY).turn()
    assert str(desk.scheduler._timetable.schedules["m"].when) == "every 1m"
    desk.configure(SECONDLY)
    assert str(desk.scheduler._timetable.schedules["m"].when) == "every 1s"
    assert [event.type for event in desk.events("config.*")] == ["config.reloaded"]


def test_a_configuration_that_says_the_same_is_no_news(desk, home):
    desk = desk(MINUTELY + "adaptive = true\n")
    desk.configure("# the same\n" + MINUTELY + "adaptive = true\n")
    (home.config / "hookline.toml").write_text("")
    desk.at(5).at(10)
    assert desk.events("config.*") == []


def test_a_wrong_configuration_is_said_once_and_the_one_before_goes_on(desk):
    desk = desk()
    desk.configure('[schedule.m]\nevery = "soon"\nevent = "m.due"\n')
    desk.at(5).at(10)
    assert len(desk.ear.notes) == 1
    assert "schedule.m: every" in desk.ear.notes[0]
    assert "what was configured before stays" in desk.ear.notes[0]
    (told,) = desk.events("config.*")
    assert told.type == "config.rejected"
    assert desk.at(60).ticks() == [60]
    desk.configure(SECONDLY)
    assert desk.events("config.*")[-1].type == "config.reloaded"


def test_a_configuration_replaced_by_a_rename_is_taken_up(desk, home):
    desk = desk()
    (home.config / "new").write_text(SECONDLY)
    (home.config / "new").rename(home.config / "schedules.toml")
    desk.turn()
    desk.at(1).at(2)
    assert desk.ticks() == [2]


def test_a_configuration_that_is_away_for_a_moment_stays_and_an_empty_one_is_one(desk, home):
    desk = desk(SECONDLY)
    desk.tell("schedule.paused", schedule="m").at(1)
    (home.config / "schedules.toml").unlink()
    desk.turn()
    assert desk.at(2).at(5).memory().paused
    assert ["is gone" in note for note in desk.ear.notes] == [True]
    assert [event.type for event in desk.events("config.*")] == ["config.rejected"]
    desk.configure(SECONDLY)
    assert desk.at(10).memory().paused
    desk.configure("")
    assert desk.scheduler.state == {}


def test_with_no_configuration_from_the_beginning_nothing_is_due(desk, home):
    desk = desk("")
    (home.config / "schedules.toml").unlink()
    assert desk.close().open().at(5).scheduler.state == {}


def test_a_table_that_is_removed_while_it_is_due_is_forgotten(desk):
    desk = desk()
    desk.write("").turn()
    desk.at(60)
    assert (desk.ticks(), desk.scheduler.state) == ([], {})


def test_a_table_that_comes_back_begins_anew(desk):
    desk = desk(ALL)
    desk.at(60).configure("")
    desk.at(200).configure(ALL)
    assert desk.at(240).ticks() == [60, 240]


def test_another_recurrence_counts_from_when_it_is_there(desk):
    desk = desk(ALL)
    desk.at(60).configure(ALL.replace("1m", "7s"))
    assert desk.ticks() == [60]
    second = 7 - desk.begin_us // SECOND_US % 7
    assert desk.at(70).ticks()[1] == min(n for n in range(second, 80, 7) if n > 60.2)


def test_a_pause_lasts_over_a_restart_and_what_came_due_is_not_made_up_for(desk):
    desk = desk(ALL)
    desk.tell(memory.PAUSED, schedule="m", reason="it hurts").at(60)
    assert desk.memory().pause_reason == "it hurts"
    assert desk.kill().open().at(120).ticks() == []
    desk.tell(memory.RESUMED, schedule="m").at(179)
    assert desk.ticks() == []
    assert desk.at(180).ticks() == [180]
    assert desk.memory().pause_reason == ""


def test_what_is_paused_before_any_scheduler_has_seen_it_is_paused(desk):
    desk = desk()
    desk.close()
    desk.write(MINUTELY + '[schedule.n]\nevery = "1m"\nevent = "n.due"\n')
    desk.tell(memory.PAUSED, schedule="n").open()
    assert desk.at(60).ticks("n") == []
    assert desk.ticks("m") == [60]


def test_maintenance_puts_off_and_one_tick_makes_up_for_it(desk, home):
    desk = desk()
    home.maintenance.touch()
    assert desk.at(60).at(130).ticks() == []
    assert desk.turn() == 5.0
    desk.kill().open()
    home.maintenance.unlink()
    desk.turn()
    (proof,) = desk.proofs()
    assert (desk.ticks(), proof.reason, proof.coalesced) == ([120], "maintenance is over", 1)


def test_what_waits_is_looked_at_when_something_changes_beside_it(desk, home):
    desk = desk()
    home.maintenance.touch()
    desk.at(60)
    desk.scheduler._wait(0.0)
    assert desk.scheduler._changes is not None
    home.maintenance.unlink()
    assert desk.scheduler._changes.wait(0)
    desk.turn()
    desk.scheduler._wait(0.0)
    assert desk.scheduler._changes is None


def test_a_log_that_is_replaced_is_said_and_nobody_is_busy_with_what_was_in_it(desk, home):
    desk = desk(MINUTELY + 'overlap = "queue"\n')
    desk.at(60).at(61)
    assert desk.scheduler._recollection.last["m"]
    home.live("m").unlink()
    desk.emit("m.other").at(70)
    assert desk.scheduler._recollection.last == {}
    assert "removed or replaced" in desk.ear.notes[0]
    assert desk.at(120).ticks() == [120]


def test_a_log_that_is_rotated_goes_on(desk, home):
    desk = desk(ALL)
    desk.at(60)
    home.live("m").rename(home.segments / "m-events.00000001.jsonl")
    desk.at(120).kill()
    (home.state / memory.FILE).unlink()
    assert desk.open().at(180).ticks() == [60, 120, 180]


# -- what is in the way ----------------------------------------------------------------------


def test_what_cannot_be_appended_stays_due_with_the_same_id_and_is_said_once(desk, monkeypatch):
    desk = desk()
    disk = Disk(monkeypatch, desk)
    disk.is_full = True
    desk.at(60)
    assert desk.turn() == pytest.approx(AGAIN_S)
    desk.at(60.5).at(61).at(62)
    assert len(disk.tried) == 3
    (said,) = desk.ear.notes
    assert said.startswith("what is due cannot be appended, and is tried again: m-events.jsonl: No")
    assert desk.scheduler.troubled
    disk.is_full = False
    desk.at(63)
    (event,) = desk.events("m.*")
    assert set(disk.tried) == {event.id}
    disk.is_full = True
    desk.at(120)
    assert len(desk.ear.notes) == 2


def test_no_alarm_goes_off_for_what_cannot_be_appended_now(desk, monkeypatch):
    """It would at once, and again and again."""
    desk = desk()
    alarms = []
    monkeypatch.setattr(desk.scheduler._alarm, "set", alarms.append)
    disk = Disk(monkeypatch, desk)
    disk.is_full = True
    desk.at(60).scheduler._wait(0.0)
    disk.is_full = False
    desk.at(61).scheduler._wait(0.0)
    assert alarms == [None, desk.begin_us + 120 * SECOND_US]


def test_of_a_row_of_ticks_those_behind_one_that_failed_wait(desk, monkeypatch):
    desk = desk(ALL + ALL.replace("m]", "n]").replace("m.due", "n.due"))
    desk.clock.advance(300)
    append, tried = desk.scheduler._log.append_fields, []

    def fail_once(fields, **more):
        tried.append(fields["subject"])
        if tried.count("m") == 3 and fields["subject"] == "m":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return append(fields, **more)

    monkeypatch.setattr(desk.scheduler._log, "append_fields", fail_once)
    desk.turn()
    assert desk.ticks("m") == [60, 120]
    assert desk.ticks("n") == [60, 120, 180, 240, 300]
    desk.kill().open()
    assert desk.ticks("m") == [60, 120, 180, 240, 300]


def test_what_cannot_be_saved_is_said_once_and_tried_again(desk, monkeypatch):
    desk = desk()
    real, full = memory.save, [True]

    def save(*args):
        if full[0]:
            raise WriteFailed("No space left on device")
        real(*args)

    monkeypatch.setattr(memory, "save", save)
    for at in (60, 70, 80, 90):
        desk.at(at)
    assert desk.ear.notes == [
        "what is remembered cannot be saved, and is tried again: No space left on device"
    ]
    full[0] = False
    desk.at(110)
    assert memory.load(desk.home).schedules["m"].since_us == desk.begin_us + 60 * SECOND_US


def test_a_second_scheduler_is_told_to_try_again(desk):
    desk = desk()
    with pytest.raises(TryAgain, match="a scheduler runs already"):
        desk.open()


def test_to_be_stopped_ends_a_long_catch_up_within_a_turn(desk):
    desk = desk(SECONDLY)
    desk.clock.advance(250_000)
    ticked = desk.ear.ticked

    def stop_soon(*args):
        ticked(*args)
        if len(desk.ear.told) == 10:
            desk.scheduler.stop()

    desk.ear.ticked = stop_soon
    desk.scheduler.run()
    desk.close()
    assert desk.ticks() == list(range(1, 11))
    desk.ear.ticked = ticked
    desk.open()
    assert desk.ticks()[:1010] == list(range(1, 1011))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_while_it_waits(desk, number):
    desk = desk()
    with desk.scheduler.signals():
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        desk.scheduler.run()
    assert desk.scheduler._stopping


def test_long_reading_at_the_start_is_said(desk, monkeypatch):
    desk = desk(ALL + '[schedule.n]\nafter = 100000\nof = "x.*"\nevent = "n.due"\n')
    desk.emit("x.y").kill()
    monkeypatch.setattr("hookline.schedule.scheduler.LONG_S", -1.0)
    desk.open()
    assert desk.ear.notes == [
        "the logs are read from where the last scheduler was, which takes a while"
    ]


def test_everything_is_given_back(desk):
    desk = desk()
    desk.home.maintenance.touch()
    desk.at(60)
    desk.scheduler._wait(0.0)
    desk.close()
    before = os.listdir("/proc/self/fd")
    desk.open()
    desk.scheduler._wait(0.0)
    desk.close()
    assert os.listdir("/proc/self/fd") == before
    desk.open()


def test_every_minute_for_an_hour_by_cron_alone_is_exact(desk):
    """A scheduler that is started anew each minute, as cron does it."""
    tables = "".join(
        f'[schedule.{name}]\nevery = "{every}"\nevent = "{name}.due"\ncatch_up = "{catch_up}"\n'
        for name, every, catch_up in [
            ("all", "10s", "all"), ("last", "10s", "last"), ("none", "10s", "none"),
            ("rare", "5m", "last"),
        ]
    )  # fmt: skip
    desk = desk(tables)
    for minute in range(60):
        desk.close()
        desk.clock.advance(minute * 60 + 61 - desk.now_s)
        desk.open()
    assert desk.ticks("all") == list(range(10, 3601, 10))
    assert desk.ticks("last") == list(range(60, 3601, 60))
    assert sum(proof.coalesced for proof in desk.proofs("last")) == 300
    assert desk.ticks("none") == list(range(60, 3601, 60))
    assert sum(proof.missed for proof in desk.proofs("none")) == 300
    assert desk.ticks("rare") == list(range(300, 3601, 300))


def test_of_no_more_ticks_is_it_kept_where_they_lie_than_it_is_looked_at(desk):
    overlap = MINUTELY + 'overlap = "skip"\n'
    adaptive = overlap.replace("m]", "n]").replace("m.due", "n.due") + "adaptive = true\n"
    slow = "[adaptive.load]\nslow_at = 1000\nnormal_at = 999\n[adaptive.backlog]\nstop_at = 5\n"
    desk = desk(slow + overlap + adaptive + ALL.replace("m]", "o]"))
    for minute in range(1, 9):
        desk.at(minute * 60)
    desk.turn()
    last = desk.scheduler._recollection.last
    assert {name: len(places) for name, places in last.items()} == {"m": 1, "n": 5}
