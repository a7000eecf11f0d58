"""What fails, and when it is said to have risen."""

from hookline.orchestrate.failures import failures
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


def rows(*tellings):
    found = evidence(*tellings)
    return [
        (
            row.error_type,
            row.expert,
            (row.recent, row.recent_of),
            (row.before, row.before_of),
            row.risen,
        )
        for row in failures(found.ends, Stories(found), T0_S + 10 * DAY_S)
    ]


def ends(day, good, bad, expert=None):
    """So many tasks that end well, and so many that do not."""
    for n in range(good + bad):
        task = f"{day}-{expert}-{n}"
        if expert:
            yield decided(day, task, expert)
        yield completed(day, task) if n < good else failed(day, task)


def test_the_last_day_and_the_seven_before_it_are_counted():
    assert rows(failed(1.9, "t"), failed(2.1, "u"), failed(8.9, "v"), failed(9.1, "w")) == [
        (None, None, (1, 1), (2, 2), False),
        ("timeout", None, (1, 1), (2, 2), False),
    ]


def test_by_expert_too():
    assert rows(decided(9, "t", "a"), failed(9.5, "t"), failed(9.5, "u", "disk")) == [
        (None, None, (2, 2), (0, 0), False),
        (None, "a", (1, 1), (0, 0), False),
        ("disk", None, (1, 2), (0, 0), False),
        ("timeout", None, (1, 2), (0, 0), False),
        ("timeout", "a", (1, 1), (0, 0), False),
    ]


def test_a_rise_beyond_doubt_is_one():
    found = rows(*ends(5, 50, 2, "a"), *ends(9.5, 5, 5, "a"))
    assert {row[4] for row in found} == {True}


def test_what_is_as_it_was_has_not_risen():
    assert not any(row[4] for row in rows(*ends(5, 45, 5), *ends(9.5, 18, 4)))


def test_two_failures_are_too_few_to_have_risen():
    assert not any(row[4] for row in rows(*ends(5, 500, 0), *ends(9.5, 0, 2)))
    assert all(row[4] for row in rows(*ends(5, 500, 0), *ends(9.5, 0, 3)))


def test_a_failure_that_is_passed_on_is_one():
    found = rows(
        told("worker.failed", 9.5, {"task_id": "t", "error_type": "disk"}, id="one"),
        told("task.failed", 9.6, {"task_id": "t", "error_type": "disk"}, causationid="one"),
    )
    assert {row[2] for row in found} == {(1, 1)}
