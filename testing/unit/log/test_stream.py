"""Reading a log as one stream of lines."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hookline.log.files import append_line, open_append
from hookline.log.home import Home
from hookline.log.lease import GRACE_S
from hookline.log.rotate import rotate_stream, seal_stream
from hookline.log.stream import (
    BEGINNING,
    CHUNK_BYTES,
    Chunk,
    LogReplaced,
    SegmentDamaged,
    SegmentGone,
    Stream,
)
from hookline.log.sync import sync_now
from hookline.model.envelope import LINE_BYTES_MAX
from hookline.model.errors import NotAllowed, WriteFailed
from hookline.model.position import Position
from testing.unit.log.clocks import HandClock


class Bench:
    """A log with a reader, and hands for everything that may happen to it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.live = home.live("test")
        self.clock = HandClock()
        self.stream = self.open()

    def open(self) -> Stream:
        return Stream(self.live, self.home.segments, "test-events", clock=self.clock)

    def append(self, *lines: bytes) -> None:
        for line in lines:
            append_line(self.live, line)

    def rotate(self) -> None:
        rotate_stream(self.stream)

    def settle(self) -> None:
        """Let the grace of a segment pass."""
        self.clock.advance(2 * GRACE_S)

    def seal(self) -> list[int]:
        late = HandClock()
        late.advance(3600)
        return seal_stream(self.stream, clock=late)

    def read(self, position: Position, limit_bytes: int = CHUNK_BYTES) -> Chunk:
        return self.stream.read(position, limit_bytes)

    def all(self, position: Position = BEGINNING) -> list[bytes]:
        found: list[bytes] = []
        self.collect(position, found)
        return found

    def collect(self, position: Position, found: list[bytes]) -> None:
        """Read to the end."""
        at_end = False
        while not at_end:
            chunk = self.read(position)
            found += [line.raw for line in chunk.lines]
            position, at_end = chunk.next, chunk.at_end


@pytest.fixture
def bench(home: Home) -> Bench:
    return Bench(home)


def test_a_log_that_is_not_there_yet_is_at_its_end(bench: Bench) -> None:
    chunk = bench.read(BEGINNING)
    assert (chunk.lines, chunk.next, chunk.at_end) == ([], BEGINNING, True)
    bench.append(b"a")
    assert bench.all() == [b"a"]


def test_a_line_that_is_not_whole_is_not_there_yet(bench: Bench) -> None:
    bench.live.write_bytes(b"a\nbcd")
    chunk = bench.read(BEGINNING)
    assert ([line.raw for line in chunk.lines], chunk.next) == ([b"a"], Position(1, 2))
    chunk = bench.read(chunk.next)
    assert ([line.raw for line in chunk.lines], chunk.next) == ([], Position(1, 2))
    assert chunk.at_end
    with open(bench.live, "ab") as file:
        file.write(b"e\n")
    assert [line.raw for line in bench.read(chunk.next).lines] == [b"bcde"]


def test_at_least_one_line_comes_however_small_the_window(bench: Bench) -> None:
    bench.append(b"x" * 200_000, b"y")
    chunk = bench.read(BEGINNING, 1)
    assert [len(line.raw) for line in chunk.lines] == [200_000]
    assert bench.all() == [b"x" * 200_000, b"y"]


def test_a_read_at_the_tail_costs_no_listing_and_no_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(b"a")
    end = bench.read(BEGINNING).next
    for name in ("open", "listdir", "scandir"):
        monkeypatch.setattr(os, name, None)
    bench.read(end)
    with open(bench.live, "ab") as file:
        file.write(b"b\n")
    assert [line.raw for line in bench.read(end).lines] == [b"b"]


def test_positions_go_on_across_a_rotation(bench: Bench) -> None:
    bench.append(b"a")
    end = bench.read(BEGINNING).next
    bench.rotate()
    bench.append(b"b")
    bench.settle()
    chunk = bench.read(end)
    assert [(line.position, line.raw) for line in chunk.lines] == [(Position(2, 0), b"b")]
    assert bench.open().read(Position(2, 0)).lines == chunk.lines


def test_a_closed_segment_is_left_only_after_its_last_writer(bench: Bench) -> None:
    bench.append(b"a")
    paused = open_append(bench.live)
    bench.rotate()
    bench.append(b"c")
    bench.settle()
    chunk = bench.read(BEGINNING)
    assert ([line.raw for line in chunk.lines], chunk.at_end) == ([b"a"], True)
    assert chunk.again_s is not None
    append_line(paused, b"b")
    os.close(paused)
    bench.settle()
    assert bench.all(chunk.next) == [b"b", b"c"]


