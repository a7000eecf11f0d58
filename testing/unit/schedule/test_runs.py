"""The log as the history of runs."""

import itertools

import pytest

from hookline.log.log import Log
from hookline.model.clock import parse_rfc3339
from hookline.schedule.layers import alone
from hookline.schedule.recurrence import microseconds
from hookline.schedule.runs import (
    COMPLETED,
    STARTED,
    Begun,
    Run,
    StepRun,
    builtins,
    last_done_us,
    last_runs,
    runs,
)


@pytest.fixture
def log(home):
    """Writes runs into the log of a home."""
    home.layers.mkdir()
    written = Log(home)
    numbers = itertools.count(1)

    def write(layer="a", status="success", *, run="", data=None, big=0):
        number = next(numbers)
        run = run or f"run-{number}"
        begun = Begun(run=run, layer=layer, layer_hash="0" * 16, trigger="manual")
        written.append(STARTED, source="test", id=run, data=builtins(begun))
        if status != "running":
            ended = Run(
                **{name: getattr(begun, name) for name in Begun.__struct_fields__},
                status=status,
                started_at="2026-11-21T04:00:00.000000Z",
                completed_at=f"2026-11-21T05:{number % 60:02d}:00.000000Z",
                steps=(StepRun(step="x" * big or "s", exit=0),),
            )
            said = builtins(ended) if data is None else data
            written.append(COMPLETED, source="test", id=f"{run}.completed", data=said)
        return run

    write.log = written
    return write


def names(found):
    return [each.run for each in found]


def test_the_newest_comes_first_and_each_once(home, log):
    for layer in ("a", "b", "a"):
        log(layer)
    assert names(runs(home)) == ["run-3", "run-2", "run-1"]
    assert names(runs(home, "a")) == ["run-3", "run-1"]
    assert {each.status for each in runs(home)} == {"success"}


def test_without_a_log_there_are_none(home):
    assert list(runs(home)) == []
    assert last_runs(home, ["a"]) == {}
    assert last_done_us(home, ["a"]) == {}


def test_a_run_that_has_not_ended_is_running_or_was_interrupted(home, log):
    run = log("a", "running")
    log("b")
    with alone(home, "a"):
        (found,) = runs(home, "a")
        assert (found.run, found.status, found.reason) == (run, "running", "")
    (found,) = runs(home, "a")
    assert (found.run, found.status, found.reason) == (run, "failed", "interrupted")
    assert found.started_at
    assert not found.completed_at


def test_they_are_found_over_all_segments(home, log):
    made = []
    for _ in range(3):
        made += [log("a"), log("b")]
        log.log.rotate("layer")
    assert names(runs(home)) == made[::-1]
    made.append(log("b"))
    assert names(runs(home)) == made[::-1]
    assert names(runs(home, "a")) == made[4::-2]
    assert last_runs(home, {"a"})["a"].run == made[4]
    min(home.segments.iterdir()).unlink()
    assert names(runs(home)) == made[:1:-1]


def test_only_those_since_then(home, log):
    first = log()
    second = log()
    (since,) = [each.time for each in log.log.read(COMPLETED) if each.id == f"{second}.completed"]
    assert names(runs(home, since=since)) == [second]
    assert names(runs(home)) == [second, first]


@pytest.mark.parametrize("data", [7, {}, {"run": "x"}, {"status": "well"}, "x", [1], None])
def test_what_others_say_in_the_same_words_is_passed_over(home, log, data):
    log.log.append(COMPLETED, source="somebody", data=data)
    log.log.append(STARTED, source="somebody", data=data)
    log.log.append("layer.due", source="somebody", data=data)
    run = log()
    log.log.append(COMPLETED, source="somebody", data=data)
    assert names(runs(home)) == [run]


def test_an_end_at_no_time_is_passed_over(home, log):
    begun = Begun(run="x", layer="a", layer_hash="0", trigger="manual")
    said = {**builtins(begun), "status": "success", "started_at": "then", "completed_at": "now"}
    log.log.append(COMPLETED, source="somebody", data=said)
    assert last_done_us(home, {"a"}) == {}


@pytest.mark.parametrize(
    ("run", "layer"), [("../../x", "a"), ("other", "a"), ("same", "../../x"), ("same", "a/b")]
)
def test_a_begin_that_names_a_path_is_passed_over(home, log, run, layer):
    begun = Begun(run=run, layer=layer, layer_hash="0", trigger="manual")
    log.log.append(STARTED, source="somebody", id="same", data=builtins(begun))
    assert list(runs(home)) == []


def test_a_run_too_long_for_a_line_is_found_all_the_same(home, log):
    run = log(big=300_000)
    (found,) = runs(home)
    assert (found.run, len(found.steps[0].step)) == (run, 300_000)


def test_the_last_run_of_each_layer(home, log):
    log("a")
    log("b", "failed")
    last = log("a", "failed")
    log("c")
    found = last_runs(home, {"a", "b", "d"})
    assert found.keys() == {"a", "b"}
    assert found["a"].run == last


def test_a_failed_run_does_not_count_as_run_and_a_partial_one_does(home, log):
    log("a")
    log("a", "partial")
    log("a", "failed")
    log("b", "failed")
    log("b", "running")
    expected = microseconds(parse_rfc3339("2026-11-21T05:02:00Z"))
    assert last_done_us(home, {"a", "b"}) == {"a": expected}
