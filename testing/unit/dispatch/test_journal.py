"""The journal is kept short: closed when it is large, begun anew with a snapshot."""

import contextlib
import json
import shutil
import time

import pytest

from hookline.app.pausing import set_paused
from hookline.dispatch import books
from hookline.dispatch import journal as module
from hookline.dispatch.asks import write_some
from hookline.dispatch.journal import (
    STATE_FILE,
    JournalFiles,
    load_ledger,
    newest_snapshot,
    open_journal,
    read_ledger,
    spare_segments,
)
from hookline.dispatch.ledger import Entry, Ledger, encode, fold
from hookline.dispatch.letters import drop, letters
from hookline.dispatch.paper import entries
from hookline.dispatch.state import State
from hookline.dispatch.subscription import Delivery
from hookline.log.rotate import remove_segment, rotate_stream
from hookline.model.clock import SystemClock, rfc3339
from hookline.model.position import Position
from testing.unit.bench import OBEY

NOW = "2026-01-01T00:00:00.000000Z"
CLOSED = "deliveries.00000001.jsonl"


@pytest.fixture(name="busy")
def make_busy(bench, monkeypatch):
    """A home with a small journal, in which much waits."""
    monkeypatch.setattr(module, "JOURNAL_BYTES_MAX", 2000)
    bench.shell("on-a-b.sh", f'echo "$EVENT_ID $EVENT_ATTEMPT" >>"$OUT"; {OBEY}',
                "# key: subject   backoff: 1h")  # fmt: skip
    return bench


def work(bench, closed=1):
    """Events that end in every way, until the journal was closed so often and begun anew."""
    while not begun_anew(bench.home, closed):
        for n in range(12):
            bench.emit("a.b", (0, 75, 65, 0)[n % 4], subject=f"k{n % 5}")
        bench.run_until(lambda: len(bench.said()) >= 3, 30.0)
        bench.drain()


def begun_anew(home, closed):
    with open_journal(home) as journal:
        live = journal.live_ordinal()
        return live > closed and newest_snapshot(journal, live) is not None


def test_a_large_journal_is_closed_and_the_next_begins_with_a_snapshot(busy):
    work(busy)
    assert CLOSED in {path.name for path in busy.home.segments.iterdir()}
    lines = [json.loads(line) for line in busy.home.deliveries.read_text().splitlines()]
    last = next(line for line in lines if line["action"] == "snapshot")
    named = [line for line in lines if line.get("snapshot") == last["snapshot"]]
    assert last["lines"] == len(named) - 1
    with open_journal(busy.home) as journal:
        assert last["segment"] == journal.live_ordinal()


def test_what_is_older_than_the_snapshot_is_not_needed(busy):
    work(busy)
    before = read_ledger(busy.home)
    assert load_ledger(busy.home, None) == before
    said = busy.said()
    with open_journal(busy.home) as stream:
        whole = [
            line
            for path in [*map(stream.path, stream.ordinals()), busy.home.deliveries]
            for line in path.read_bytes().splitlines()
        ]
        folded = Ledger(folded=before.folded, journal=before.journal)
        fold(folded, entries(whole))
        assert folded == before
    work(busy, closed=2)
    with open_journal(busy.home) as stream:
        while not remove_segment(stream, 1):
            pass  # for as long as it may be that somebody just opens it
        assert 1 not in stream.ordinals()
    for path in busy.home.state.glob("dispatch.db*"):
        path.unlink()
    busy.drain()
    assert len(busy.said()) == len(set(busy.said()))
    assert set(said) <= set(busy.said())


