"""An index that is damaged, old, new, another's or gone: nothing is lost and nothing runs twice."""

import os
import random
import shutil
from contextlib import closing

import apsw
import pytest

from hookline.dispatch.domain_log import DomainLog
from hookline.dispatch.journal import STATE_FILE, load_ledger, read_ledger
from hookline.dispatch.ledger import Ledger, Pending, Progress
from hookline.dispatch.state import VERSION, IndexFailed, State
from hookline.dispatch.subscription import Cursor
from hookline.model.errors import BadConfig, NotAllowed, TryAgain, WriteFailed
from hookline.model.position import Position
from testing.unit.bench import OBEY

EVENTS = 30


@pytest.fixture(name="used")
def make_used(bench):
    """A home in which much has happened: done, given up, waiting beyond a cursor, paused."""
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.shell("on-a-any.sh", OBEY, "# on: a.*   key: subject  backoff: 1h")
    bench.shell("on-a-d.sh", 'echo "$EVENT_ID" >>"$OUT"; exit 78')
    for n in range(EVENTS):
        bench.emit("a.b", (0, 65, 75, 0)[n % 4], subject=f"k{n % 5}", id=f"e{n}")
    bench.emit("a.d", 0, id="x")
    bench.drain()
    assert len(bench.said()) == EVENTS + 1
    return bench


def index_of(bench):
    return bench.home.state / STATE_FILE


def check(bench):
    """What is new is delivered once, what was delivered is not again; what waits still does."""
    before = bench.said()
    waiting = unsettled(bench)
    bench.emit("a.b", 0, id="new", subject="new")
    bench.drain()
    assert bench.said() == [*before, "new"]
    assert unsettled(bench) == waiting
    assert read_ledger(bench.home).handlers["on-a-d.sh"].paused


def unsettled(bench):
    ledger = load_ledger(bench.home, None)
    return {
        (name, pending.event, pending.attempt)
        for name, progress in ledger.handlers.items()
        for pending in progress.pending.values()
    }


def test_a_ledger_survives_its_index(tmp_path):
    pending = Pending(
        domain="d", position=Position(1, 5), event="e", source="s", type="d.t", attempt=2,
        due_at_s=7.5, running=True, at=3, end=Position(2, 0),
    )  # fmt: skip
    progress = Progress(
        since_s=3.0,
        starts={"d": Position(1, 1)},
        cursors={"d": Cursor(Position(1, 5), 5, "e", "s")},
        settled={"d": {Position(1, 9): "f"}},
        pending={pending.place: pending},
        paused="tired",
        held="broken",
        failures=3,
        installed_s=8.0,
    )
    ledger = Ledger(handlers={"h": progress}, closed={"h:x"}, folded=Position(2, 7), journal="j")
    state = State(tmp_path / STATE_FILE)
    assert state.is_fresh
    state.save(ledger)
    state.close()
    state = State(tmp_path / STATE_FILE)
    assert not state.is_fresh
    assert state.load() == ledger
    state.close()


@pytest.mark.parametrize("kept", ["nothing", "wal", "index"])
def test_a_deleted_index_is_made_again(used, kept):
    dispatcher = used.dispatcher()
    wal = index_of(used).with_name(STATE_FILE + "-wal")
    assert wal.exists()
    shutil.copy(wal, used.home.root / "wal")
    dispatcher.close()
    shutil.copy(index_of(used), used.home.root / "index")
    shutil.rmtree(used.home.state)
    used.home.state.mkdir()
    if kept == "wal":
        shutil.copy(used.home.root / "wal", wal)
    if kept == "index":
        shutil.copy(used.home.root / "index", index_of(used))
    check(used)


@pytest.mark.parametrize("bytes_left", [0, 1, 99, 100, 4096, 8192, 20000])
def test_a_truncated_index_is_made_again(used, bytes_left):
    os.truncate(index_of(used), bytes_left)
    check(used)


