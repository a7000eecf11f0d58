"""The archiver and the replays that want what it would delete."""

import contextlib
from itertools import islice

import msgspec
import pytest

from hookline.app import archive as archiving
from hookline.dispatch import replays
from hookline.dispatch.asks import write_some
from hookline.dispatch.journal import open_journal
from hookline.dispatch.ledger import Entry, decode
from hookline.dispatch.pace import Pace
from hookline.dispatch.replays import Replay
from hookline.log.files import append_line
from hookline.log.rotate import rotate, rotate_stream
from hookline.model.clock import SystemClock
from hookline.model.errors import TryAgain
from testing.unit.app.archives import LATER, NOW, archive, close, emit, handler, told


def replaying(home, name="weekly", **more):
    """A replay of the domain `a` that was begun."""
    replay = Replay(name=name, handler="on-a-b.sh", until=LATER, types=("a.b",), **more)
    return replays.begin(home, replay, SystemClock())


def ask_for(home, begun, count):
    """So many of its events are asked for, and delivered."""
    events = islice(replays.chosen(home, begun, pytest.fail), count)
    replays.ask(home, begun, events, Pace(None, None, 0.0), SystemClock())
    done = {"action": "attempt", "verdict": "done", "then": "settled", "attempt": 1}
    for entry in map(decode, home.deliveries.read_bytes().splitlines()):
        if entry.action == "replay":
            write_some(home, [msgspec.structs.replace(entry, **done)])


def test_what_a_named_replay_has_still_to_ask_for_stays_until_it_is_over(home):
    handler(home, "on-a-b.sh", "# from: now")
    for _ in range(4):
        close(home)
    ask_for(home, replaying(home), 1)
    for dry_run in (True, False):
        deleted, held = archive(home, "cleanup", days=91, dry_run=dry_run)
        assert told([deleted, held]) == [("deleted", "a", 1), ("held", "a", 2)]
        assert (held.last, held.handler, held.replay) == (3, "on-a-b.sh", "weekly")
        assert (held.why, held.next) == (
            "the replay weekly is not over",
            "hookline replay --resume weekly (or --end weekly)",
        )
    ask_for(home, replays.find(home, "weekly"), 1)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 2), ("held", "a", 3)]
    replays.finish(home, replays.find(home, "weekly").replay, SystemClock())
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 3)]


def test_a_replay_holds_only_what_it_is_of(home):
    handler(home, "on-a-b.sh", "# from: now")
    emit(home, id="wanted")
    for _ in range(2):
        close(home)
    begun = replaying(home, ids=("wanted",))
    assert told(archive(home, "cleanup", days=91)) == [("held", "a", 1)]
    # As an older version left it: all of it was asked for, and nothing says that it is over.
    ask_for(home, begun, 1)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1)]


def test_a_replay_to_a_handler_that_is_gone_holds_nothing(home):
    for _ in range(2):
        close(home)
    replaying(home)
    (deleted,) = archive(home, "cleanup", days=91)
    assert deleted.why == "on-a-b.sh: listens no more to what is in it"


def test_a_replay_that_is_begun_while_another_domain_is_deleted_counts(home, monkeypatch):
    handler(home, "on-b-c.sh", "# from: now")
    for type in ("a.b", "b.c"):
        for _ in range(2):
            emit(home, type)
            rotate(home, type[0])
    none_begins = archiving.none_begins

    @contextlib.contextmanager
    def then_one_begins(home):
        with none_begins(home):
            yield
        replay = Replay(name="new", handler="on-b-c.sh", until=LATER, types=("b.c",))
        replays.begin(home, replay, SystemClock())

    monkeypatch.setattr(archiving, "none_begins", then_one_begins)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1), ("held", "b", 1)]


def test_a_replay_that_asks_for_all_while_the_archiver_looks_keeps_its_events(home, monkeypatch):
    handler(home, "on-a-b.sh", "# from: now")
    for _ in range(3):
        close(home)
    begun = replaying(home)
    read = archiving.read_ledger

    def read_and_asked(home):
        ledger = read(home)
        replays.ask(
            home, begun, replays.chosen(home, begun, pytest.fail), Pace(None, None, 0.0),
            SystemClock(),
        )  # fmt: skip
        replays.finish(home, begun.replay, SystemClock())
        return ledger

    monkeypatch.setattr(archiving, "read_ledger", read_and_asked)
    assert told(archive(home, "cleanup", days=91)) == [("held", "a", 1)]


def test_no_replay_begins_between_the_look_at_replays_and_the_deleting(home, monkeypatch):
    handler(home, "on-a-b.sh", "# from: now")
    for _ in range(2):
        close(home)
    monkeypatch.setattr(replays, "LOCK_WAIT_S", 0.0)
    remove, refused = archiving.remove_segment, []

    def removed(*args, **more):
        with pytest.raises(TryAgain, match="an archiver deletes") as caught:
            replaying(home)
        refused.append(caught)
        return remove(*args, **more)

    monkeypatch.setattr(archiving, "remove_segment", removed)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1)]
    assert refused
    replaying(home)


def test_the_part_of_the_journal_where_a_replay_begins_stays_until_it_is_over(home, monkeypatch):
    monkeypatch.setattr(archiving, "spare_segments", lambda _: [1, 2])
    handler(home, "on-a-b.sh", "# from: now")
    begun = replaying(home)
    with open_journal(home) as journal:
        rotate_stream(journal)
        for _ in range(2):
            append_line(home.deliveries, b"{}")
            rotate_stream(journal)
    (held,) = archive(home, "cleanup", days=91)
    assert (told([held]), held.replay) == ([("held", "deliveries", 1)], "weekly")
    replays.finish(home, begun.replay, SystemClock())
    assert told(archive(home, "cleanup", days=91)) == [
        ("deleted", "deliveries", 1),
        ("deleted", "deliveries", 2),
    ]


def test_a_line_of_the_journal_that_is_no_replay_holds_up_nothing(home):
    handler(home, "on-a-b.sh", "# from: now")
    for _ in range(2):
        close(home)
    for query in ({}, {"until": "soon", "types": ["a.b"]}, {"until": LATER, "types": ["A"]}):
        entry = Entry(action="replaying", time=NOW, handler="on-a-b.sh", replay="x", query=query)
        write_some(home, [entry])
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1)]
