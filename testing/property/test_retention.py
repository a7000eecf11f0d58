"""Whatever the cursors and the ages are: no segment goes that a handler needs, and none is left
that nobody does."""

from hypothesis import given
from hypothesis import strategies as st

from hookline.dispatch.retention import Need, Segment, plan
from hookline.model.position import Position

AGES = st.lists(st.integers(0, 9), max_size=8)
NEEDS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 50)), max_size=4)


@given(ages=AGES, places=NEEDS, before=st.integers(0, 9))
def test_only_a_beginning_that_is_old_and_needed_by_nobody_goes(ages, places, before):
    segments = [Segment(ordinal=n, size=1, written_s=age) for n, age in enumerate(ages, 1)]
    needs = [
        Need(handler=f"on-{n}.sh", position=Position(*place), why="cursor")
        for n, place in enumerate(places)
    ]
    planned = plan(segments, needs, before)
    gone = [each.ordinal for each in planned.delete]
    held = [each.segment.ordinal for each in planned.held]

    assert gone == list(range(1, len(gone) + 1))
    assert all(need.position.segment > ordinal for need in needs for ordinal in gone)
    assert all(ages[ordinal - 1] < before for ordinal in gone + held)
    assert not segments or segments[-1].ordinal not in gone
    assert all(each.by for each in planned.held)

    first_kept = len(gone) + 1
    if first_kept < len(segments):
        assert ages[first_kept - 1] >= before or first_kept in held
