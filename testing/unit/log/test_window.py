"""What can be read of a segment from one place."""

from pathlib import Path

import pytest

from hookline.log.opened import Opened, open_read
from hookline.log.window import Rewritten, Window
from hookline.model.envelope import RECORD_PREFIX
from testing.unit.log.clocks import HandClock

MAX = 64


@pytest.fixture
def window() -> Window:
    return Window(MAX)


def opened(tmp_path: Path, data: bytes) -> Opened:
    (tmp_path / "log").write_bytes(data)
    return Opened(open_read(str(tmp_path / "log")), 1, HandClock(), closed=False)


def test_whole_lines_and_whether_that_was_all(tmp_path: Path, window: Window) -> None:
    log = opened(tmp_path, b"ab\ncd\nef")
    taken = window.take(log, 0, 100, final=False)
    assert (taken.data, taken.after, taken.all_read) == (b"ab\ncd\n", 6, True)
    taken = window.take(log, 0, 4, final=False)
    assert (taken.data, taken.after, taken.all_read) == (b"ab\n", 3, False)


def test_the_end_of_a_final_file_ends_its_line(tmp_path: Path, window: Window) -> None:
    taken = window.take(opened(tmp_path, b"ab\ncd"), 0, 100, final=True)
    assert (taken.data, taken.after) == (b"ab\ncd", 5)


def test_a_line_longer_than_the_window_comes_alone(tmp_path: Path, window: Window) -> None:
    log = opened(tmp_path, b"\0\0" + b"a" * 40 + b"\nb\n")
    taken = window.take(log, 0, 4, final=False)
    assert taken.lines is not None
    assert [(line.raw, line.position.offset) for line in taken.lines] == [(b"a" * 40, 2)]
    assert (taken.after, taken.all_read) == (43, False)


@pytest.mark.parametrize("final", [False, True])
def test_a_line_longer_than_the_window_and_not_ended(
    tmp_path: Path, window: Window, final: bool
) -> None:
    taken = window.take(opened(tmp_path, b"a" * 40), 0, 4, final=final)
    assert taken.after == (40 if final else 0)
    assert [line.raw for line in taken.lines or []] == ([b"a" * 40] if final else [])


def test_a_piece_of_a_too_long_line_ends_at_a_record(tmp_path: Path, window: Window) -> None:
    log = opened(tmp_path, b"a" * 100 + RECORD_PREFIX + b"b" * 10)
    taken = window.take(log, 0, 4, final=False)
    assert taken.lines is not None
    assert [(line.too_long, line.end) for line in taken.lines] == [(True, 100)]
    assert taken.after == 100


def test_a_prefix_over_two_blocks_is_seen(
    tmp_path: Path, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookline.log.window._BLOCK_BYTES", 50)
    for length in range(MAX, 160):
        log = opened(tmp_path, b"a" * length + RECORD_PREFIX + b"b")
        assert window.take(log, 0, 4, final=False).after == length
        window = Window(MAX)


def test_a_boundary_that_is_gone_is_told(tmp_path: Path, window: Window) -> None:
    log = opened(tmp_path, b"ab\ncd\n")
    log.boundary = 3
    assert window.take(log, 3, 100, final=False).data == b"cd\n"
    (tmp_path / "log").write_bytes(b"rewritten\n")
    with pytest.raises(Rewritten):
        window.take(log, 3, 100, final=False)


def test_an_offset_beyond_the_end_is_told(tmp_path: Path, window: Window) -> None:
    log = opened(tmp_path, b"ab\n")
    assert window.take(log, 3, 100, final=False).after == 3
    with pytest.raises(Rewritten):
        window.take(log, 4, 100, final=False)
