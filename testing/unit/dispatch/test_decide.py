"""The rules of DESIGN.md section 5, one by one."""

import pytest

from hookline.dispatch.decide import (
    BACKOFF_CAP_S,
    WAIT_MAX_S,
    Outcome,
    Policy,
    decide,
    verdict_of_exit,
)

POLICY = Policy(attempts=3, backoff_s=1.0)


def outcome(verdict, **more):
    return Outcome(verdict=verdict, ms=1.0, **more)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0, "done"),
        (1, "failed"),
        (2, "failed"),
        (64, "rejected"),
        (65, "rejected"),
        (75, "retry"),
        (77, "rejected"),
        (78, "rejected"),
        (99, "skipped"),
        (126, "broken"),
        (127, "broken"),
        (128, "failed"),
        (137, "failed"),
        (255, "failed"),
    ],
)
def test_an_exit_status_has_one_verdict(status, verdict):
    assert verdict_of_exit(status) == verdict


@pytest.mark.parametrize("verdict", ["done", "skipped"])
def test_done_and_skipped_settle(verdict):
    assert decide(outcome(verdict), 1, POLICY, 0.5).then == "settled"


@pytest.mark.parametrize("verdict", ["failed", "retry", "timeout", "interrupted"])
def test_a_failed_attempt_is_tried_again_until_they_are_used_up(verdict):
    plans = [decide(outcome(verdict), attempt, POLICY, 0.5) for attempt in (1, 2, 3)]
    assert [plan.then for plan in plans] == ["retry", "retry", "dead-letter"]


@pytest.mark.parametrize(("attempt", "most_s"), [(1, 2.0), (2, 4.0), (30, BACKOFF_CAP_S)])
def test_the_backoff_is_spread_over_all_of_an_exponential_window_with_a_cap(attempt, most_s):
    policy = Policy(attempts=1000)
    least = decide(outcome("failed"), attempt, policy, 0.0).wait_s
    most = decide(outcome("failed"), attempt, policy, 0.999_999).wait_s
    assert least == 0.0
    assert most == pytest.approx(most_s, rel=1e-4)


def test_a_handler_may_say_when_to_try_again():
    plan = decide(outcome("retry", retry_after_s=90.0), 1, POLICY, 0.5)
    assert plan.wait_s == 90.0


@pytest.mark.parametrize(("asked_s", "wait_s"), [(1.8e12, WAIT_MAX_S), (-1e300, 0.0)])
def test_what_a_handler_asks_for_is_a_day_at_most(asked_s, wait_s):
    plan = decide(outcome("retry", retry_after_s=asked_s), 1, POLICY, 0.5)
    assert plan.wait_s == wait_s


def test_the_first_interruption_is_tried_again_at_once():
    assert decide(outcome("interrupted"), 1, POLICY, 0.9).wait_s == 0.0
    assert decide(outcome("interrupted"), 2, POLICY, 0.9).wait_s > 0.0


def test_a_rejected_event_is_a_dead_letter_at_once():
    plan = decide(outcome("rejected", exit=65), 1, POLICY, 0.5)
    assert (plan.then, plan.pause) == ("dead-letter", "")


@pytest.mark.parametrize("status", [77, 78])
def test_a_handler_that_is_set_up_wrongly_is_paused_too(status):
    plan = decide(outcome("rejected", exit=status), 1, POLICY, 0.5)
    assert plan.then == "dead-letter"
    assert f"exit {status}" in plan.pause


def test_a_broken_handler_holds_its_events_however_often():
    plan = decide(outcome("broken", exit=127), 99, POLICY, 0.5)
    assert plan.then == "held"
    assert "127" in plan.pause


def test_a_looped_event_is_a_dead_letter():
    assert decide(outcome("looped"), 1, POLICY, 0.5).then == "dead-letter"
