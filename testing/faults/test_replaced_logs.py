"""Somebody deletes a log, or puts something else in its place, while it is in use."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hookline.dispatch.journal import STATE_FILE
from hookline.dispatch.letters import letters, replay
from hookline.dispatch.state import State
from hookline.log.holders import holders
from hookline.log.rotate import rotate
from hookline.model.clock import SystemClock
from hookline.model.errors import CannotCreate
from hookline.model.position import Position
from testing.faults.emitters import EMITTERS, identities, problems, stored, struck

KINDS = ["link", "dangling link", "fifo", "folder", "device"]


def put(kind, path, outside):
    """Put something in the place of a log."""
    if kind == "link":
        outside.write_text("mine\n")
        path.symlink_to(outside)
    elif kind == "dangling link":
        path.symlink_to(outside)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_what_is_no_file_is_refused_at_once(points, bench, tmp_path, emitter, kind):
    """W23: a pipe without a reader too, and whatever a link leads to stays as it was."""
    outside = tmp_path / "outside"
    put(kind, bench.home.live("a"), outside)
    target = emitter.target(bench.home, "a.x", "x")
    ended = struck(points.strike, emitter, bench.home, target, deadline_s=60.0)
    assert ended.status == 73, ended
    assert "a-events.jsonl" in ended.stderr
    assert outside.exists() == (kind == "link")
    assert kind != "link" or outside.read_text() == "mine\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_dispatcher_says_so_and_serves_the_others(bench, tmp_path, kind):
    """W23: one that begins and one that runs, until the log is a file again."""
    bench.shell("on-any.sh", 'echo "$EVENT_ID" >>"$OUT"', "# on: a.x b.x")
    bench.drain()
    live = bench.home.live("a")
    put(kind, live, tmp_path / "outside")
    sent = [bench.emit("b.x")]
    bench.drain()
    assert bench.said() == sent
    (note,) = [note for note in bench.spectator.notes if "a-events.jsonl" in note]
    assert "regular file" in note
    remove(live)
    steps = iter(["a.x", kind, "b.x", "", "a.x", kind, "b.x", ""])

    def walked():
        """A step further, whenever all that was sent was delivered."""
        if bench.said() != sent:
            return False
        step = next(steps, None)
        if step == kind:
            remove(live)
            put(kind, live, tmp_path / "outside")
        elif step == "":
            remove(live)
        elif step is not None:
            sent.append(bench.emit(step))
        return step is None

    bench.run_until(walked, deadline_s=60.0)


def remove(path):
    """Whatever it is."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_a_hard_link_is_refused_or_found(points, bench, tmp_path, emitter):
    """W24: bash cannot count links without a fork; `verify` and a rotation can."""
    outside = tmp_path / "outside"
    outside.write_text("")
    bench.home.live("a").hardlink_to(outside)
    ended = struck(points.strike, emitter, bench.home, emitter.target(bench.home, "a.x", "x"))
    if emitter.is_command:
        assert ended.status == 0
        with pytest.raises(CannotCreate, match="hard link"):
            rotate(bench.home, "a")
        command = [sys.executable, "-m", "hookline", "verify", "--home", bench.home.root]
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "hard link" in done.stdout + done.stderr
    else:
        assert ended.status == 73
        assert "hard link" in ended.stderr
        assert outside.read_text() == ""


