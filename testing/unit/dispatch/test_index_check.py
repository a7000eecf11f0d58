"""A journal that is missing, shortened or another than the index was made from is told, and what
a rebuild would forget is named."""

import shutil

import pytest

from hookline.app.pausing import set_paused
from hookline.dispatch import letters
from hookline.dispatch.asks import write_some
from hookline.dispatch.index_check import forgotten, journal_differs
from hookline.dispatch.journal import STATE_FILE, open_journal, read_ledger
from hookline.dispatch.ledger import Entry
from hookline.log.rotate import rotate_stream
from hookline.model.clock import SystemClock
from hookline.model.errors import BadConfig
from testing.unit.bench import OBEY, Bench

CLOCK = SystemClock()
NOW = "2026-01-01T00:00:00.000000Z"


@pytest.fixture(name="used")
def make_used(bench):
    """A home with an event that is done, a letter that was dropped and a handler that is paused."""
    bench.shell("on-a-b.sh", OBEY, "# attempts: 2   backoff: 1h")
    bench.emit("a.b", 0)
    bench.emit("a.b", 65)
    bench.drain()
    letters.drop_all(bench.home, letters.open_letters(bench.home), CLOCK)
    bench.emit("a.b", 1)
    bench.drain()
    set_paused(bench.home, "on-a-b.sh", "pause", "")
    bench.drain()
    return bench


EVERYTHING = [
    "how far on-a-b.sh has got in a", "deliveries that wait for on-a-b.sh: 1",
    "that on-a-b.sh is paused", "decisions on dead letters: 1",
]  # fmt: skip


def test_a_journal_that_is_the_index_s_own_is_no_finding(used):
    assert (journal_differs(used.home), forgotten(used.home)) == (None, [])
    (used.home.state / STATE_FILE).unlink()
    assert (journal_differs(used.home), forgotten(used.home)) == (None, [])


def test_a_journal_that_grew_on_or_was_closed_is_no_finding(used):
    with open_journal(used.home) as journal:
        rotate_stream(journal)
    assert (journal_differs(used.home), forgotten(used.home)) == (None, [])
    set_paused(used.home, "on-a-b.sh", "resume", "")
    assert (journal_differs(used.home), forgotten(used.home)) == (None, [])


@pytest.mark.parametrize(
    ("damage", "how"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b""), "missing"),
        (lambda path: path.write_bytes(path.read_bytes()[200:]), "another"),
    ],
    ids=["missing", "emptied", "another"],
)
def test_a_journal_that_is_lost_is_told_with_what_goes_with_it(used, damage, how):
    damage(used.home.deliveries)
    assert f"the journal {used.home.deliveries} is {how}" in journal_differs(used.home).how
    # Of another journal, all that stands in it is told.
    assert forgotten(used.home) == ([] if how == "another" else EVERYTHING)


def test_of_a_journal_that_lost_its_end_what_stood_there_is_named(used):
    lines = used.home.deliveries.read_bytes().splitlines(keepends=True)
    used.home.deliveries.write_bytes(b"".join(lines[:1]))
    assert "is shorter" in journal_differs(used.home).how
    assert forgotten(used.home) == EVERYTHING


