"""Which events of a domain were stored before, in little memory."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hookline.dispatch.twins import Twins
from hookline.model.position import Position


def lines(lengths, segment):
    """So many lines of these lengths, with a gap where a length is none."""
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    return [(Position(segment, start), Position(segment, end)) for start, end in pairwise(ends)]


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(1, 3)), max_size=60))
def test_just_the_lines_that_were_added_are_twins(drawn):
    twins, expected, everything = Twins(), set(), []
    for segment in (1, 2, 3):
        mine = [each for each in drawn if each[2] <= segment]
        everything += zip(lines([each[0] for each in mine], segment), mine, strict=True)
    for (position, end), (_, is_twin, _) in everything:
        if is_twin:
            twins.add(position, end)
            expected.add(position)
    for known in (twins, Twins(twins.stretches())):
        assert {position for (position, _), _ in everything if position in known} == expected
        for (start, _), (_, end) in zip(
            [each for each, _ in everything], [each for each, _ in everything[2:]], strict=False
        ):
            within = {each for each in expected if start <= each < end}
            assert known.touch(start, end) == bool(within) or start.segment != end.segment
    twins.forget_before(Position(3, 0))
    told = {position for (position, _), _ in everything if position in twins}
    assert told == {position for position in expected if position.segment == 3}
    assert all(segment == 3 for segment in twins.stretches())


def test_twins_side_by_side_are_one_stretch():
    twins = Twins()
    for position, end in lines([100] * 10_000, 4):
        twins.add(position, end)
    assert twins.stretches() == {4: [0, 1_000_000]}
