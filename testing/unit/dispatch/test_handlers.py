"""What a handler's file says of it, and which files are none."""

import pytest

from hookline.dispatch.handlers import HandlersFolder, discover, is_handler_name
from hookline.model.errors import BadData


def look(bench, name, header="", mode=0o750):
    bench.shell(name, "true", header).chmod(mode)
    found = discover(bench.home.handlers, lambda _: ("a.b",))
    return found.handlers[0] if found.handlers else found.refused[0].reason


def test_the_name_gives_the_type(bench):
    handler = look(bench, "on-system-daemon-start-requested.sh")
    assert handler.patterns == ("system.daemon_start_requested",)


def test_the_header_says_more(bench):
    handler = look(
        bench,
        "on-any.sh",
        "# A word about it.\n# on: a.b c.*\n# timeout: 1m   attempts: 7  key: data.worker_id\n"
        "# concurrency: 4   envelope: cortex   from: beginning  backoff: 250ms",
    )
    assert handler.patterns == ("a.b", "c.*")
    assert (handler.policy.timeout_s, handler.policy.attempts, handler.policy.backoff_s) == (
        60.0,
        7,
        0.25,
    )
    assert (handler.key, handler.concurrency) == (("data", "worker_id"), 4)
    assert (handler.envelope, handler.start) == ("cortex", "beginning")


def test_only_the_comments_at_the_top_count(bench):
    handler = look(bench, "on-a-b.sh", "true\n# on: c.d")
    assert handler.patterns == ("a.b",)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("# on: not-a-type", "not-a-type"),
        ("# timeout: soon", "soon"),
        ("# attempts: 0", "attempts"),
        ("# attempts: -1", "attempts"),
        ("# attempts: 9999999999999999999999", "attempts"),
        ("# concurrency: many", "concurrency"),
        ("# concurrency: 0", "concurrency"),
        ("# key: data", "key"),
        ("# key: data.a; rm", "key"),
        ("# envelope: xml", "xml"),
        ("# from: yesterday", "yesterday"),
        ("# run: warm-ish", "warm-ish"),
        ("# run: python", ".py"),
        ("# timeout: 1s   nonsense: 3", "nonsense"),
        ("# timeout: 1s\n# timeout: 2s", "twice"),
    ],
)
def test_a_wrong_header_is_refused_with_its_reason(bench, header, word):
    reason = look(bench, "on-a-b.sh", header)
    assert isinstance(reason, str)
    assert word in reason


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("on-a-b.sh", True),
        ("on-a-b", True),
        ("on-a-b.py", True),
        ("on-.sh", False),
        ("on-a b.sh", False),
        ("on-a;b.sh", False),
        ("on-a.sh~", False),
        ("on-a.bak", False),
        (".on-a.sh.swp", False),
        ("on-a.swp", False),
        ("on-a.dpkg-new", False),
        ("on-../../x.sh", False),
        ("on-A-B.sh", False),
        ("README.md", False),
    ],
)
def test_leavings_of_editors_and_packagers_are_no_handlers(name, is_one):
    assert is_handler_name(name) is is_one


def test_a_name_without_a_type_needs_a_header(bench):
    assert "# on: TYPE" in look(bench, "on-heartbeat.sh")


def test_a_file_that_is_not_executable_is_same_as_mends_it(bench):
    assert "chmod +x" in look(bench, "on-a-b.sh", mode=0o640)


def test_a_python_file_that_was_refused_is_not_loaded_again_before_it_is_another(bench):
    loaded = []

    def describe(path):
        loaded.append(path.name)
        if "broken" in path.read_text():
            raise BadData(f"{path}: it could not be loaded")
        return ("a.b",)

    folder = HandlersFolder(bench.home.handlers, describe)
    bench.handler("on-a-py.py", "# run: python\n# broken\n")
    first = folder.discover(())
    bench.shell("on-c-d.sh", "true")
    second = folder.discover(first.handlers)
    assert [handler.name for handler in second.handlers] == ["on-c-d.sh"]
    assert second.refused == first.refused
    assert loaded == ["on-a-py.py"]
    bench.handler("on-a-py.py", "# run: python\n")
    third = folder.discover(second.handlers)
    assert [handler.name for handler in third.handlers] == ["on-a-py.py", "on-c-d.sh"]
    assert loaded == ["on-a-py.py"] * 2


def test_a_python_handler_says_its_types_in_its_functions(bench):
    bench.handler("on-a-py.py", "# run: python\n# on: a.b\n")
    found = discover(bench.home.handlers, lambda _: ("a.b",))
    assert "@on" in found.refused[0].reason