@pytest.mark.parametrize("gone", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_dispatcher_begins_another_with_all_that_the_index_knows(used, gone):
    gone(used.home.deliveries)
    used.drain()
    assert any("the journal was gone: another is begun" in each for each in used.spectator.notes)
    assert (journal_differs(used.home), forgotten(used.home)) == (None, [])
    (used.home.state / STATE_FILE).unlink()
    ran = len(used.attempts())
    used.drain()
    assert len(used.attempts()) == ran
    assert read_ledger(used.home).progress("on-a-b.sh").paused


def test_a_journal_that_goes_while_a_dispatcher_runs_is_begun_anew_too(bench):
    bench.shell("on-a-b.sh", "true")
    bench.shell("on-a-c.sh", "exit 1", "# attempts: 2   backoff: 1h")
    bench.emit("a.b")
    bench.emit("a.c")
    bench.drain()

    def another_is_done_without():
        if len(bench.verdicts()) == 2 and bench.home.deliveries.exists():
            bench.home.deliveries.unlink()
            bench.emit("a.b")
        return len(bench.verdicts()) > 2

    bench.run_until(another_is_done_without)
    assert (journal_differs(bench.home), forgotten(bench.home)) == (None, [])


def test_a_kill_right_after_another_journal_was_begun_makes_nothing_run_again(bench, tmp_path):
    bench.shell("on-a-b.sh", "true", "# from: beginning")
    done = {bench.emit("a.b"), bench.emit("a.b")}
    bench.drain()
    left = []

    def keep_what_a_kill_would_leave():
        if bench.verdicts()[2:]:
            left.append(shutil.copytree(bench.home.root, tmp_path / f"left{len(left)}"))
        elif bench.home.deliveries.exists():
            bench.home.deliveries.unlink()
            bench.emit("a.b")
        return len(left) == 3

    bench.run_until(keep_what_a_kill_would_leave)
    for root in left:
        after = Bench(root)
        after.drain()
        assert not done & {entry.event for entry in after.attempts()}


@pytest.mark.parametrize("gone", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_no_command_begins_another_journal(used, gone):
    gone(used.home.deliveries)
    with pytest.raises(BadConfig, match="restore it from a backup"):
        set_paused(used.home, "on-a-b.sh", "resume", "")
    with pytest.raises(BadConfig, match="the next dispatcher begins another"):
        write_some(used.home, [Entry(action="drop", time=NOW, letter="x")])
    assert forgotten(used.home) == EVERYTHING


def test_a_live_journal_that_is_gone_from_behind_its_closed_parts_is_missing(used):
    with open_journal(used.home) as journal:
        rotate_stream(journal)
    set_paused(used.home, "on-a-b.sh", "resume", "")
    used.run_until(lambda: b'"action":"snapshot"' in used.home.deliveries.read_bytes())
    used.home.deliveries.unlink()
    assert "is missing" in journal_differs(used.home).how
    with pytest.raises(BadConfig, match="is missing"):
        set_paused(used.home, "on-a-b.sh", "pause", "")
    ran = len(used.attempts())
    used.drain()
    assert len(used.attempts()) == ran
    assert not read_ledger(used.home).progress("on-a-b.sh").paused
    assert (journal_differs(used.home), forgotten(used.home)) == (None, [])


def test_a_damaged_closed_part_keeps_no_command_from_the_journal(used):
    with open_journal(used.home) as journal:
        rotate_stream(journal)
    set_paused(used.home, "on-a-b.sh", "resume", "")
    used.drain()
    closed = next(used.home.segments.glob("deliveries.*"))
    closed.rename(closed.with_name(closed.name + ".zst"))
    set_paused(used.home, "on-a-b.sh", "pause", "")
    assert used.home.deliveries.read_text().count('"paused"') == 1


def test_a_command_behind_a_journal_that_lost_its_end_is_obeyed(bench):
    bench.shell("on-a-b.sh", "true")
    for _ in range(4):
        bench.emit("a.b")
    bench.drain()
    lines = bench.home.deliveries.read_bytes().splitlines(keepends=True)
    bench.home.deliveries.write_bytes(b"".join(lines[:-2]))
    set_paused(bench.home, "on-a-b.sh", "pause", "x" * 1000)
    assert "is shorter" in journal_differs(bench.home).how
    bench.emit("a.b")
    bench.drain()
    assert len(bench.attempts()) == 4
    assert read_ledger(bench.home).progress("on-a-b.sh").paused


def test_a_command_begins_the_journal_of_a_home_that_has_none(bench):
    bench.shell("on-a-b.sh", "true")
    set_paused(bench.home, "on-a-b.sh", "pause", "")
    assert read_ledger(bench.home).progress("on-a-b.sh").paused
