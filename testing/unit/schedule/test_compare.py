"""An old timer beside its schedule."""

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.schedule.compare import compare

MINUTE = 60_000_000
START = 1_700_000_000_000_000
MOMENTS = st.lists(st.integers(0, 40), max_size=5, unique=True)


def minutes(*given):
    return [START + round(each * MINUTE) for each in given]


def test_the_same_times_agree():
    report = compare(minutes(0, 1, 2), minutes(0, 1, 2), MINUTE)
    assert report.agrees
    assert (report.matched, report.offset_us, report.max_us) == (3, 0, 0)
    assert (report.old_every_us, report.new_every_us) == (MINUTE, MINUTE)


def test_a_firing_without_a_tick_is_missed_and_a_tick_without_a_firing_is_extra():
    report = compare(minutes(0, 1, 2, 3), minutes(0, 2, 2.6, 3), MINUTE)
    assert report.missed == tuple(minutes(1))
    assert report.extra == tuple(minutes(2.6))
    assert not report.agrees


def test_a_tick_that_comes_later_than_is_tolerated_is_late():
    report = compare(minutes(0, 1, 2), minutes(0.05, 1.2, 1.8), MINUTE)
    assert report.late == tuple(minutes(1.2))
    assert report.early == tuple(minutes(1.8))
    assert compare(minutes(0, 1), minutes(0.05, 1.2), MINUTE, tolerance_us=MINUTE // 4).agrees


@pytest.mark.parametrize("phase", [0.1, 0.49, 0.5, 0.51, 0.9])
def test_of_loops_a_constant_distance_is_told_and_tolerated(phase):
    wobble = [0.01 if number % 2 else -0.01 for number in range(100)]
    old = minutes(*range(100))
    new = minutes(*(each + phase + wobble[each] for each in range(100)))
    report = compare(old, new, MINUTE, any_phase=True, spans=[(START, START + 100 * MINUTE)])
    assert report.agrees, report
    assert report.matched >= 98
    assert abs(report.offset_us) <= MINUTE * 0.52
    assert not compare(old, new, MINUTE).agrees


def test_of_times_of_day_a_constant_distance_is_late():
    day = 24 * 60
    report = compare(minutes(0, day, 2 * day), minutes(60, day + 60, 2 * day + 60), day * MINUTE,
                     tolerance_us=MINUTE)  # fmt: skip
    assert len(report.late) == 3


def test_a_loop_that_drifts_has_fewer_firings_and_a_longer_span():
    old = minutes(*(each * 1.02 for each in range(100)))
    new = minutes(*range(103))
    report = compare(old, new, MINUTE, any_phase=True)
    assert report.old_every_us == MINUTE * 1.02
    assert len(report.extra) >= 1
    assert not report.agrees


def test_who_may_have_its_other_beyond_the_edge_is_not_judged():
    spans = [(START, START + 10 * MINUTE), (START + 20 * MINUTE, START + 30 * MINUTE)]
    old = minutes(0.1, *range(1, 10), 9.9, 15, 20.2, 25)
    new = minutes(*range(1, 10), 25)
    report = compare(old, new, MINUTE, spans=spans)
    assert (report.matched, report.at_the_edge, report.missed) == (10, 3, ())
    assert report.agrees


def test_of_nothing_nobody_can_say_that_it_agrees():
    assert not compare([], [], MINUTE).agrees


@given(MOMENTS, MOMENTS, st.integers(2, 12))
def test_each_firing_is_counted_once_and_the_two_sides_are_alike(old, new, interval):
    there = compare(old, new, interval)
    back = compare(new, old, interval)
    assert there.matched + len(there.missed) == len(old)
    assert there.matched + len(there.extra) == len(new)
    assert (there.matched, len(there.missed)) == (back.matched, len(back.extra))


@given(MOMENTS, MOMENTS, st.integers(2, 12))
def test_no_choice_of_pairs_would_have_more_of_them(old, new, interval):
    few, many = sorted((old, new), key=len)
    best = max(
        size
        for size in range(len(few) + 1)
        if any(
            all(abs(a - b) <= interval // 2 for a, b in zip(some, others, strict=True))
            for some in combinations(few, size)
            for others in permutations(many, size)
        )
    )
    assert compare(old, new, interval).matched == best


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=50, unique=True),
    st.integers(-10_000_000, 10_000_000),
)
def test_when_the_day_is_makes_no_difference(moments, shift):
    old = [each * 1_000_000 for each in moments]
    report = compare(old, old[1:], 1_000_000)
    later = compare([each + shift for each in old], [each + shift for each in old[1:]], 1_000_000)
    assert later.missed == tuple(each + shift for each in report.missed)
    assert (later.matched, later.p99_us) == (report.matched, report.p99_us)
