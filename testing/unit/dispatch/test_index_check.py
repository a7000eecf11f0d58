"""A journal that is missing, shortened or another than the index was made from is told, and what
a rebuild would forget is named."""

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

CLOCK = SystemClock()
NOW = "2026-01-01T00:00:00.000000Z"


@pytest.fixture(name="used")
def make_used(bench):
    """A home with an event that is done, a letter that was dropped and a handler that is paused."""
    bench.shell("on-a-b.sh", 'exit "$(jq .data "$1")"', "# attempts: 2   backoff: 1h")
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
    assert (journal_differs(used.home), forgotten(used.home)) == ("", [])
    (used.home.state / STATE_FILE).unlink()
    assert (journal_differs(used.home), forgotten(used.home)) == ("", [])


def test_a_journal_that_grew_on_or_was_closed_is_no_finding(used):
    with open_journal(used.home) as journal:
        rotate_stream(journal)
    assert (journal_differs(used.home), forgotten(used.home)) == ("", [])
    set_paused(used.home, "on-a-b.sh", "resume", "")
    assert (journal_differs(used.home), forgotten(used.home)) == ("", [])


@pytest.mark.parametrize(
    ("damage", "how"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b""), "shorter"),
        (lambda path: path.write_bytes(path.read_bytes()[200:]), "another"),
    ],
    ids=["missing", "emptied", "another"],
)
def test_a_journal_that_is_lost_is_told_with_what_goes_with_it(used, damage, how):
    damage(used.home.deliveries)
    assert f"the journal {used.home.deliveries} is {how}" in journal_differs(used.home)
    # Of another journal, all that stands in it is told.
    assert forgotten(used.home) == ([] if how == "another" else EVERYTHING)


def test_of_a_journal_that_lost_its_end_what_stood_there_is_named(used):
    lines = used.home.deliveries.read_bytes().splitlines(keepends=True)
    used.home.deliveries.write_bytes(b"".join(lines[:1]))
    assert "is shorter" in journal_differs(used.home)
    assert forgotten(used.home) == EVERYTHING


@pytest.mark.parametrize("gone", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_dispatcher_begins_another_with_all_that_the_index_knows(used, gone):
    gone(used.home.deliveries)
    used.drain()
    assert any("the journal was gone: another is begun" in each for each in used.spectator.notes)
    assert (journal_differs(used.home), forgotten(used.home)) == ("", [])
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
    assert (journal_differs(bench.home), forgotten(bench.home)) == ("", [])


@pytest.mark.parametrize("gone", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_no_command_begins_another_journal(used, gone):
    gone(used.home.deliveries)
    with pytest.raises(BadConfig, match="restore it from a backup"):
        set_paused(used.home, "on-a-b.sh", "resume", "")
    with pytest.raises(BadConfig, match="next hookline dispatch"):
        write_some(used.home, [Entry(action="drop", time=NOW, letter="x")])
    assert forgotten(used.home) == EVERYTHING


def test_a_command_begins_the_journal_of_a_home_that_has_none(bench):
    bench.shell("on-a-b.sh", "true")
    set_paused(bench.home, "on-a-b.sh", "pause", "")
    assert read_ledger(bench.home).progress("on-a-b.sh").paused
