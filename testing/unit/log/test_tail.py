"""Finding the last lines."""

from pathlib import Path

import pytest

from hookline.log.files import append_line
from hookline.log.rotate import rotate_stream
from hookline.log.stream import Stream
from hookline.log.tail import start_of_last
from hookline.model.position import Position


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(tmp_path / "log", tmp_path / "segments", "log")


def write(stream: Stream, *lines: bytes) -> None:
    for line in lines:
        append_line(stream.segments.live, line)


def test_an_empty_log_begins_at_its_beginning(stream: Stream) -> None:
    assert start_of_last(stream, 5) == Position(1, 0)


@pytest.mark.parametrize(("lines", "offset"), [(0, 6), (1, 4), (2, 2), (3, 0), (4, 0), (99, 0)])
def test_it_counts_back_from_the_end(stream: Stream, lines: int, offset: int) -> None:
    write(stream, b"a", b"b", b"c")
    assert start_of_last(stream, lines) == Position(1, offset)


def test_a_line_that_is_not_whole_does_not_count(stream: Stream) -> None:
    write(stream, b"a", b"b")
    with open(stream.segments.live, "ab") as file:
        file.write(b"torn")
    assert start_of_last(stream, 1) == Position(1, 2)


def test_it_goes_back_over_segments(stream: Stream) -> None:
    write(stream, b"a", b"b")
    rotate_stream(stream)
    write(stream, b"c", b"d")
    rotate_stream(stream)
    for lines, place in ((1, (2, 2)), (2, (2, 0)), (3, (1, 2)), (4, (1, 0)), (5, (1, 0))):
        assert start_of_last(stream, lines) == Position(*place)
    write(stream, b"e")
    assert start_of_last(stream, 2) == Position(2, 2)


def test_long_lines_reach_over_many_blocks(stream: Stream) -> None:
    write(stream, b"a" * 200_000, b"b" * 200_000, b"c")
    assert start_of_last(stream, 2) == Position(1, 200_001)
