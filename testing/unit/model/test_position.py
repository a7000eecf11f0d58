"""Positions are the order of a domain."""

from hookline.model.position import Position


def test_positions_compare_by_segment_and_then_by_offset():
    in_log_order = [Position(1, 0), Position(1, 900), Position(2, 0), Position(10, 5)]
    shuffled = [in_log_order[at] for at in (2, 0, 3, 1)]
    assert sorted(shuffled) == in_log_order
