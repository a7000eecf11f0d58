"""What is believed of experts."""

from itertools import chain

import pytest

from hookline.orchestrate.learning import EXPERTS_MAX, TASK_TYPES_MAX, Weights
from testing.unit.orchestrate.tale import completed, decided, failed, learned


def served(day, task, expert, *, good=True, confidence=None, **more):
    yield decided(day, task, expert, confidence, **more)
    yield completed(day, task) if good else failed(day, task)


def many(day, expert, good, bad, **more):
    for n in range(good + bad):
        yield from served(day, f"{expert}-{day}-{n}", expert, good=n < good, **more)


def patterns(lesson):
    return [(each.pattern_type, each.master, each.error_type) for each in lesson.patterns]


def test_the_confidence_is_laplaces_rule_over_weighed_outcomes():
    found = learned(*many(10, "a", 8, 2)).experts["a"]
    assert (found.mean, found.successes, found.failures) == (0.75, 8, 2)
    assert (found.outcomes, found.decisions) == (10, 10)
    assert found.low < 0.75 < found.high
    found = learned(*many(3, "a", 8, 2), half_life_s=7 * 86_400).experts["a"]
    assert (found.mean, found.successes, found.failures) == (round(5 / 7, 4), 4, 1)


def test_of_whom_no_outcome_is_known_nothing_is_believed():
    found = learned(decided(1, "t", "a", 0.9)).experts["a"]
    assert (found.mean, found.low, found.high, found.outcomes, found.claimed) == (
        0.5, 0.05, 0.95, 0, None,
    )  # fmt: skip


def test_confidence_falls_with_failures_and_comes_back_as_they_are_forgotten():
    good, bad = [*many(1, "a", 20, 0)], [*many(5, "a", 0, 10)]
    again = [*many(40, "a", 20, 0)]
    means = [
        learned(*tellings, at=at).experts["a"].mean
        for tellings, at in ((good, 2), (good + bad, 6), (good + bad + again, 41))
    ]
    assert means[0] > 0.9 > means[2] > 0.85 > 0.65 > means[1]


def test_types_of_tasks_are_told_apart():
    found = learned(
        *many(9, "a", 9, 1, task_type="code"), *many(8, "a", 1, 9, task_type="scan")
    ).experts["a"]
    assert found.task_types["code"].mean > 0.75 > found.mean > 0.25 > found.task_types["scan"].mean


def test_shares_are_the_chances_of_being_the_best():
    found = learned(*many(9, "a", 18, 2), *many(9, "b", 2, 18), decided(9, "x", "new"))
    shares = {name: each.share for name, each in found.experts.items()}
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    assert shares["a"] > shares["new"] > shares["b"]
    assert Weights.of(found).weights == {name: each for name, each in shares.items() if each}


def test_shares_by_type_are_of_those_that_have_done_such_tasks():
    found = learned(
        *many(9, "a", 9, 1, task_type="code"), *many(9, "b", 5, 5, task_type="code"),
        *many(8, "b", 5, 5, task_type="scan"),
    )  # fmt: skip
    assert found.shares_by_task_type.keys() == {"code"}
    assert found.shares_by_task_type["code"]["a"] > 0.9


def test_what_was_claimed_is_held_against_what_was_shown():
    found = learned(
        *many(9, "boaster", 5, 15, confidence=0.9), *many(9, "modest", 20, 0, confidence=0.5),
        *many(9, "honest", 16, 4, confidence=0.8), *many(9, "few", 0, 9, confidence=1),
    )  # fmt: skip
    assert patterns(found) == [
        ("miscalibrated_confidence", "boaster", ""), ("miscalibrated_confidence", "modest", ""),
    ]  # fmt: skip
    boaster, modest = found.patterns
    assert boaster.optimization.startswith("trust boaster less: 90% claimed in 20 decisions, ")
    assert modest.optimization.startswith("trust modest more: 50% claimed in 20 decisions, ")
    assert (boaster.claimed, boaster.learned) == (0.9, found.experts["boaster"].mean)


def test_only_decisions_with_a_claim_are_held_against_it():
    found = learned(*many(9, "a", 10, 0, confidence=0.95), *many(8, "a", 0, 30))
    assert (found.experts["a"].claims, found.experts["a"].claimed) == (10, 0.95)
    assert patterns(found) == []


def test_a_rise_of_failures_is_a_pattern_of_their_kind_and_of_the_expert():
    found = learned(*many(5, "a", 50, 0), *many(9.5, "a", 2, 6), *many(9.5, "b", 8, 0))
    assert patterns(found) == [("expert_decline", "a", ""), ("failure_rise", "", "timeout")]
    decline, rise = found.patterns
    assert (decline.recent, decline.before) == (0.75, 0)
    assert rise.optimization == (
        "look into timeout: 6 of 16 in the last day, 0 of 50 in the seven days before"
    )


def test_it_says_how_much_it_has_seen():
    found = learned(*many(9, "a", 2, 1), decided(9, "open", "a"), completed(9, "nobody's"))
    assert (found.decisions, found.outcomes, found.undecided) == (4, 3, 1)


def test_nothing_is_learned_of_nothing():
    found = learned()
    assert (found.experts, found.failures, found.patterns) == ({}, (), ())
    assert Weights.of(found).weights == {}


def test_endlessly_many_names_do_not_make_a_lesson_endless():
    kinds = [served(2, f"s{n}", "x", task_type=f"{n}") for n in range(TASK_TYPES_MAX + 5)]
    found = learned(*(decided(1, f"t{n}", f"e{n}") for n in range(EXPERTS_MAX + 5)), *chain(*kinds))
    assert (len(found.experts), found.left_out) == (EXPERTS_MAX, 6)
    assert len(found.experts["x"].task_types) == TASK_TYPES_MAX
