"""Cutting bytes into lines."""

from hookline.log.lines import SHOWN_BYTES_MAX, Line, cut
from hookline.model.envelope import LINE_BYTES_MAX, RECORD_PREFIX
from hookline.model.position import Position


def at(offset: int, end: int, raw: bytes, too_long: bool = False) -> Line:
    return Line(Position(3, offset), end, raw, too_long)


def test_each_line_has_its_place() -> None:
    assert cut(b"ab\nc\n", 3, 100) == [at(100, 103, b"ab"), at(103, 105, b"c")]


def test_a_last_line_without_a_newline_is_one_too() -> None:
    assert cut(b"ab\nc", 3, 0) == [at(0, 3, b"ab"), at(3, 4, b"c")]


def test_empty_lines_are_left_out() -> None:
    assert cut(b"\n\na\n\n", 3, 0) == [at(2, 4, b"a")]


def test_only_a_newline_ends_a_line() -> None:
    text = "a\r\x0b\x0c\x1c\x85\u2028b".encode()
    assert [line.raw for line in cut(text + b"\n", 3, 0)] == [text]


def test_nuls_at_the_edges_are_skipped() -> None:
    assert cut(b"\0\0ab\0\n\0\0\nc\n", 3, 0) == [at(2, 6, b"ab"), at(9, 11, b"c")]


def test_nuls_inside_stay_for_the_parser_to_split_at() -> None:
    assert cut(b"a\0b\n", 3, 0) == [at(0, 4, b"a\0b")]


def test_the_longest_line_is_whole_and_the_next_longer_one_is_not() -> None:
    longest = b"x" * (LINE_BYTES_MAX - 1)
    assert cut(longest + b"\n", 3, 0) == [at(0, LINE_BYTES_MAX, longest)]
    assert cut(longest + b"x\n", 3, 0) == [at(0, LINE_BYTES_MAX + 1, b"x" * SHOWN_BYTES_MAX, True)]


def test_a_record_behind_a_torn_one_is_found_though_both_are_too_long_together() -> None:
    torn = RECORD_PREFIX + b"a" * 150_000
    whole = RECORD_PREFIX + b"b" * 150_000
    assert cut(torn + whole + b"\n", 3, 0) == [
        at(0, len(torn), torn),
        at(len(torn), len(torn + whole) + 1, whole),
    ]


def test_a_record_behind_a_power_cut_is_found() -> None:
    lost = b"a" * 100 + b"\0" * LINE_BYTES_MAX
    assert cut(lost + b"whole\n", 3, 0) == [
        at(0, len(lost), b"a" * 100),
        at(len(lost), len(lost) + 6, b"whole"),
    ]