def test_what_was_decided_on_letters_that_are_purged_is_forgotten_with_the_next_snapshot(busy):
    for n in range(20):
        write_some(busy.home, [Entry(action="drop", time=NOW, handler="h", letter=f"h:{n}")])
    busy.emit("a.b", 65)
    busy.drain()
    there = next(letters(busy.home))
    drop(busy.home, there, SystemClock())
    busy.drain()
    work(busy)
    with contextlib.closing(State(busy.home.state / STATE_FILE, readonly=True)) as state:
        assert state.load().closed == {there.letter}
    assert load_ledger(busy.home, None) == read_ledger(busy.home)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_snapshot_that_was_cut_short_is_written_again(busy, kept):
    work(busy)
    before = read_ledger(busy.home)
    lines = busy.home.deliveries.read_bytes().splitlines(keepends=True)
    named = [line for line in lines if b'"snapshot":"' in line]
    gone = named[int(len(named) * kept) :]
    torn = b"".join(line for line in lines if line not in gone)
    busy.home.deliveries.write_bytes(torn)
    with open_journal(busy.home) as stream:
        live = stream.live_ordinal()
        assert newest_snapshot(stream, live) is None
    again = load_ledger(busy.home, None)
    again.folded = before.folded
    assert (again.handlers, again.closed) == (before.handlers, before.closed)
    said = busy.said()
    for path in busy.home.state.glob("dispatch.db*"):
        path.unlink()
    busy.run_until(lambda: spare_segments(busy.home)[-1:] == [live - 1], 30.0)
    assert busy.said() == said


def test_a_snapshot_that_does_not_read_back_is_said_once_and_not_written_again(busy):
    busy.emit("a.b", 0)
    busy.drain()
    state = State(busy.home.state / STATE_FILE)
    with state.transaction():
        # As a version has left it that believed every pause.
        state.waiting("on-x.sh", [Delivery(
            domain="a", position=Position(1, 0), end=Position(1, 0), event="e", source="s",
            type="a.x", attempt=1, due_at_s=1.8e12,
        )])  # fmt: skip
    state.close()
    dispatcher = busy.dispatcher()

    def said():
        return sum("does not read back" in note for note in busy.spectator.notes)

    ends_s = time.monotonic() + 60
    while said() < 2:
        assert time.monotonic() < ends_s
        busy.emit("a.b", 0)
        dispatcher.tick(0.05)
    for _ in range(20):
        dispatcher.tick(0.05)
    dispatcher.close()
    closed = [*busy.home.segments.glob("deliveries.*")]
    files = [path for path in (*closed, busy.home.deliveries) if path.exists()]
    written = sum(path.read_text().count('{"action":"snapshot"') for path in files)
    assert said() == written <= len(closed)


def test_nothing_is_taken_for_a_snapshot_while_somebody_writes_to_the_closed_file(busy):
    busy.emit("a.b", 0)
    busy.drain()
    with busy.home.deliveries.open("ab") as late:
        with open_journal(busy.home) as stream:
            rotate_stream(stream)
        dispatcher = busy.dispatcher()
        for _ in range(20):
            dispatcher.tick(0.05)
        assert newest_snapshot(open_journal(busy.home), 2) is None
        late.write(b'{"action":"paused","time":"2026-11-21T00:00:00.000000Z",'
                   b'"handler":"on-a-b.sh","reason":"late"}\n')  # fmt: skip
    while not spare_segments(busy.home):
        dispatcher.tick(0.05)
    dispatcher.close()
    assert load_ledger(busy.home, None).handlers["on-a-b.sh"].paused == "late"


def test_what_was_done_after_a_turn_is_known_though_somebody_may_still_write_before_it(busy):
    for n in range(3):
        busy.emit("a.b", 0, subject=f"k{n}")
    busy.drain()
    with busy.home.deliveries.open("ab") as late:
        with open_journal(busy.home) as stream:
            rotate_stream(stream)
        for n in range(3):
            busy.emit("a.b", 0, subject=f"k{n}")
        dispatcher = busy.dispatcher()
        dispatcher.drain()
        set_paused(busy.home, "on-a-b.sh", "pause", "behind")
        dispatcher.close()
        assert len(busy.said()) == 6
        for path in busy.home.state.glob("dispatch.db*"):
            path.unlink()
        dispatcher = busy.dispatcher()
        assert dispatcher.roster.listeners["on-a-b.sh"].standing.paused == "behind"
        dispatcher.drain()
        assert len(busy.said()) == 6
        set_paused(busy.home, "on-a-b.sh", "resume", "")
        late.write(b'{"action":"paused","time":"2026-11-21T00:00:00.000000Z",'
                   b'"handler":"on-a-b.sh","reason":"late"}\n')  # fmt: skip
    while not spare_segments(busy.home):
        dispatcher.tick(0.05)
    dispatcher.close()
    assert len(busy.said()) == 6
    assert load_ledger(busy.home, None) == read_ledger(busy.home)