def test_a_segment_is_left_only_after_the_grace(bench: Bench) -> None:
    bench.append(b"a")
    bench.rotate()
    bench.append(b"b")
    end = bench.read(BEGINNING).next
    chunk = bench.read(end)
    assert (chunk.next, chunk.at_end) == (end, True)
    assert chunk.again_s is not None
    bench.clock.advance(chunk.again_s)
    bench.settle()
    assert bench.all(end) == [b"b"]


def test_whether_a_segment_is_final_is_asked_no_more_than_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(b"a", b"b", b"c")
    bench.rotate()
    bench.settle()
    assert bench.read(BEGINNING, 100).lines
    monkeypatch.setattr("hookline.log.lease.is_open_for_writing", None)
    assert bench.read(Position(1, 2), 2).lines[0].raw == b"b"
    assert bench.read(Position(1, 4), 100).lines[0].raw == b"c"


def test_who_only_looks_does_not_wait_for_writers(bench: Bench) -> None:
    bench.append(b"a")
    paused = open_append(bench.live)
    bench.rotate()
    bench.append(b"b")
    first = bench.stream.read(BEGINNING, patient=False)
    second = bench.stream.read(first.next, patient=False)
    assert [line.raw for line in first.lines + second.lines] == [b"a", b"b"]
    os.close(paused)


def test_the_tail_of_a_final_segment_is_a_line(bench: Bench) -> None:
    bench.append(b"a")
    with open(bench.live, "ab") as file:
        file.write(b"torn")
    bench.rotate()
    bench.append(b"b")
    bench.settle()
    assert bench.all() == [b"a", b"torn", b"b"]


def test_a_compressed_segment_reads_the_same_from_any_place(bench: Bench) -> None:
    bench.append(*(b"line %d" % number for number in range(20_000)))
    bench.rotate()
    bench.settle()
    before = [(line.position, line.raw) for line in bench.read(Position(1, 130_005)).lines]
    assert bench.seal() == [1]
    with bench.open() as other:
        found = other.read(Position(1, 130_005)).lines
        assert [(line.position, line.raw) for line in found] == before
        assert other.read(Position(1, 0)).lines[0].raw == b"line 0"


def test_a_segment_that_is_compressed_while_it_is_read_reads_on(bench: Bench) -> None:
    bench.append(b"a", b"b")
    bench.rotate()
    bench.append(b"c")
    bench.settle()
    chunk = bench.read(BEGINNING, 2)
    assert bench.seal() == [1]
    assert bench.all(chunk.next) == [b"b", b"c"]


def test_a_truncated_log_is_told(bench: Bench) -> None:
    bench.append(b"a" * 50)
    end = bench.read(BEGINNING).next
    os.truncate(bench.live, 0)
    with pytest.raises(LogReplaced, match="was rewritten") as told:
        bench.read(end)
    assert told.value.resume == Position(1, 0)
    bench.append(b"new")
    assert bench.all(told.value.resume) == [b"new"]


def test_a_log_that_was_truncated_and_grew_again_is_told(bench: Bench) -> None:
    bench.append(b"a" * 50)
    end = bench.read(BEGINNING).next
    os.truncate(bench.live, 0)
    bench.append(b"b" * 200)
    with pytest.raises(LogReplaced):
        bench.read(end)


def test_a_cursor_beyond_the_end_is_told(bench: Bench) -> None:
    """A power cut took what was read; or the log was cut while nobody looked."""
    bench.append(b"a")
    with pytest.raises(LogReplaced, match="shorter"):
        bench.read(Position(1, 100))
    with pytest.raises(LogReplaced, match="ends before segment 2") as told:
        bench.read(Position(2, 0))
    assert told.value.resume == Position(1, 0)


@pytest.mark.parametrize("again", [b"", b"new\n"])
def test_a_log_replaced_by_another_file_is_told_after_its_last_line(
    bench: Bench, again: bytes
) -> None:
    bench.append(b"a")
    end = bench.read(BEGINNING).next
    bench.append(b"b")
    bench.live.unlink()
    if again:
        bench.live.write_bytes(again)
    chunk = bench.read(end)
    assert ([line.raw for line in chunk.lines], chunk.at_end) == ([b"b"], False)
    with pytest.raises(LogReplaced, match="removed or replaced") as told:
        bench.read(chunk.next)
    assert bench.all(told.value.resume) == again.split()


def test_a_segment_deleted_before_it_was_read_is_told(bench: Bench) -> None:
    for line in (b"a", b"b", b"c"):
        bench.append(line)
        bench.rotate()
    (bench.home.segments / "test-events.00000001.jsonl").unlink()
    bench.settle()
    assert bench.all(BEGINNING) == [b"b", b"c"]
    with pytest.raises(SegmentGone, match="reading on at 2") as told:
        bench.read(Position(1, 2))
    assert told.value.resume == Position(2, 0)


