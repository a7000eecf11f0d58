"""Which file has which ordinal, while it changes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hookline.log.files import append_line
from hookline.log.lease import GRACE_S
from hookline.log.rotate import rotate_stream, seal_stream
from hookline.log.segments import BEGINNING, Segments, after, stems
from hookline.log.stream import Stream
from hookline.model.errors import TryAgain
from hookline.model.position import Position
from testing.unit.log.clocks import HandClock


class Meddler:
    """Does something to a log between two steps of whoever looks at it."""

    def __init__(self, tmp_path: Path) -> None:
        self.live = tmp_path / "log"
        self.folder = tmp_path / "segments"
        self.segments = Segments(str(self.live), str(self.folder), "log", HandClock())

    def append(self, line: bytes) -> None:
        append_line(self.live, line)

    def rotate(self) -> None:
        with Stream(self.live, self.folder, "log") as stream:
            rotate_stream(stream)

    def seal(self) -> None:
        late = HandClock()
        late.advance(10 * GRACE_S)
        with Stream(self.live, self.folder, "log") as stream:
            seal_stream(stream, clock=late)

    def text(self, position: Position) -> bytes:
        opened = self.segments.open(position)
        assert opened is not None
        return opened.read(0, 100)


@pytest.fixture
def meddler(tmp_path: Path) -> Meddler:
    return Meddler(tmp_path)


def before_opening(
    monkeypatch: pytest.MonkeyPatch, path: Path, happens: Callable[[], object]
) -> None:
    """Let something happen just before a file is opened, once."""
    real = os.open

    def open_(name: str, flags: int, mode: int = 0o777) -> int:
        if name == str(path):
            monkeypatch.setattr(os, "open", real)
            happens()
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", open_)


def test_a_rotation_before_the_live_file_is_opened_is_noticed(
    meddler: Meddler, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddler.append(b"one")

    def happens() -> None:
        meddler.rotate()
        meddler.append(b"two")

    before_opening(monkeypatch, meddler.live, happens)
    assert meddler.text(Position(1, 0)) == b"one\n"
    assert meddler.text(Position(2, 0)) == b"two\n"


def test_a_rotation_without_a_new_log_is_noticed(
    meddler: Meddler, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddler.append(b"one")
    before_opening(monkeypatch, meddler.live, meddler.rotate)
    assert meddler.text(Position(1, 0)) == b"one\n"
    assert meddler.segments.open(Position(2, 0)) is None


def test_a_segment_that_is_compressed_just_then_is_found(
    meddler: Meddler, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddler.append(b"one")
    meddler.rotate()
    plain = Path(meddler.segments.plain(1))
    before_opening(monkeypatch, plain, meddler.seal)
    assert meddler.text(Position(1, 0)) == b"one\n"
    assert not plain.exists()


def test_the_live_file_and_its_ordinal_are_found_together(
    meddler: Meddler, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddler.append(b"one")

    def happens() -> None:
        meddler.rotate()
        meddler.append(b"two")

    before_opening(monkeypatch, meddler.live, happens)
    ordinal, opened = meddler.segments.open_live()
    assert opened is not None
    assert (ordinal, opened.ordinal, opened.read(0, 100)) == (2, 2, b"two\n")
    opened.close()


def test_a_log_that_never_stands_still_is_given_up(
    meddler: Meddler, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(2, 10_000))
    monkeypatch.setattr(meddler.segments, "ordinals", lambda: [next(numbers)])
    with pytest.raises(TryAgain):
        meddler.segments.open_live()
    with pytest.raises(TryAgain):
        meddler.segments.open(BEGINNING)


def test_the_beginning_is_the_oldest_there_is(meddler: Meddler) -> None:
    assert meddler.segments.open(BEGINNING) is None
    meddler.append(b"one")
    meddler.rotate()
    meddler.append(b"two")
    meddler.rotate()
    Path(meddler.segments.plain(1)).unlink()
    assert meddler.text(BEGINNING) == b"two\n"


def test_names_that_are_none_of_ours_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.00000001.jsonl", "a.b.00000002.jsonl.zst", ".a.00000003.jsonl.zst.tmp", "x"):
        (tmp_path / name).touch()
    assert stems(str(tmp_path)) == {"a", "a.b"}
    assert Segments("live", str(tmp_path), "a", HandClock()).ordinals() == [1]
    assert stems(str(tmp_path / "missing")) == set()


def test_ordinals_begin_with_one() -> None:
    assert (after([]), after([3, 9])) == (1, 10)
