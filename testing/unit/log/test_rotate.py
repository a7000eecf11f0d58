"""Closing live logs, and compressing closed segments."""

import fcntl
import os
from pathlib import Path

import pytest

from hookline.log import packing
from hookline.log import rotate as rotating
from hookline.log.files import append_line, open_append
from hookline.log.home import Home
from hookline.log.packing import Unpacked
from hookline.log.rotate import remove_segment, rotate, seal, seal_segment, seal_stream
from hookline.log.stream import BEGINNING, Stream
from hookline.model.errors import BadConfig, BadData, CannotCreate, TryAgain, WriteFailed
from hookline.model.position import Position
from testing.unit.log.clocks import HandClock


def write(home: Home, text: bytes) -> Path:
    append_line(home.live("test"), text)
    return home.live("test")


def seal_late(home: Home) -> list[int]:
    """Seal as if all grace had passed."""
    clock = HandClock()
    clock.advance(3600)
    with Stream.of_domain(home, "test") as stream:
        return seal_stream(stream, clock=clock)


def segment(home: Home, ordinal: int, suffix: str = "") -> Path:
    return home.segments / f"test-events.{ordinal:08d}.jsonl{suffix}"


def text_of(packed: Path) -> bytes:
    fd = os.open(packed, os.O_RDONLY)
    unpacked = Unpacked(fd, str(packed.parent))
    try:
        return unpacked.read(0, 1 << 30)
    finally:
        unpacked.close()
        os.close(fd)


def test_rotation_is_one_rename(home: Home) -> None:
    live = write(home, b"a")
    inode = live.stat().st_ino
    assert rotate(home, "test") == Position(2, 0)
    assert not live.exists()
    assert segment(home, 1).stat().st_ino == inode
    write(home, b"b")
    assert rotate(home, "test") == Position(3, 0)
    assert segment(home, 2).read_bytes() == b"b\n"


def test_an_empty_or_missing_log_stays(home: Home) -> None:
    assert rotate(home, "test") is None
    home.live("test").touch()
    assert rotate(home, "test") is None
    assert home.live("test").exists()


def test_a_log_is_closed_only_beyond_a_size(home: Home) -> None:
    write(home, b"abc")
    assert rotate(home, "test", larger_than=4) is None
    assert rotate(home, "test", larger_than=3) == Position(2, 0)


def test_ordinals_go_on_after_the_newest_that_is_left(home: Home) -> None:
    segment(home, 41, ".zst").touch()
    write(home, b"a")
    assert rotate(home, "test") == Position(43, 0)


def test_no_segment_is_closed_under_an_ordinal_that_readers_do_not_know(home: Home) -> None:
    segment(home, 99_999_999).touch()
    live = write(home, b"a")
    for _ in range(2):
        with pytest.raises(BadConfig, match="no ordinal left"):
            rotate(home, "test")
    assert live.read_bytes() == b"a\n"
    assert [path.name for path in home.segments.iterdir()] == ["test-events.99999999.jsonl"]