def test_a_journal_that_is_not_large_stays(busy):
    busy.emit("a.b", 0)
    busy.drain()
    assert not JournalFiles(busy.home).lacks_snapshot(Position(1, 0))
    assert list(busy.home.segments.glob("deliveries*")) == []


def test_a_snapshot_is_no_command(busy):
    busy.shell("on-a-c.sh", "exit 78")
    busy.emit("a.c", 0)
    busy.drain()
    with open_journal(busy.home) as stream:
        rotate_stream(stream)
    dispatcher = busy.dispatcher()
    while not spare_segments(busy.home):
        dispatcher.tick(0.05)
    set_paused(busy.home, "on-a-c.sh", "resume", "")
    lines = busy.home.deliveries.read_bytes().splitlines(keepends=True)
    again = [line.replace(b'"snapshot":"', b'"snapshot":"x') for line in lines]
    with busy.home.deliveries.open("ab") as journal:
        journal.writelines(line for line in again if b'"action":"paused"' in line)
    for _ in range(30):
        dispatcher.tick(0.05)
    assert not dispatcher.roster.listeners["on-a-c.sh"].standing.paused
    dispatcher.close()
    assert load_ledger(busy.home, None) == read_ledger(busy.home)


def test_the_journal_is_told_the_cursors_before_much_is_to_be_remembered(busy, monkeypatch):
    monkeypatch.setattr(books, "SETTLED_MAX", 5)
    monkeypatch.setattr(books, "CURSORS_S", 1e9)
    dispatcher = busy.dispatcher()

    def told():
        journal = busy.home.deliveries
        return journal.read_text().count('{"action":"cursor"') if journal.exists() else 0

    for _ in range(2):
        before = told()
        for _ in range(10):
            busy.emit("a.b", 0)
        while dispatcher.settled % 10 or told() == before:
            dispatcher.tick(0.05)
    dispatcher.close()


def test_a_journal_that_is_copied_in_its_place_asks_for_nothing_again(bench):
    """As an editor saves a file, while a dispatcher runs: each command was obeyed once."""
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    event = bench.emit("a.b")
    bench.drain()
    ask = Entry(
        action="replay", time=rfc3339(SystemClock().now()), replay="again", handler="on-a-b.sh",
        domain="a", segment=1, offset=0, event=event, source="test", type="a.b",
    )  # fmt: skip
    write_some(bench.home, [ask])
    dispatcher = bench.dispatcher()
    try:
        dispatcher.drain()
        assert bench.said() == [event, event]
        copy = bench.home.root / "copy"
        shutil.copy(bench.home.deliveries, copy)
        copy.rename(bench.home.deliveries)
        bench.emit("a.b", id="more")
        for _ in range(4):
            dispatcher._look_at_s = 0.0
            dispatcher.tick(0.05)
        while dispatcher.running or "more" not in bench.said():
            dispatcher.tick(0.05)
    finally:
        dispatcher.close()
    bench.drain()
    assert bench.said() == [event, event, "more"]


def ask_again(bench, event):
    write_some(bench.home, [Entry(
        action="replay", time=NOW, replay="again", handler="on-a-b.sh", domain="a", segment=1,
        offset=0, event=event, source="test", type="a.b",
    )])  # fmt: skip


def obey(bench, dispatcher):
    """Tick until all that the journal says is in the index: what waits there."""
    ends_s = time.monotonic() + 60
    while True:
        dispatcher._look_at_s = 0.0
        dispatcher.tick(0.05)
        with contextlib.closing(State(bench.home.state / STATE_FILE, readonly=True)) as state:
            ledger = state.load()
        if ledger.folded.offset == bench.home.deliveries.stat().st_size:
            return ledger.progress("on-a-b.sh").pending
        assert time.monotonic() < ends_s