@pytest.mark.parametrize(
    ("name", "header", "mode", "patterns"),
    [
        ("on-a-b.sh", "", 0o640, ("a.b",)),
        ("on-a-b.sh", "# on: c.* d.e", 0o640, ("c.*", "d.e")),
        ("on-a-b.sh", "# on: c.*", 0o777, ("*",)),
        ("on-a-b.sh", "# key: a\n# key: b", 0o750, ("*",)),
        ("on-a-b.py", "# run: python\n# batch: 3", 0o640, ("*",)),
    ],
)
def test_of_one_that_is_refused_it_is_known_what_it_asks_for(bench, name, header, mode, patterns):
    bench.shell(name, "true", header).chmod(mode)
    (refused,) = discover(bench.home.handlers, lambda _: ("a.b",)).refused
    assert refused.patterns == patterns
    assert refused.may_want("c.d") == (patterns != ("a.b",))


CORTEX_NAMES = {
    "on-worker-complete.sh": ("worker.completed", "worker.complete"),
    "on-task-complete.sh": ("task.completed", "task.complete"),
    "on-task-failure.sh": ("task.failed", "task.failure"),
    "on-security-alert.sh": ("security.vulnerability_found", "security.alert"),
    "on-routing-decision.sh": ("routing.decision_made", "routing.decision"),
    "on-learning-pattern.sh": ("learning.pattern_detected", "learning.pattern"),
    "on-cleanup-needed.sh": ("system.cleanup_needed", "cleanup.needed"),
    "on-health-alert.sh": ("system.health_alert", "health.alert"),
    "on-system-startup.sh": ("daemon.started", "system.startup"),
    "on-system-shutdown.sh": ("daemon.stopped", "system.shutdown"),
}
CORTEX_RULE = (
    *("worker-started", "worker-failed", "worker-heartbeat", "task-created", "task-assigned"),
    *("security-scan-completed", "learning-model-updated"),
)


def look_in_cortex(bench):
    return discover(bench.home.handlers, lambda _: ("a.b",), cortex=True)


def test_each_name_of_cortex_stands_for_its_type(bench):
    for name in CORTEX_NAMES:
        bench.shell(name, "true")
    for name in CORTEX_RULE:
        bench.shell(f"on-{name}.sh", "true")
    found = look_in_cortex(bench)
    assert found.refused == ()
    patterns = {handler.name: handler.patterns for handler in found.handlers}
    assert {name: patterns[name] for name in CORTEX_NAMES} == CORTEX_NAMES
    for name in CORTEX_RULE:
        assert patterns[f"on-{name}.sh"] == (name.replace("-", ".", 1).replace("-", "_"),)


def test_elsewhere_a_name_says_what_it_says(bench):
    assert look(bench, "on-system-startup.sh").patterns == ("system.startup",)


@pytest.mark.parametrize("cortex", [True, False])
def test_a_header_goes_before_a_name_of_cortex(bench, cortex):
    def patterns(header):
        bench.shell("on-task-failure.sh", "true", header)
        found = discover(bench.home.handlers, lambda _: (), cortex=cortex)
        return found.handlers[0].patterns

    assert patterns("# on: a.b") == ("a.b",)
    assert patterns("# envelope: cortex") == ("task.failed", "task.failure")
    assert patterns("# envelope: cloudevents") == ("task.failure",)


def test_of_two_with_one_work_the_one_that_was_brought_along_runs(bench):
    bench.shell("on-task-failure.sh", "true")
    bench.shell("on-task-failed.sh", "true", "# on: task.failed")
    bench.shell("on-task-failed.py", "true")
    bench.shell("on-task-created.sh", "true")
    found = look_in_cortex(bench)
    assert [each.name for each in found.handlers] == ["on-task-created.sh", "on-task-failure.sh"]
    assert [each.name for each in found.refused] == ["on-task-failed.py", "on-task-failed.sh"]
    assert f"on-task-failure.sh has the same events: rm {bench.home.handlers}" in (
        found.refused[1].reason
    )


def test_both_run_where_their_types_are_said(bench):
    bench.shell("on-task-failure.sh", "true", "# on: task.failed")
    bench.shell("on-task-failed.sh", "true")
    found = look_in_cortex(bench)
    assert (len(found.handlers), found.refused) == (2, ())


def test_one_that_cannot_be_run_stands_in_for_nobody(bench):
    bench.shell("on-task-failure.sh", "true").chmod(0o640)
    bench.shell("on-task-failed.sh", "true")
    found = look_in_cortex(bench)
    assert [each.name for each in found.handlers] == ["on-task-failed.sh"]
    assert found.refused[0].patterns == ("task.failed", "task.failure")


def test_a_python_file_says_its_types_whatever_it_is_called(bench):
    bench.handler("on-task-failure.py", "# run: python\n")
    bench.shell("on-task-failed.sh", "true")
    found = look_in_cortex(bench)
    assert [each.patterns for each in found.handlers] == [("task.failed",), ("a.b",)]