def test_a_log_deleted_under_everybody_is_made_again_and_told(bench):
    """W21: what was deleted is lost, by the one who did it; nothing after it."""
    bench.shell("on-a-x.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.drain()
    before = [bench.emit("a.x") for _ in range(5)]
    after = []

    def deleted():
        if not after and bench.said() == before:
            bench.home.live("a").unlink()
            after.extend(bench.emit("a.x") for _ in range(3))
        return after and bench.said()[len(before) :] == after

    bench.run_until(deleted)
    assert [alert[0] for alert in bench.alerts] == ["log_replaced"]
    assert [note for note in bench.spectator.notes if "removed or replaced" in note]
    assert identities(stored(bench.home, "a")) == after


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_a_log_deleted_between_open_and_write_is_made_again(points, bench, emitter):
    """W21: Python sees that what it has opened has no name; with bash it goes where all went."""
    bench.emit("a.x")
    live = bench.home.live("a")
    options = {"inject": ["openat:signal=STOP:when=1"], "paths": [live]}
    target = emitter.target(bench.home, "a.x", "x")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(lambda: struck(points.strike, emitter, bench.home, target, **options))
        while not (writers := holders(live)):
            assert not late.done(), late.result()
        live.unlink()
        for pid, _ in writers:
            os.kill(pid, signal.SIGCONT)
        ended = late.result()
    assert ended.status == 0
    following = bench.emit("a.x")
    told = [] if emitter.is_command else ended.stdout.split()
    assert identities(stored(bench.home, "a")) == [*told, following]
    assert problems(bench, {*told, following}) == []


@pytest.mark.parametrize("when", ["meanwhile", "while it runs"])
def test_what_was_read_ahead_and_not_settled_is_delivered_from_the_log_that_came(bench, when):
    """Somebody puts other lines before those that wait, as one who joins two logs does."""
    bench.shell(
        "on-a-b.sh", 'test -e "$OUT" || exit 75; echo "$EVENT_ID" >>"$OUT"', "# backoff: 1h"
    )
    first = [bench.emit("a.b", {"n": n}) for n in range(10)]
    dispatcher = bench.dispatcher()
    while not bench.verdicts() or dispatcher.running:
        dispatcher.tick(0.05)
    assert bench.verdicts() == [("retry", "retry")]
    if when == "meanwhile":
        dispatcher.close()
    live = bench.home.live("a")
    waiting = live.read_bytes()
    live.rename(bench.home.root / "old")
    more = [bench.emit("a.b", {"n": n}) for n in range(20)]
    both = bench.home.root / "both"
    both.write_bytes(live.read_bytes() + waiting)
    both.rename(live)
    bench.out.touch()
    if when == "meanwhile":
        dispatcher = bench.dispatcher()
    try:
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said() == more + first


def test_an_event_that_a_power_cut_took_and_its_writer_appends_again_is_delivered(bench):
    """It was read ahead, which is on disk; and the log has grown again before anybody looks."""
    bench.shell(
        "on-a-b.sh", 'test -e "$OUT" || exit 75; echo "$EVENT_ID" >>"$OUT"', "# backoff: 1s"
    )
    sent = [bench.emit("a.b") for n in range(10)]
    bench.drain()
    live = bench.home.live("a")
    live.write_bytes(b"".join(live.read_bytes().splitlines(keepends=True)[:3]))
    more = [bench.emit("a.b") for n in range(20)]
    again = [bench.emit("a.b", id=each) for each in sent[3:]]
    bench.out.touch()
    bench.run_until(lambda: len(bench.said()) >= 30)
    assert bench.said() == [*sent[:3], *more, *again]


@pytest.mark.parametrize("garbage", [20, 200_000])
def test_a_log_that_had_nothing_but_garbage_is_read_from_its_start_when_it_is_another(
    bench, garbage
):
    live = bench.home.live("a")
    live.write_bytes((b"x" * (garbage // 10 - 1) + b"\n") * 10)
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: beginning")
    bench.drain()
    bench.drain()
    assert not bench.alerts
    live.unlink()
    sent = [bench.emit("a.b", "x" * (garbage // 5)) for _ in range(10)]
    bench.drain()
    assert bench.said() == sent


@pytest.mark.parametrize("last", ["event", "garbage"])
def test_a_log_that_was_begun_anew_while_nobody_looked_is_read_from_its_start(bench, last):
    """It is longer than the old one, of which the handler was given nothing, or garbage last."""
    live = bench.home.live("a")
    for n in range(5):
        bench.emit("a.b", {"n": n})
    if last == "garbage":
        with live.open("ab") as log:
            log.write(b"garbage\n")
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: now")
    bench.drain()
    live.unlink()
    sent = [bench.emit("a.b", {"n": n}) for n in range(10)]
    bench.drain()
    assert bench.said() == sent


def tick_until(dispatcher, condition, deadline_s=60.0):
    ends_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends_s
        dispatcher.tick(0.05)


def head(dispatcher):
    """How far a handler has read."""
    listener = dispatcher.roster.listeners["on-a-b.sh"]
    return listener.subscription.head("a") if listener.subscription.domains else Position(1, 0)


def read_to_the_end(bench):
    """A dispatcher that has read events of two segments, and their identities. Of them, a handler
    takes none while there is no $OUT."""
    bench.shell(
        "on-a-b.sh", 'test -e "$OUT" || exit 75; echo "$EVENT_ID" >>"$OUT"',
        "# backoff: 1s   attempts: 1000",
    )  # fmt: skip
    first = [bench.emit("a.b") for _ in range(3)]
    rotate(bench.home, "a")
    for _ in range(3):
        bench.emit("a.b")
    dispatcher = bench.dispatcher()
    tick_until(dispatcher, lambda: head(dispatcher) > Position(2, 0))
    return dispatcher, first


@pytest.mark.parametrize("without_index", [False, True])
def test_what_waits_of_an_older_segment_stays_when_the_log_is_cut(bench, without_index):
    """Its bytes are there. Without an index, the journal must say so."""
    dispatcher, first = read_to_the_end(bench)
    os.truncate(bench.home.live("a"), 0)
    tick_until(dispatcher, lambda: head(dispatcher) == Position(2, 0))
    more = [bench.emit("a.b") for _ in range(2)]
    bench.out.touch()
    if without_index:
        dispatcher.close()
        (bench.home.state / STATE_FILE).unlink()
        dispatcher = bench.dispatcher()
    tick_until(dispatcher, lambda: len(bench.said()) >= 5)
    dispatcher.close()
    assert bench.said() == first + more
    assert [alert[0] for alert in bench.alerts] == ["log_replaced"]


def test_the_index_knows_that_a_cursor_went_back_though_there_is_nothing_to_be_read(bench):
    bench.out.touch()
    dispatcher, _ = read_to_the_end(bench)
    with contextlib.closing(State(bench.home.state / STATE_FILE, readonly=True)) as state:

        def known():
            return state.load().handlers["on-a-b.sh"].cursors["a"].position

        tick_until(dispatcher, lambda: head(dispatcher) == known())
        os.truncate(bench.home.live("a"), 0)
        tick_until(dispatcher, lambda: head(dispatcher) == Position(2, 0))
        dispatcher.close()
        assert known() == Position(2, 0)


def test_a_replay_of_what_a_closed_segment_has_lost_makes_nobody_read_again(bench):
    bench.shell("on-a-b.sh", 'test -e "$OUT" || exit 65; echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b")
    lost = bench.emit("a.b")
    bench.drain()
    _, letter = letters(bench.home)
    bench.out.touch()
    rotate(bench.home, "a")
    sent = [bench.emit("a.b") for _ in range(3)]
    bench.drain()
    assert bench.said() == sent
    (closed,) = bench.home.segments.glob("a-*")
    os.truncate(closed, 0)
    replay(bench.home, letter, SystemClock())
    sent.append(bench.emit("a.b"))
    bench.drain()
    assert sorted(bench.said()) == sorted([lost, *sent])
    assert not bench.alerts


def test_a_closed_segment_that_cannot_be_read_holds_up_no_other_log(bench):
    bench.shell("on-any.sh", 'echo "$EVENT_ID" >>"$OUT"', "# on: a.* b.*")
    bench.drain()
    bench.emit("a.x", id="a1")
    bench.emit("b.x", id="b1")
    bench.drain()
    rotate(bench.home, "a")
    (closed,) = bench.home.segments.iterdir()
    aside = bench.home.root / "aside"
    closed.rename(aside)
    closed.symlink_to(aside)
    bench.emit("a.x", id="a2")
    bench.emit("b.x", id="b2")
    bench.drain()
    assert sorted(bench.said()) == ["a1", "b1", "b2"]
    assert any("a-events.00000001" in note for note in bench.spectator.notes)
    closed.unlink()
    aside.rename(closed)
    bench.drain()
    assert sorted(bench.said()) == ["a1", "a2", "b1", "b2"]
