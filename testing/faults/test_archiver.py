"""The archiver beside writers and handlers, killed anywhere, on a disk that lies."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookline.app.archive import Archive
from hookline.app.config import ArchiveConfig
from hookline.app.selftest.history import History, read_letters, read_runs
from hookline.log import packing
from hookline.log.home import Home
from hookline.log.log import Log, LogWarning
from hookline.log.rotate import rotate
from testing.faults.injection import CHANGES, KILL
from testing.unit.log.clocks import HandClock

SOURCE = Path(__file__).resolve().parents[2] / "src"
NOTE = 'printf "%s\\n" "$EVENT_ID" >>"$OUT"'
NAMES_AND_TEXTS = ("write", "fsync", "rename", "unlink")
OLD = ArchiveConfig(rotate_age="0s", delete_after="0s")


def archive(home, config=OLD, late_s=3600.0):
    """The steps of a run that comes so much later."""
    clock = HandClock()
    clock.advance(late_s)
    return list(Archive(home, config, clock).run())


def told(steps):
    return [(step.action, step.log, step.segment) for step in steps]


def ids(home):
    return [event.id for event in Log(home).read("a.*")]


def segments(home):
    return sorted(path.name for path in home.segments.iterdir())


def flip(path: Path, offset: int) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


# -- R04: a foreign writer keeps the old file open --------------------------------------------


def test_a_segment_that_a_foreign_writer_holds_waits_for_it_and_its_late_line_is_delivered(bench):
    bench.shell("on-a-b.sh", NOTE, header="# from: beginning")
    first = bench.emit("a.b")
    line = bench.home.live("a").read_bytes().replace(first.encode(), b"late")
    writer = subprocess.Popen(
        ["bash", "-c", 'exec 9>>"$1"; echo open; read -r; printf "%s" "$2" >&9; read -r', "-",
         bench.home.live("a"), line],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout.readline() == b"open\n"
        rotate(bench.home, "a")
        second = bench.emit("a.b")
        (busy,) = archive(bench.home, ArchiveConfig(rotate_age="1d"))
        assert told([busy]) == [("busy", "a", 1)]
        assert f"process {writer.pid} (bash)" in busy.why
        bench.drain()
        assert bench.said() == [first]
        writer.stdin.write(b"\n")
        writer.stdin.flush()
        bench.run_until(lambda: len(bench.verdicts()) == 2)
        assert bench.said() == [first, "late"]
    finally:
        writer.kill()
        writer.communicate()
    assert told(archive(bench.home, ArchiveConfig(rotate_age="1d"))) == [("compressed", "a", 1)]
    bench.drain()
    assert bench.said() == [first, "late", second]


# -- R06: killed at every step ----------------------------------------------------------------


def test_killed_anywhere_every_segment_is_there_and_the_next_run_ends_the_work(points, tmp_path):
    """To be deleted: segments 1 and 2, compressed, and plain with a payload; 3 is the newest."""

    def trial(strike):
        home = Home(tmp_path / f"home{len(trials)}")
        trials.append(home)
        for folder in (home.segments, home.data, home.rejected, home.state, home.handlers):
            folder.mkdir(parents=True)
        log = Log(home)
        for n in range(3):
            for _ in range(3):
                log.append("a.b", source="test", data={"text": "x" * 100})
            rotate(home, "a")
            if n == 0:
                archive(home, ArchiveConfig(rotate_age="1d"))
        log.append("c.d", source="test", data={"text": "x" * 300_000})
        rotate(home, "c")
        log.append("c.d", source="test")
        rotate(home, "c")
        log.append("c.d", source="test")
        before = [event.id for event in log.read()]
        newest = ids(home)[-3:]

        ended = strike(lambda: archive(home, OLD) and None)
        assert ended.status in (0, -signal.SIGKILL), ended
        left = [event.id for event in log.read()]
        assert left == [each for each in before if each in left], "a hole, or another order"
        assert newest == ids(home)[-3:]

        while archive(home, OLD):
            pass
        assert segments(home) == ["a-events.00000003.jsonl.zst", "c-events.00000003.jsonl.zst"]
        assert list(home.data.iterdir()) == []
        assert newest == ids(home)

    trials = []
    struck = points.walk(trial, NAMES_AND_TEXTS, KILL, quick=20)
    assert {point.syscall for point in struck} == set(NAMES_AND_TEXTS)
    points.walk(trial, [each for each in CHANGES if each not in NAMES_AND_TEXTS], KILL, quick=6)


def test_a_segment_that_a_crash_left_in_both_forms_is_read_once_and_made_one(bench):
    for _ in range(2):
        bench.emit("a.b")
    rotate(bench.home, "a")
    before = ids(bench.home)
    plain = bench.home.segments / "a-events.00000001.jsonl"
    text = plain.read_bytes()
    archive(bench.home, ArchiveConfig())
    plain.write_bytes(text)
    assert ids(bench.home) == before
    archive(bench.home, ArchiveConfig())
    assert segments(bench.home) == ["a-events.00000001.jsonl.zst"]
    assert ids(bench.home) == before


def test_on_a_full_disk_what_is_old_makes_room_for_what_is_to_be_compressed(small_disk):
    home = Home(small_disk.root / "home")
    home.segments.mkdir(parents=True)
    for _ in range(2):
        Log(home).append("a.b", source="test", data=os.urandom(40_000).hex())
        rotate(home, "a")
    small_disk.fill()
    assert told(archive(home, ArchiveConfig()))[0][0] == "failed"
    assert segments(home) == ["a-events.00000001.jsonl", "a-events.00000002.jsonl"]
    assert told(archive(home, OLD)) == [("deleted", "a", 1), ("compressed", "a", 2)]
    assert segments(home) == ["a-events.00000002.jsonl.zst"]
    assert len(ids(home)) == 1


# -- R07: the disk turns a bit over -----------------------------------------------------------


@pytest.mark.parametrize("where", [0, 9, 0.5, -1])
def test_a_bit_that_turned_over_is_found_before_the_text_goes(bench, monkeypatch, where):
    for n in range(50):
        bench.emit("a.b", {"n": n})
    rotate(bench.home, "a")
    before = ids(bench.home)
    compare = packing._compare

    def lying_disk(source, target, packed):
        size = os.stat(packed).st_size
        flip(Path(packed), int(size * where) if isinstance(where, float) else where % size)
        compare(source, target, packed)

    monkeypatch.setattr(packing, "_compare", lying_disk)
    (failed,) = archive(bench.home, ArchiveConfig())
    assert failed.action == "failed"
    assert "does not unpack to what was packed: is the disk sound?" in failed.why
    assert segments(bench.home) == ["a-events.00000001.jsonl"]
    assert ids(bench.home) == before


def test_a_bit_that_turns_over_later_costs_that_segment_only(bench):
    bench.shell("on-a-b.sh", NOTE, header="# from: beginning")
    for _ in range(3):
        bench.emit("a.b")
        rotate(bench.home, "a")
    before = ids(bench.home)
    archive(bench.home, ArchiveConfig())
    damaged = bench.home.segments / "a-events.00000002.jsonl.zst"
    flip(damaged, damaged.stat().st_size // 2)
    with pytest.warns(LogWarning, match="segment 2 of a-events is damaged"):
        assert ids(bench.home) == [before[0], before[2]]
    bench.drain()
    assert bench.said() == [before[0], before[2]]
    assert [note for note in bench.spectator.notes if "segment 2 of a-events is damaged" in note]


# -- R09: a cursor inside a segment that is compressed ----------------------------------------


@pytest.mark.parametrize("restart", [False, True], ids=["running", "after a restart"])
def test_a_slow_handler_goes_on_at_its_offset_in_the_compressed_segment(bench, restart):
    bench.shell("on-a-b.sh", NOTE, header="# from: beginning")
    events = [bench.emit("a.b", {"n": n}) for n in range(30)]
    seen = []

    def sealed():
        if len(bench.said()) >= 3 and not seen:
            rotate(bench.home, "a")
            seen.append(told(archive(bench.home, ArchiveConfig(rotate_age="1d"))))
            events.append(bench.emit("a.b"))
        return len(seen) if restart else len(bench.verdicts()) == len(events)

    bench.run_until(sealed)
    bench.drain()
    assert seen == [[("compressed", "a", 1)]]
    # What was under way when the dispatcher ended may have come twice; nothing else has.
    assert list(dict.fromkeys(bench.said())) == events
    assert len(bench.said()) <= len(events) + restart


# -- R10: retention reaches what was not read -------------------------------------------------


def test_retention_refuses_what_a_handler_has_not_read_and_says_who(bench):
    bench.shell("on-a-b.sh", NOTE, header="# from: beginning")
    bench.shell("on-slow.sh", f"exit 75\n{NOTE}", header="# on: a.*   from: beginning")
    events = []
    for _ in range(4):
        events.append(bench.emit("a.b"))
        rotate(bench.home, "a")
    bench.drain()
    steps = archive(bench.home)
    held = [step for step in steps if step.action == "held"]
    assert [(each.handler, each.segment, each.last) for each in held] == [("on-slow.sh", 1, 3)]
    assert held[0].next == "hookline dispatch --once"
    assert ids(bench.home) == events

    bench.shell("on-slow.sh", "exit 99", header="# on: a.*   from: beginning")
    bench.run_until(lambda: bench.verdicts("on-slow.sh").count(("skipped", "settled")) == 4)
    bench.drain()
    steps = archive(bench.home)
    assert [step.segment for step in steps if step.segment] == [1, 2, 3]
    assert ids(bench.home) == events[-1:]
    assert bench.said() == events


def test_before_any_dispatcher_has_run_a_handlers_header_is_same_as_it_needs(bench):
    first = bench.emit("a.b")
    rotate(bench.home, "a")
    bench.emit("a.b")
    rotate(bench.home, "a")
    bench.shell("on-a-b.sh", NOTE, header="# from: beginning")
    (held,) = [step for step in archive(bench.home) if step.action == "held"]
    assert (held.handler, held.segment) == ("on-a-b.sh", 1)
    bench.drain()
    assert bench.said()[0] == first


# -- all of it at once ------------------------------------------------------------------------


def test_nothing_is_lost_while_archivers_and_dispatchers_are_killed_at_random(bus, chance, soak_s):
    """Everything is closed at once and deleted at once; only what handlers need may stay."""
    (bus.home.config / "hookline.toml").write_text(
        '[archive]\nrotate_age = "0s"\ndelete_after = "0s"\n'
    )
    bus.shell("exit 0", header="# attempts: 9   backoff: 1ms   key: subject   concurrency: 4")
    dispatcher, deleted, outage = bus.start(), 0, 0
    begun_s, rounds = time.monotonic(), 0
    while rounds < 12 or time.monotonic() < begun_s + soak_s:
        rounds += 1
        for key in range(1 + chance.randrange(5)):
            bus.emit(f"k{key}")
        archiver = start_archiver(bus)
        if chance.random() < 0.3:
            with contextlib.suppress(subprocess.TimeoutExpired):
                archiver.wait(chance.uniform(0.1, 0.6))
            archiver.kill()
        if outage == 0 and chance.random() < 0.3:
            # For some rounds nobody reads, and the archiver goes on.
            outage = chance.randrange(1, 6)
            dispatcher.kill()
            dispatcher.wait()
        elif outage:
            outage -= 1
            if outage == 0:
                dispatcher = bus.start()
        said, _ = archiver.communicate(timeout=60)
        assert archiver.returncode in (0, -signal.SIGKILL), said
        deleted += said.count(b'"action":"deleted","log":"a"')
    dispatcher.kill()
    dispatcher.wait()
    bus.once()
    assert deleted, "the archiver had nothing to do"
    known = set(bus.acknowledged)
    history = History(
        acknowledged=known,
        runs=read_runs(bus.out),
        letters=read_letters(bus.home.dead_letters),
        known=known,
        order=bus.order,
        attempts_max=9,
    )
    assert history.problems() == []
    assert not bus.letters()


def start_archiver(bus):
    archiver = subprocess.Popen(
        [sys.executable, "-m", "hookline", "archive", "--json"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    bus.processes.append(archiver)
    return archiver
