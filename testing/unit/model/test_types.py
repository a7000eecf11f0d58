"""Which texts are types, what patterns choose, what handler names stand for."""

import pytest

from hookline.model.errors import BadData
from hookline.model.types import (
    check_type,
    domain_of,
    domain_of_pattern,
    handler_event_type,
    is_pattern,
    is_type,
    matches,
)

GOOD = ["worker.started", "a.b", "a_1.b_2.c", "a.0", "a._", "w." + "x" * 94]
BAD = [
    "",
    " ",
    ".",
    "..",
    "a",
    "a.",
    ".a",
    "a..b",
    "A.b",
    "a.B",
    "1.b",
    "_a.b",
    "a.b.",
    "a.b ",
    " a.b",
    "a.b\n",
    "a-b.c",
    "a/b.c",
    "../../x",
    "..",
    "a.b/../c",
    ".hidden",
    "-n",
    "--help",
    "$(touch p).x",
    "a.`id`",
    "a.b;id",
    "a.b|id",
    "a.*",
    "*",
    "a.[a-z]",
    "a.{a,b}",
    "~root.x",
    "a.%s%n",
    "a[$(id)].b",
    "\u0430.b",
    "a.é",
    "a.b\0",
    "a.٣",
    "w." + "x" * 95,
]


@pytest.mark.parametrize("text", GOOD)
def test_a_type_is_taken_as_it_is(text):
    assert is_type(text)
    assert check_type(text) == text


@pytest.mark.parametrize("text", BAD)
def test_no_other_text_is_a_type(text):
    assert not is_type(text)
    with pytest.raises(BadData, match="type "):
        check_type(text)


def test_the_domain_is_the_part_before_the_first_dot():
    assert domain_of("worker.pool.full") == "worker"


@pytest.mark.parametrize(
    "text", ["*", "worker.*", "worker.pool.*", "*.failed", "*.pool.full", "a.b"]
)
def test_a_pattern_has_its_star_at_one_end(text):
    assert is_pattern(text)


@pytest.mark.parametrize("text", ["", "**", "*.*", "*x", "x*", "a.*.b", "*.", ".*", "a.*\n", "A.*"])
def test_no_other_text_is_a_pattern(text):
    assert not is_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "chosen", "passed_over"),
    [
        ("*", ["a.b", "task.failed.twice"], []),
        ("worker.*", ["worker.started", "worker.pool.full"], ["workers.started", "task.worker"]),
        ("worker.pool.*", ["worker.pool.full"], ["worker.pool", "worker.pools.full"]),
        ("*.failed", ["task.failed", "worker.task.failed"], ["task.unfailed", "failed.task"]),
        ("task.failed", ["task.failed"], ["task.failed.twice", "xtask.failed"]),
    ],
)
def test_a_pattern_chooses(pattern, chosen, passed_over):
    assert [type for type in chosen + passed_over if matches(pattern, type)] == chosen


@pytest.mark.parametrize(
    ("pattern", "domain"),
    [("worker.*", "worker"), ("task.failed", "task"), ("*.failed", None), ("*", None)],
)
def test_a_pattern_may_have_one_domain_only(pattern, domain):
    assert domain_of_pattern(pattern) == domain


@pytest.mark.parametrize(
    ("stem", "type"),
    [
        ("on-worker-heartbeat", "worker.heartbeat"),
        ("on-system-daemon-start-requested", "system.daemon_start_requested"),
        ("on-task_queue-full", "task_queue.full"),
        ("on-backup", None),
        ("on-", None),
        ("on--x", None),
        ("on-a-b.c", None),
        ("on-A-b", None),
        ("on-a b-c", None),
        ("off-worker-heartbeat", None),
        ("worker-heartbeat", None),
    ],
)
def test_a_handler_name_stands_for_a_type(stem, type):
    assert handler_event_type(stem) == type