def test_a_damaged_segment_gives_what_it_has_and_is_then_told(bench: Bench) -> None:
    bench.append(*(os.urandom(40).hex().encode() for _ in range(20_000)))
    bench.rotate()
    bench.append(b"after")
    bench.seal()
    packed = bench.home.segments / "test-events.00000001.jsonl.zst"
    spoiled = bytearray(packed.read_bytes())
    spoiled[len(spoiled) // 2] ^= 0x10
    packed.write_bytes(spoiled)
    found: list[bytes] = []
    with pytest.raises(SegmentDamaged, match="segment 1 of test-events is damaged") as told:
        bench.collect(BEGINNING, found)
    assert 0 < len(found) < 20_000
    assert bench.all(told.value.resume) == [b"after"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_regular_file_is_not_read(bench: Bench, make: Callable[[Path], object]) -> None:
    make(bench.live)
    with pytest.raises(NotAllowed, match=r"remove it|put the file itself there"):
        bench.read(BEGINNING)


def test_a_line_without_an_end_is_searched_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte of garbage must not be read again whenever somebody appends to it."""
    bench.live.write_bytes(b"x" * (8 * LINE_BYTES_MAX))
    assert bench.read(BEGINNING).next == BEGINNING
    read: list[int] = []
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        data = real(fd, size, offset)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", pread)
    assert bench.read(BEGINNING).next == BEGINNING
    assert sum(read) < 2 * LINE_BYTES_MAX
    with open(bench.live, "ab") as file:
        file.write(b"\n")
    (line,) = bench.read(BEGINNING).lines
    assert (line.too_long, line.end) == (True, 8 * LINE_BYTES_MAX + 1)


def test_the_end_is_behind_the_last_whole_line(bench: Bench) -> None:
    assert bench.stream.end() == Position(1, 0)
    bench.live.write_bytes(b"ab\n" + b"c" * 200_000)
    assert bench.stream.end() == Position(1, 3)
    bench.rotate()
    assert bench.stream.end() == Position(2, 0)


def test_a_torn_tail_is_seen_and_healed(bench: Bench) -> None:
    assert not bench.stream.tail_torn()
    bench.stream.heal()
    assert not bench.live.exists()
    bench.live.write_bytes(b"torn")
    assert bench.stream.tail_torn()
    bench.stream.heal()
    assert not bench.stream.tail_torn()
    assert bench.all() == [b"torn"]
    assert bench.live.read_bytes() == b"torn\n"


def test_paths_follow_the_segments(bench: Bench) -> None:
    assert bench.stream.path(1) == bench.live
    bench.append(b"a")
    bench.rotate()
    assert bench.stream.path(1) == bench.home.segments / "test-events.00000001.jsonl"
    assert bench.stream.path(2) == bench.live
    bench.seal()
    assert bench.stream.path(1) == bench.home.segments / "test-events.00000001.jsonl.zst"
    assert bench.stream.path(3) is None
    assert (bench.stream.ordinals(), bench.stream.live_ordinal()) == ([1], 2)
    assert bench.stream.first() == Position(1, 0)


def test_another_log_of_a_similar_name_is_another_log(bench: Bench) -> None:
    for name in (
        "test-events.00000007.jsonl.tmp",
        "test-events.7.jsonl",
        "xtest-events.00000009.jsonl",
    ):
        (bench.home.segments / name).touch()
    (bench.home.segments / "test-events.00000000.jsonl").touch()
    assert bench.stream.ordinals() == []


def test_sync_covers_a_segment_that_was_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(b"a")
    bench.rotate()
    bench.append(b"b")
    bench.settle()
    assert bench.all() == [b"a", b"b"]
    synced: list[str] = []
    for name in ("fdatasync", "fsync"):
        monkeypatch.setattr(os, name, lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    sync_now(bench.stream.begin_sync())
    events = str(bench.home.events)
    assert sorted(synced) == sorted(
        [
            str(bench.live),
            f"{events}/segments/test-events.00000001.jsonl",
            events,
            f"{events}/segments",
        ]
    )
    synced.clear()
    sync_now(bench.stream.begin_sync())
    assert synced == []


def test_a_sync_that_failed_once_never_succeeds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(b"a")
    bench.all()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(5, "EIO")))
        with pytest.raises(WriteFailed):
            sync_now(bench.stream.begin_sync())
    with pytest.raises(WriteFailed, match="segment 1 of test-events cannot be synced"):
        sync_now(bench.stream.begin_sync())


def test_many_logs_need_few_descriptors(bench: Bench) -> None:
    for number in range(12):
        bench.append(b"%d" % number)
        bench.rotate()
    bench.settle()
    before = len(os.listdir("/proc/self/fd"))
    for segment in (1, 5, 9, 2, 7, 3, 11, 4):
        bench.read(Position(segment, 0), 1)
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    bench.stream.close()
    assert len(os.listdir("/proc/self/fd")) <= before