@pytest.mark.parametrize("how", ["written again", "without its handler", "copied"])
def test_a_replay_whose_line_comes_twice_keeps_its_attempts(bench, how):
    handler = bench.shell("on-a-b.sh", "exit 75", "# from: beginning   backoff: 1h")
    event = bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        ask_again(bench, event)
        while len(bench.verdicts()) < 2:
            dispatcher.tick(0.05)
        before = obey(bench, dispatcher)
        if how == "copied":
            copy = bench.home.root / "copy"
            shutil.copy(bench.home.deliveries, copy)
            copy.rename(bench.home.deliveries)
            write_some(bench.home, [Entry(action="resumed", time=NOW, handler="on-x.sh")])
        else:
            if how == "without its handler":
                handler.unlink()
            ask_again(bench, event)
        assert obey(bench, dispatcher) == before
    finally:
        dispatcher.close()
    assert [each.attempt for each in before.values()] == [1, 1]
    assert load_ledger(bench.home, None).progress("on-a-b.sh").pending == before


def test_a_replay_whose_line_comes_again_while_it_runs_is_counted(bench):
    event = bench.emit("a.b")
    body = 'echo "$EVENT_ATTEMPT" >>"$OUT"; until [[ -e $OUT.go ]]; do sleep 0.02; done'
    bench.shell("on-a-b.sh", body, "# from: now")
    dispatcher = bench.dispatcher()
    try:
        ask_again(bench, event)
        while not bench.said():
            dispatcher.tick(0.05)
        ask_again(bench, event)
        (pending,) = obey(bench, dispatcher).values()
        assert (pending.attempt, pending.running) == (1, True)
        bench.out.with_name("out.go").touch()
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said() == ["1"]
    assert not read_ledger(bench.home).progress("on-a-b.sh").pending


TORN = b'{"action":"attempt","time":"2026-01-01T00:00'


@pytest.mark.parametrize("torn", [TORN, b"\0" * 30, TORN + b"\0" * 30])
def test_a_command_behind_a_line_that_a_crash_has_torn_counts(bench, torn):
    bench.home.deliveries.write_bytes(torn)
    write_some(
        bench.home,
        [Entry(action="paused", time="2026-01-01T00:00:00.000000Z", handler="on-a-b.sh")],
    )
    assert load_ledger(bench.home, None).progress("on-a-b.sh").paused


def test_what_is_written_behind_torn_lines_is_not_lost(bench):
    """Else the letter were, and with it the event."""
    bench.shell("on-a-b.sh", "exit 65")
    sent = bench.emit("a.b")
    bench.home.deliveries.write_bytes(TORN)
    bench.home.dead_letters.write_bytes(b'{"letter":"on-a-b.sh:x')
    bench.drain()
    assert [letter.identity.id for letter in letters(bench.home)] == [sent]
    (bench.home.state / STATE_FILE).unlink()
    bench.drain()
    assert bench.verdicts() == [("rejected", "dead-letter")]
    assert load_ledger(bench.home, None).progress("on-a-b.sh").cursors["a"].position.offset


def test_a_late_command_in_any_closed_segment_is_obeyed(bench):
    """Two writers have the journal open, each since before one of its turns; more came behind."""
    bench.shell("on-a-b.sh", "true")
    bench.drain()
    held = []
    for _ in range(2):
        held.append(bench.home.deliveries.open("ab", buffering=0))
        with open_journal(bench.home) as journal:
            rotate_stream(journal)
        write_some(bench.home, [Entry(action="resumed", time=NOW, handler="on-x.sh")])
    dispatcher = bench.dispatcher()
    held[1].write(encode(Entry(action="paused", time=NOW, handler="on-a-b.sh", by="hand")) + b"\n")
    for file in held:
        file.close()
    ends_s = time.monotonic() + 60
    while not dispatcher.roster.listeners["on-a-b.sh"].standing.paused:
        assert time.monotonic() < ends_s
        dispatcher.tick(0.05)
    dispatcher.close()
