"""What an event tells, and what none can make it tell."""

import pytest

from hookline.orchestrate.evidence import UNKNOWN
from testing.unit.orchestrate.tale import T0_S, completed, decided, evidence, failed, told


def test_a_decision_names_its_expert_where_the_handler_looks():
    found = evidence(
        told("routing.decision", 1, {"task_id": "t", "master": "b", "_metadata": {"master": "a"}}),
        told("routing.decision_made", 1, {"task_id": "t", "master": "b"}),
        told("routing.decision_made", 1, {"task_id": "t", "worker_type": "c"}),
        told("routing.decision_made", 1, {"task_id": "t"}),
    )
    assert [(each.expert, each.is_named) for each in found.decisions] == [
        ("a", True), ("b", True), ("c", False),
    ]  # fmt: skip


def test_a_task_is_known_by_its_id_or_else_by_the_correlation():
    found = evidence(
        told("task.completed", 1, {"task_id": "t"}, correlationid="c"),
        told("worker.completed", 1, {"worker_id": "w"}, correlationid="c"),
        told("worker.completed", 2, {"worker_id": "w"}),
    )
    assert [each.task for each in found.ends] == ["t", "c", ""]


def test_an_identity_counts_once_and_two_sources_may_use_an_id():
    found = evidence(
        told("task.completed", 1, {"task_id": "t"}, id="one"),
        told("task.completed", 2, {"task_id": "u"}, id="one"),
        told("task.completed", 2, {"task_id": "u"}, id="one", source="other"),
    )
    assert [(each.task, each.at_s - T0_S) for each in found.ends] == [("t", 86_400), ("u", 172_800)]


@pytest.mark.parametrize("status", ["failed", "failure", "error"])
def test_a_completion_that_says_it_failed_is_a_failure(status):
    found = evidence(
        told("worker.completed", 1, {"task_id": "t", "status": status}), completed(2, "t")
    )
    assert [each.has_failed for each in found.ends] == [True, False]


def test_a_failure_has_its_kind_or_its_reason():
    found = evidence(
        failed(1, "t", "disk", failure_reason="no room"),
        told("worker.failed", 1, {"failure_reason": "no \x1b[2J room" + "m" * 300}),
        told("worker.failed", 1, {}),
    )
    kinds = [each.error_type for each in found.ends]
    assert (kinds[0], kinds[2]) == ("disk", UNKNOWN)
    assert kinds[1].startswith("no \\u001b[2J room")


@pytest.mark.parametrize("name", [7, None, "", ["a"], "a" * 257, "a\x1b[2J", "a\nb", "\u202ea"])
def test_what_is_not_fit_for_a_name_is_none(name):
    found = evidence(
        told("routing.decision_made", 1, {"master": name}),
        told("task.created", 1, {"task_id": name, "type": "code"}),
        told("task.created", 1, {"task_id": "t", "type": name}),
        told("task.completed", 1, {"task_id": name}),
    )
    assert (found.decisions, found.kinds, [each.task for each in found.ends]) == ([], [], [""])


@pytest.mark.parametrize("claim", [True, "0.9", -0.1, 1.1, None, [1], float("nan")])
def test_what_is_no_confidence_is_none(claim):
    (found,) = evidence(
        told("routing.decision_made", 1, {"master": "a", "confidence": claim})
    ).decisions
    assert found.confidence is None


def test_a_confidence_may_be_a_whole_number():
    found = evidence(decided(1, "t", "a", 1), decided(2, "t", "a", 0), decided(3, "t", "a", 0.5))
    assert [each.confidence for each in found.decisions] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("data", [None, 7, "text", [1], [{"master": "a"}]])
def test_data_that_is_no_object_tells_nothing(data):
    found = evidence(told("routing.decision_made", 1, data), told("task.failed", 1, data))
    assert (found.decisions, found.ends) == ([], [])
