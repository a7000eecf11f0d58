"""Commits: the dispatcher goes on while the disk works, and the index never knows more than lies on
the disk."""

import contextlib
import errno
import os
import threading
import time

import pytest

from hookline.dispatch import books
from hookline.dispatch.commits import COMMIT_S
from hookline.dispatch.journal import STATE_FILE
from hookline.dispatch.state import State

EVERY = 'echo "$EVENT_ID" >>"$OUT"'


class Disk:
    """One that takes for a sync until it is let go, from when it is told to."""

    def __init__(self, monkeypatch):
        self.is_slow = threading.Event()
        self.may_go_on = threading.Event()
        self.waiting = set()
        self.fails = ""
        self._fdatasync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self.sync)

    def sync(self, fd):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
        if self.is_slow.is_set():
            self.waiting.add(name)
            assert self.may_go_on.wait(60)
        if name == self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._fdatasync(fd)

    def hold(self):
        """Take until `let_go` from now on."""
        self.may_go_on.clear()
        self.is_slow.set()

    def let_go(self):
        self.is_slow.clear()
        self.may_go_on.set()


@pytest.fixture(name="disk")
def make_disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.fixture(name="dispatcher")
def make_dispatcher(bench, disk):
    bench.shell("on-a.sh", EVERY, "# on: a.* b.*   from: beginning")
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    with dispatcher.signals():
        yield dispatcher
        disk.let_go()
        dispatcher.close()


def until(dispatcher, condition):
    ends_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_s
        dispatcher.tick(0.05)


def known(bench):
    """What the index on disk knows."""
    with contextlib.closing(State(bench.home.state / STATE_FILE, readonly=True)) as state:
        progress = state.load().progress("on-a.sh")
    settled = {event for events in progress.settled.values() for event in events.values()}
    return {domain: at.position.offset for domain, at in progress.cursors.items()}, settled


def size(bench, domain):
    return bench.home.live(domain).stat().st_size


def test_events_are_handled_while_the_disk_works(bench, disk, dispatcher):
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    before = size(bench, "a")
    disk.hold()
    bench.emit("a.b")
    until(dispatcher, lambda: disk.waiting)
    first = size(bench, "a")
    bench.emit("a.b")
    until(dispatcher, lambda: len(bench.said()) == 3)
    assert known(bench)[0]["a"] == before
    disk.let_go()
    until(dispatcher, lambda: known(bench)[0]["a"] == size(bench, "a"))
    assert first < size(bench, "a")


def test_a_commit_covers_what_there_was_when_it_began(bench, disk, dispatcher):
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    disk.hold()
    bench.emit("a.b")
    until(dispatcher, lambda: disk.waiting == {"deliveries.jsonl", "a-events.jsonl"} or
          (disk.waiting and len(bench.said()) == 2))  # fmt: skip
    there, begun = known(bench)[0]["a"], size(bench, "a")
    bench.emit("a.b")
    until(dispatcher, lambda: len(bench.said()) == 3)
    moves = []
    disk.let_go()
    until(dispatcher, lambda: moves.append(known(bench)[0]["a"]) or moves[-1] == size(bench, "a"))
    assert set(moves) <= {there, begun, size(bench, "a")}


def test_what_the_disk_loses_meanwhile_keeps_its_own_cursor_only(bench, disk, dispatcher):
    bench.emit("b.b")
    until(dispatcher, lambda: all(known(bench)[0].get(x) == size(bench, x) for x in "ab"))
    before = size(bench, "a")
    disk.hold()
    bench.emit("a.b")
    until(dispatcher, lambda: disk.waiting)
    bench.emit("b.b")
    until(dispatcher, lambda: len(bench.said()) == 4)
    disk.fails = "a-events.jsonl"
    disk.let_go()
    until(dispatcher, lambda: known(bench)[0]["b"] == size(bench, "b"))
    assert known(bench)[0]["a"] == before
    bench.emit("b.b")
    until(dispatcher, lambda: known(bench)[0]["b"] == size(bench, "b"))
    assert known(bench)[0]["a"] == before
    assert sum("no cursor passes it" in note for note in bench.spectator.notes) == 1


def test_an_index_that_is_deleted_meanwhile_is_told_everything_again(bench, disk, dispatcher):
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    disk.hold()
    bench.emit("a.b")
    until(dispatcher, lambda: disk.waiting)
    for path in bench.home.state.glob(f"{STATE_FILE}*"):
        path.unlink()
    until(dispatcher, (bench.home.state / STATE_FILE).exists)
    bench.emit("a.b")
    until(dispatcher, lambda: len(bench.said()) == 3)
    disk.let_go()
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    assert not any("nothing starts" in note for note in bench.spectator.notes)


def test_a_journal_that_the_disk_loses_stops_it(bench, disk, dispatcher):
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    before = known(bench)
    disk.fails = "deliveries.jsonl"
    bench.emit("a.b")
    until(dispatcher, lambda: any("nothing starts" in note for note in bench.spectator.notes))
    assert known(bench) == before
    bench.emit("a.b")
    for _ in range(5):
        dispatcher.tick(0.05)
    assert len(bench.said()) <= 2


def test_who_keeps_much_does_not_ask_for_the_impossible_without_a_pause(
    bench, disk, dispatcher, monkeypatch
):
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    monkeypatch.setattr(books, "SETTLED_BYTES_MAX", 1)
    disk.fails = "deliveries.jsonl"
    bench.emit("a.b")
    until(dispatcher, lambda: any("nothing starts" in note for note in bench.spectator.notes))
    assert dispatcher._books.full
    tried, begin_commit = [], dispatcher._books.begin_commit
    monkeypatch.setattr(
        dispatcher._books,
        "begin_commit",
        lambda *_: tried.append(time.monotonic()) or begin_commit(*_),
    )
    until(dispatcher, lambda: len(tried) == 5)
    assert tried[-1] - tried[0] > 2 * COMMIT_S


def test_what_a_shortage_cuts_short_is_synced_all_the_same(bench, disk, dispatcher, monkeypatch):
    """Also a log that nobody reads: its writers await it."""
    until(dispatcher, lambda: known(bench)[0].get("a") == size(bench, "a"))
    short = []

    def begin_commit(_):
        short.append(True)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(dispatcher._books, "begin_commit", begin_commit)
        bench.emit("c.c")
        until(dispatcher, lambda: short)
    disk.hold()
    until(dispatcher, lambda: "c-events.jsonl" in disk.waiting)