def test_a_page_of_garbage_anywhere_in_the_index_costs_nothing(used):
    whole = index_of(used).read_bytes()
    said, letters, noted = used.said(), used.letters(), 0
    chance = random.Random(7)  # noqa: S311  # garbage
    for page in range(len(whole) // 4096):
        spoilt = bytearray(whole)
        spoilt[page * 4096 : page * 4096 + 4096] = chance.randbytes(4096)
        index_of(used).write_bytes(spoilt)
        used.spectator.notes.clear()
        used.drain()
        noted += any("made again" in note for note in used.spectator.notes)
        assert used.said() == said
        assert used.letters() == letters
    # A page that is free has nothing that could be missed.
    assert noted >= len(whole) // 4096 - 1
    check(used)


def test_an_index_that_is_spoilt_under_a_running_dispatcher_is_made_again(used):
    dispatcher = used.dispatcher()
    try:
        state = dispatcher._state
        state._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = index_of(used).stat().st_size
        with index_of(used).open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(size - 4096))
        state._db.execute("PRAGMA shrink_memory")
        before, waiting = used.said(), unsettled(used)
        used.emit("a.b", 0, id="new", subject="new")
        while len(used.said()) == len(before) or dispatcher.running:
            dispatcher.tick(0.05)
        assert used.said() == [*before, "new"]
    finally:
        dispatcher.close()
    assert index_of(used).with_suffix(".damaged").exists()
    assert unsettled(used) == waiting
    assert read_ledger(used.home) == load_ledger(used.home, None)


@pytest.mark.parametrize("then", ["goes on", "is killed"])
def test_state_may_be_deleted_under_a_running_dispatcher(used, then):
    dispatcher = used.dispatcher()
    shutil.rmtree(used.home.state)
    before, waiting = used.said(), unsettled(used)
    for n in range(3):
        used.emit("a.b", 0, id=f"new{n}", subject="new")
    while len(used.said()) < len(before) + 3 or not index_of(used).exists() or dispatcher.running:
        dispatcher.tick(0.05)
    if then == "goes on":
        dispatcher.close()
        assert index_of(used).exists()
    else:
        # What a kill takes: everything that close would have written, a commit that is under way.
        dispatcher._state.close()
        dispatcher._lock.close()
    used.drain()
    assert used.said() == [*before, "new0", "new1", "new2"]
    assert unsettled(used) == waiting
    check(used)


def test_a_deleted_index_that_cannot_be_made_is_waited_for(used):
    dispatcher = used.dispatcher()
    shutil.rmtree(used.home.state)
    used.home.state.write_text("in the way")
    before = used.said()
    used.emit("a.b", 0, id="meanwhile", subject="new")
    while not any("cannot be made" in note for note in used.spectator.notes):
        dispatcher.tick(0.05)
    assert used.said() == before
    used.home.state.unlink()
    while len(used.said()) == len(before) or dispatcher.running:
        dispatcher.tick(0.05)
    dispatcher.close()
    assert used.said() == [*before, "meanwhile"]
    check(used)


def test_an_index_of_an_older_version_is_made_again_and_kept(used):
    db = apsw.Connection(str(index_of(used)))
    db.execute(f"PRAGMA user_version = {VERSION - 1}")
    db.execute("DROP TABLE pending")
    db.close()
    with pytest.raises(IndexFailed):
        State(index_of(used), readonly=True)
    State(index_of(used)).close()
    assert index_of(used).with_suffix(".old").exists()
    check(used)


def test_an_index_of_a_newer_version_is_refused_with_what_to_do(used):
    db = apsw.Connection(str(index_of(used)))
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    with pytest.raises(BadConfig, match=r"newer Hookline.*hookline rebuild"):
        used.dispatcher()


def test_the_index_of_another_home_is_noticed(used, tmp_path):
    mine = used.home.root
    other = tmp_path / "other"
    shutil.copytree(mine, other)
    used.home.deliveries.unlink()
    for name in ("deliveries.jsonl", "state"):
        path = mine / "coordination" / name
        shutil.rmtree(path, ignore_errors=True)
    (mine / "out").unlink()
    used.home.live("a").unlink()
    for n in range(3):
        used.emit("a.b", 0, id=f"mine{n}", subject="k")
    used.drain()
    said = used.said()
    assert said == ["mine0", "mine1", "mine2"]
    shutil.rmtree(used.home.state)
    shutil.copytree(other / "coordination" / "state", used.home.state)
    used.emit("a.b", 0, id="mine3", subject="k")
    used.drain()
    assert used.said() == [*said, "mine3"]
    assert any("another journal" in note for note in used.spectator.notes)