def test_one_rotates_at_a_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "LOCK_WAIT_S", 0.05)
    write(home, b"a")
    other = os.open(home.segments, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(TryAgain, match="locked"):
        rotate(home, "test")
    os.close(other)
    assert rotate(home, "test") is not None


def test_a_hard_linked_log_is_not_rotated(home: Home) -> None:
    write(home, b"a")
    (home.root / "other").hardlink_to(home.live("test"))
    with pytest.raises(CannotCreate, match="hard link"):
        rotate(home, "test")


def test_a_rotation_that_fails_leaves_the_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    live = write(home, b"a")

    def rename(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(WriteFailed, match="No space"):
        rotate(home, "test")
    assert live.read_bytes() == b"a\n"
    write(home, b"b")


def test_a_sealed_segment_is_one_frame_with_the_same_text(home: Home) -> None:
    write(home, b"a" * 500_000)
    rotate(home, "test")
    changed_ns = segment(home, 1).stat().st_mtime_ns
    assert seal_late(home) == [1]
    assert not segment(home, 1).exists()
    packed = segment(home, 1, ".zst")
    assert text_of(packed) == b"a" * 500_000 + b"\n"
    assert packed.stat().st_size < 1000
    assert packed.stat().st_mtime_ns == changed_ns
    assert packed.stat().st_mode & 0o777 == 0o640 & ~current_umask()
    assert seal_late(home) == []


def test_a_segment_is_not_sealed_while_somebody_may_write(home: Home) -> None:
    writer = open_append(write(home, b"a"))
    rotate(home, "test")
    assert seal_late(home) == []
    append_line(writer, b"late")
    os.close(writer)
    assert seal(home, "test") == []
    assert seal_late(home) == [1]
    assert text_of(segment(home, 1, ".zst")) == b"a\nlate\n"


def test_the_live_log_is_never_sealed(home: Home) -> None:
    write(home, b"a")
    assert seal_late(home) == []


def test_readers_do_not_hold_it_up(home: Home) -> None:
    write(home, b"a")
    rotate(home, "test")
    with open(segment(home, 1), "rb"), open(segment(home, 1), "rb"):
        assert seal_late(home) == [1]


def test_a_torn_tail_is_ended_before_sealing(home: Home) -> None:
    home.live("test").write_bytes(b"a\ntorn")
    rotate(home, "test")
    assert seal_late(home) == [1]
    assert text_of(segment(home, 1, ".zst")) == b"a\ntorn\n"


def test_one_seals_at_a_time(home: Home) -> None:
    write(home, b"a")
    rotate(home, "test")
    with open(segment(home, 1), "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert seal_late(home) == []
    assert seal_late(home) == [1]


def test_an_empty_segment_stays_as_it_is(home: Home) -> None:
    segment(home, 1).touch()
    write(home, b"a")
    assert seal_late(home) == []
    with Stream.of_domain(home, "test") as stream:
        assert stream.read(BEGINNING, patient=False).lines[0].raw == b"a"


def test_what_a_crash_left_is_cleared_up(home: Home) -> None:
    """Before the rename: a half-written frame. After it: both files."""
    write(home, b"a")
    rotate(home, "test")
    leftover = home.segments / ".test-events.00000001.jsonl.zst.tmp"
    leftover.write_bytes(b"half" * 1000)
    segment(home, 1, ".zst").write_bytes(b"from a crash just before the plain file was removed")
    assert seal_late(home) == [1]
    assert text_of(segment(home, 1, ".zst")) == b"a\n"
    assert sorted(os.listdir(home.segments)) == ["test-events.00000001.jsonl.zst"]


def test_a_frame_that_does_not_prove_right_replaces_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, b"a")
    rotate(home, "test")
    real = os.fsync

    def spoil(fd: int) -> None:
        real(fd)
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".tmp"):
            os.pwrite(fd, b"\xff", os.fstat(fd).st_size - 3)

    monkeypatch.setattr(os, "fsync", spoil)
    with pytest.raises(BadData, match="is the disk sound"):
        seal_late(home)
    assert os.listdir(home.segments) == ["test-events.00000001.jsonl"]


def test_growth_while_it_is_compressed_keeps_the_plain_file(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, b"a")
    rotate(home, "test")
    real = packing.pack

    def pack(plain: str, packed: str) -> int:
        size = real(plain, packed)
        append_line(plain, b"late")
        return size

    monkeypatch.setattr(rotating, "pack", pack)
    assert seal_late(home) == []
    assert os.listdir(home.segments) == ["test-events.00000001.jsonl"]
    monkeypatch.setattr(rotating, "pack", real)
    assert seal_late(home) == [1]
    assert text_of(segment(home, 1, ".zst")) == b"a\nlate\n"


def test_the_frame_is_on_disk_under_its_name_before_the_text_goes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, b"a")
    rotate(home, "test")
    steps: list[str] = []
    real_fsync, real_replace, real_unlink = os.fsync, os.replace, os.unlink

    def fsync(fd: int) -> None:
        steps.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real_fsync(fd)

    def replace(source: str, target: str) -> None:
        steps.append("rename")
        real_replace(source, target)

    def unlink(path: str) -> None:
        steps.append("remove")
        real_unlink(path)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "unlink", unlink)
    seal_late(home)
    assert steps == [
        "sync .test-events.00000001.jsonl.zst.tmp", "rename", "sync segments", "remove",
        "sync segments",
    ]  # fmt: skip


def current_umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


def removed(home: Home, ordinal: int) -> bool:
    clock = HandClock()
    clock.advance(3600)
    with Stream.of_domain(home, "test") as stream:
        return remove_segment(stream, ordinal, clock=clock)


def two_segments(home: Home) -> None:
    for text in (b"a", b"b"):
        write(home, text)
        rotate(home, "test")


def test_an_old_segment_is_deleted_in_whatever_form_it_lies_there(home: Home) -> None:
    two_segments(home)
    segment(home, 1, ".zst").touch()
    assert removed(home, 1)
    assert [path.name for path in home.segments.iterdir()] == ["test-events.00000002.jsonl"]


def test_the_newest_segment_is_never_deleted(home: Home) -> None:
    two_segments(home)
    with pytest.raises(ValueError, match="ordinals would start again"):
        removed(home, 2)


def test_a_segment_that_somebody_can_write_to_is_neither_deleted_nor_sealed(home: Home) -> None:
    write(home, b"a")
    with home.live("test").open("ab"):
        rotate(home, "test")
        write(home, b"b")
        rotate(home, "test")
        assert not removed(home, 1)
        clock = HandClock()
        clock.advance(3600)
        with Stream.of_domain(home, "test") as stream:
            assert not seal_segment(stream, 1, clock=clock)
    assert segment(home, 1).exists()
    assert removed(home, 1)
