"""What is derived gets lost, comes from a backup, or is newer than the logs: nothing is passed over
for it, and what was done is not done again where any file still says so."""

import os
import shutil

import pytest

from hookline.log.rotate import rotate
from testing.faults.recovery import NOTING_PYTHON, Recovery


@pytest.fixture
def recovery(home):
    """A home that has lived: events of three kinds, delivered and given up."""
    recovery = Recovery(home)
    recovery.handler()
    recovery.emit("k", 5)
    recovery.emit("x", 1, exit=65)
    recovery.emit("b", 2, "b")
    recovery.once()
    assert recovery.problems() == []
    return recovery


def index(recovery):
    return recovery.home.state / "dispatch.db"


def go_on(recovery, known=None):
    """News arrive, and are delivered; how many runs there were of what was done before."""
    before, done = len(recovery.runs()), {run.event for run in recovery.runs()}
    recovery.emit("k", 4)
    recovery.emit("b", 3, "b")
    recovery.once()
    assert recovery.problems(known) == []
    again = [run.event for run in recovery.runs()[before:] if run.event in done]
    assert len(again) == len(set(again)), "a second time, and a third"
    return len(again)


# -- the log is older than what is known of it (C04) -------------------------------------------


def test_a_log_from_a_backup_hides_no_news_behind_a_cursor_that_is_ahead(recovery):
    log = recovery.home.live("a")
    backup = log.read_bytes()
    lost = set(recovery.emit("k", 6))
    recovery.once()
    log.write_bytes(backup)
    recovery.acknowledged -= lost
    recovery.order["k"] = [event for event in recovery.order["k"] if event not in lost]
    # Of the new events, some come to lie just where others lay.
    news = set(recovery.emit("k", 8))
    recovery.once()
    assert news <= recovery.delivered()
    assert recovery.problems(lost) == []
    counted = [run.event for run in recovery.runs()]
    assert max(counted.count(event) for event in recovery.acknowledged) <= 2
    recovery.check_again()


def test_an_emptied_log_is_begun_anew(recovery):
    known = set(recovery.logged()["a"])
    recovery.home.live("a").write_bytes(b"")
    news = set(recovery.emit("n", 3))
    recovery.once()
    assert news <= recovery.delivered()
    assert recovery.problems(known) == []
    recovery.check_again()


# -- the index is gone or no index (C08) ---------------------------------------------------------


def damage(recovery, how):
    path = index(recovery)
    text = path.read_bytes()
    match how:
        case "all of state/ deleted":
            shutil.rmtree(recovery.home.state)
        case "deleted":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "header":
            path.write_bytes(b"\0" * 100 + text[100:])
        case "cut in half":
            path.write_bytes(text[: len(text) // 2])
        case "a page of dice":
            path.write_bytes(text[:4096] + os.urandom(4096) + text[8192:])
        case "all dice":
            path.write_bytes(os.urandom(len(text)))
        case "a foreign log":
            path.with_name("dispatch.db-wal").write_bytes(os.urandom(8192))


DAMAGED = ["header", "cut in half", "a page of dice", "all dice"]
GONE = ["all of state/ deleted", "deleted", "emptied", "a foreign log"]


@pytest.mark.parametrize("how", [*DAMAGED, *GONE])
def test_a_lost_or_damaged_index_is_made_again_and_nothing_runs_twice(recovery, how):
    damage(recovery, how)
    said = recovery.once()
    if how in DAMAGED:
        assert "the index is made again from the journal (" in said
        assert "; the old one is " in said
        assert index(recovery).with_suffix(".damaged").exists()
    else:
        assert said == "", "what is empty, or not there, is nothing to be told of"
    assert go_on(recovery) == 0


def test_an_index_of_another_home_is_not_believed(recovery, home, tmp_path):
    other = Recovery(type(home)(tmp_path / "other" / "home"))
    for part in (other.home.segments, other.home.state, other.home.handlers):
        part.mkdir(parents=True)
    other.handler()
    other.emit("k", 40)
    other.emit("b", 20, "b")
    other.once()
    shutil.copy(index(other), index(recovery))
    assert "the index was of another journal: it is made again from this one" in recovery.once()
    assert go_on(recovery) == 0


# -- the index is from a backup (C09) ----------------------------------------------------------


def test_an_old_index_is_brought_up_to_date_by_the_journal(recovery):
    backup = index(recovery).read_bytes()
    recovery.emit("k", 5)
    recovery.emit("x", 1, exit=65)
    recovery.once()
    index(recovery).write_bytes(backup)
    assert go_on(recovery) == 0


def test_an_old_index_and_an_old_journal_run_what_they_do_not_know_of_once_more(recovery):
    files = (index(recovery), recovery.home.deliveries, recovery.home.dead_letters)
    backups = [path.read_bytes() for path in files]
    recovery.emit("k", 5)
    recovery.emit("x", 1, exit=65)
    recovery.once()
    for path, backup in zip(files, backups, strict=True):
        path.write_bytes(backup)
    assert go_on(recovery) == 6


def test_an_emptied_journal_makes_nothing_run_again(recovery):
    recovery.home.deliveries.write_bytes(b"")
    assert go_on(recovery) == 0


def test_a_journal_that_is_ahead_of_its_log_hides_no_news_and_repeats_at_most_the_segment(home):
    recovery = Recovery(home)
    recovery.handler("on-made.py", NOTING_PYTHON)
    recovery.emit("k", 20)
    recovery.once()
    rotate(recovery.home, "a")
    recovery.emit("k", 30)
    recovery.once()
    log, backup = recovery.home.live("a"), index(recovery).read_bytes()
    kept = log.read_bytes()
    lost = set(recovery.emit("k", 5))
    recovery.once()
    # What a power cut may leave of 200 ms: the journal got to the disk, log and index did not.
    log.write_bytes(kept)
    index(recovery).write_bytes(backup)
    recovery.acknowledged -= lost
    recovery.order["k"] = [event for event in recovery.order["k"] if event not in lost]
    assert go_on(recovery, lost) <= 30