def test_an_index_restored_from_a_backup_is_brought_forward(used, tmp_path):
    shutil.copytree(used.home.state, tmp_path / "backup")
    for n in range(5):
        used.emit("a.b", 65, id=f"later{n}", subject="k")
    used.drain()
    letters = used.letters()
    shutil.rmtree(used.home.state)
    shutil.copytree(tmp_path / "backup", used.home.state)
    check(used)
    assert used.letters() == letters


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to everything")
def test_an_index_that_this_user_may_not_write_is_named(used):
    index_of(used).chmod(0o400)
    with pytest.raises(NotAllowed, match="owner"):
        used.dispatcher()


def short(*_, **__):
    """What SQLite says of a shortage, and of much else."""
    raise apsw.CantOpenError("unable to open database file")


def test_what_cannot_be_opened_is_a_shortage_when_nothing_else_is_in_the_way(monkeypatch, used):
    monkeypatch.setattr("hookline.dispatch.state.apsw.Connection", short)
    with pytest.raises(TryAgain, match="short of something"):
        State(index_of(used))
    with pytest.raises(IndexFailed):
        State(index_of(used), readonly=True)
    index_of(used).unlink()
    index_of(used).symlink_to("nowhere")
    with pytest.raises(IndexFailed, match="is no file"):
        State(index_of(used))
    monkeypatch.setattr(os, "access", lambda path, _: path != used.home.state)
    with pytest.raises(NotAllowed, match=f"{used.home.state} is not this user's"):
        State(index_of(used))


def test_who_only_looks_makes_no_index(used):
    index_of(used).unlink()
    with pytest.raises(IndexFailed):
        State(index_of(used), readonly=True)
    assert not index_of(used).exists()


def test_on_a_full_disk_it_asks_for_room_and_for_no_rebuild(monkeypatch, tmp_path):
    def connect(_):
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(State, "_connect", connect)
    with pytest.raises(WriteFailed, match="disk is full: make room, then start again"):
        State(tmp_path / STATE_FILE)


def test_a_cursor_goes_back_though_its_log_cannot_be_synced(bench, monkeypatch):
    """As the journal says, and not a step further on."""
    bench.shell("on-a-b.sh", "true")
    bench.emit("a.b", id="one")
    bench.emit("a.b", id="two")
    bench.drain()
    log = bench.home.live("a")
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])

    def sync(*_, **__):
        raise WriteFailed("the disk fails")

    monkeypatch.setattr(DomainLog, "begin_sync", sync)
    with pytest.raises(WriteFailed, match="the disk fails"):
        bench.drain()
    with closing(State(index_of(bench), readonly=True)) as state:
        kept = state.load().progress("on-a-b.sh")
    told = load_ledger(bench.home, None).progress("on-a-b.sh")
    assert kept.cursors == told.cursors == {"a": Cursor(Position(1, 0))}
    assert kept.settled == told.settled == {"a": {Position(1, 0): "one"}}


def test_a_cursor_only_ever_goes_back(tmp_path):
    cursors = {"d": Cursor(Position(1, 5), 5, "e", "s")}
    with closing(State(tmp_path / STATE_FILE)) as state:
        state.save(Ledger(handlers={"h": Progress(cursors=dict(cursors))}))
        state.rewind("h", "d", Position(2, 0))
        assert state.load().progress("h").cursors == cursors
        state.rewind("h", "d", Position(1, 5))
        assert state.load().progress("h").cursors == {"d": Cursor(Position(1, 5))}
        state.rewind("h", "d", Position(1, 0))
        assert state.load().progress("h").cursors == {"d": Cursor(Position(1, 0))}


def test_a_commit_waits_for_no_disk(tmp_path):
    """The journal's tail tells again what a power cut takes of the index."""
    with closing(State(tmp_path / "index.db")) as state:
        assert state._db.pragma("journal_mode") == "wal"
        assert state._db.pragma("synchronous") == 1


def test_an_idle_dispatcher_writes_nothing_to_its_index(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b", id="e")
    bench.run_until(lambda: bench.said() == ["e"])
    dispatcher = bench.dispatcher()
    dispatcher.drain()
    log = index_of(bench).with_name(f"{STATE_FILE}-wal")
    before = log.stat().st_mtime_ns
    for _ in range(3):
        assert dispatcher._core.commit()
    assert log.stat().st_mtime_ns == before
    dispatcher.close()
