"""Which decision gets the credit, and the blame."""

import pytest

from hookline.orchestrate.stories import Stories
from testing.unit.orchestrate.tale import (
    DAY_S,
    T0_S,
    completed,
    decided,
    evidence,
    failed,
    told,
)


def outcomes(*tellings):
    stories = Stories(evidence(*tellings))
    found = stories.outcomes(T0_S + 10 * DAY_S, 5 * DAY_S)
    return sorted((each.decision.expert, each.task_type, not each.has_failed) for each in found)


def test_who_was_chosen_last_before_the_end_has_it():
    assert outcomes(
        decided(1, "t", "a"), failed(2, "t"), decided(3, "t", "b"), completed(4, "t"),
        decided(5, "t", "c"),
    ) == [("a", "", False), ("b", "", True)]  # fmt: skip


def test_an_end_at_the_same_moment_belongs_to_the_decision():
    assert outcomes(decided(1, "t", "a"), completed(1, "t")) == [("a", "", True)]


def test_who_failed_and_tried_again_has_succeeded():
    assert outcomes(decided(1, "t", "a"), failed(2, "t"), completed(3, "t")) == [("a", "", True)]
    assert outcomes(decided(1, "t", "a"), completed(3, "t"), failed(4, "t")) == [("a", "", False)]


def test_the_last_end_counts_in_whatever_order_they_were_logged():
    assert outcomes(decided(1, "t", "a"), completed(3, "t"), failed(2, "t")) == [("a", "", True)]
    assert outcomes(decided(1, "t", "a"), failed(2, "t"), completed(2, "t")) == [("a", "", False)]
    assert outcomes(decided(1, "t", "a"), completed(2, "t"), failed(2, "t")) == [("a", "", False)]


def test_one_decision_has_one_outcome_however_many_tell_of_it():
    assert outcomes(
        decided(1, "t", "a"), told("worker.completed", 2, {"task_id": "t", "worker_id": "w"}),
        completed(2, "t"), completed(3, "t"),
    ) == [("a", "", True)]  # fmt: skip


def test_an_assignment_counts_where_nobody_was_named():
    assigned = told("routing.decision_made", 2, {"task_id": "t", "worker_type": "implementer"})
    assert outcomes(assigned, completed(3, "t")) == [("implementer", "", True)]
    assert outcomes(decided(1, "t", "a"), assigned, completed(3, "t")) == [("a", "", True)]


def test_the_type_is_that_of_the_decision_or_else_of_the_task():
    created = told("task.created", 0, {"task_id": "t", "type": "code"})
    assert outcomes(created, decided(1, "t", "a"), completed(2, "t")) == [("a", "code", True)]
    assert outcomes(created, decided(1, "t", "a", task_type="scan"), completed(2, "t")) == [
        ("a", "scan", True)
    ]


def test_ends_and_decisions_of_no_task_have_nothing_to_do_with_each_other():
    assert outcomes(told("routing.decision", 1, {"master": "a"}), told("task.failed", 2, {})) == []


def test_an_outcome_counts_half_after_a_half_life_and_one_ahead_of_the_clock_once():
    stories = Stories(
        evidence(
            *(
                each
                for day in (0, 5, 10, 11)
                for each in (decided(day, f"{day}", "a"), completed(day, f"{day}"))
            )
        )
    )
    found = [each.weight for each in stories.outcomes(T0_S + 10 * DAY_S, 5 * DAY_S)]
    assert sorted(found) == pytest.approx([0.25, 0.5, 1, 1])
