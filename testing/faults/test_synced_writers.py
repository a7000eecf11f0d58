"""A disk that is slow to sync, or cannot."""

import contextlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from hookline.dispatch.journal import read_ledger
from hookline.log.holders import holders
from hookline.log.stream import Stream
from hookline.log.sync import sync_now
from hookline.model.errors import WriteFailed
from testing.faults.emitters import EMITTERS, identities, problems, stored, struck

SYNCED = [emitter for emitter in EMITTERS if "sync" in str(emitter)]


@pytest.mark.parametrize("emitter", SYNCED, ids=str)
def test_what_a_sync_has_failed_for_once_is_acknowledged_by_another_write_only(
    points, bench, emitter
):
    """W10: the kernel reports a lost page once, and then calls the file clean."""
    bench.emit("a.x")
    inject = ["fdatasync:error=EIO:when=1"]
    target = emitter.again(bench.home, "a.x", "tried")
    ended = struck(points.strike, emitter, bench.home, target, inject=inject)
    assert (ended.status, ended.stdout) == (74, "")
    assert ended.calls["fdatasync"] == 1
    ended = struck(points.strike, emitter, bench.home, target, trace=["write", "fdatasync"])
    assert ended.status == 0
    assert "fdatasync" in ended.calls
    assert Counter(identities(stored(bench.home, "a")))["tried"] == 2
    assert problems(bench, {"tried"}) == []


def test_no_cursor_passes_what_could_not_be_synced(bench, monkeypatch):
    """W10: events are delivered all the same; it says once which segment, and what to do."""
    bench.shell("on-a-x.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.drain()
    failed = []
    real = os.fdatasync

    def fails_once(fd):
        if not failed and os.readlink(f"/proc/self/fd/{fd}") == str(bench.home.live("a")):
            failed.append(fd)
            raise OSError(5, "Input/output error")
        return real(fd)

    monkeypatch.setattr(os, "fdatasync", fails_once)
    first = bench.emit("a.x")
    bench.run_until(lambda: failed and bench.attempts())
    (note,) = [note for note in bench.spectator.notes if "cannot be synced" in note]
    assert "start again" in note
    progress = read_ledger(bench.home).handlers["on-a-x.sh"]
    assert progress.cursors["a"].position == (1, 0)
    second = bench.emit("a.x")
    bench.drain()
    assert bench.said() == [first, second]


def test_a_log_that_cannot_be_synced_holds_up_no_other(bench, monkeypatch):
    bench.shell("on-any.sh", 'echo "$EVENT_ID" >>"$OUT"', "# on: a.x b.x")
    real = os.fdatasync

    def fails(fd):
        if os.readlink(f"/proc/self/fd/{fd}") == str(bench.home.live("a")):
            raise OSError(5, "Input/output error")
        return real(fd)

    monkeypatch.setattr(os, "fdatasync", fails)
    sent = [bench.emit(type) for type in ("a.x", "b.x", "a.x", "b.x")]
    dispatcher = bench.dispatcher()
    try:
        with pytest.raises(WriteFailed, match="segment 1 of a-events cannot be synced"):
            dispatcher.drain()
    finally:
        dispatcher.close()
    assert sorted(bench.said()) == sorted(sent)
    cursors = read_ledger(bench.home).handlers["on-any.sh"].cursors
    assert cursors["b"].position.offset == bench.home.live("b").stat().st_size
    assert cursors["a"].position == (1, 0)
    (note,) = [note for note in bench.spectator.notes if "cannot be synced" in note]
    assert "no cursor passes it" in note
    monkeypatch.undo()
    bench.drain()
    assert sorted(bench.said()) == sorted(sent)
    cursors = read_ledger(bench.home).handlers["on-any.sh"].cursors
    assert cursors["a"].position.offset == bench.home.live("a").stat().st_size


def test_a_failed_sync_is_remembered_when_the_segment_was_closed(bench, monkeypatch):
    """W10: opening the file anew does not make its lost pages come back."""
    bench.emit("a.x")
    with Stream.of_domain(bench.home, "a") as stream:
        stream.read(stream.first())
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(5, "EIO")))
            with pytest.raises(WriteFailed):
                sync_now(stream.begin_sync())
        stream.close()
        with pytest.raises(WriteFailed, match="segment 1 of a-events cannot be synced"):
            sync_now(stream.begin_sync())


@pytest.mark.parametrize("emitter", SYNCED, ids=str)
def test_a_slow_sync_holds_up_nobody_else(points, bench, emitter):
    """W20: there is no lock that it could hold."""
    bench.emit("a.x")
    target = emitter.target(bench.home, "a.x", "x")
    # Stopped instead of slow: as slow as can be, until everybody else is through.
    options = {"inject": ["fdatasync:signal=STOP:when=1"], "paths": [bench.home.live("a")]}
    before = bench.home.live("a").stat().st_size
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: struck(points.strike, emitter, bench.home, target, **options))
        while bench.home.live("a").stat().st_size == before:
            assert not slow.done(), slow.result()
        quick = bench.emit("a.x")
        assert not slow.done()
        while not slow.done():
            for pid, _ in holders(bench.home.live("a")):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        ended = slow.result()
    assert ended.status == 0
    assert set(identities(stored(bench.home, "a"))) >= {quick, *ended.stdout.split()}
