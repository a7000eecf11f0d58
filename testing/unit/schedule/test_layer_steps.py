"""Steps one after the other: what they give to each other, and what becomes of failures."""

import os
from itertools import product

import pytest

from hookline.dispatch.process import sweep
from hookline.model.errors import BadData
from hookline.schedule.layer import parse
from hookline.schedule.layer_steps import Steps, Workplace, check_target, status_of

EVENT = b'{"specversion":"1.0","id":"e1"}'


@pytest.fixture
def layer(home, tmp_path, request):
    """Runs the steps of a layer, and says how it went."""
    mark = f"HOOKLINE_RUN=test:{request.node.nodeid}:{os.getpid()}"

    def run(text, given=()):
        folder = tmp_path / "run"
        folder.mkdir()
        place = Workplace(
            root=home.root,
            folder=folder,
            mark=mark,
            env={"PATH": "/usr/bin:/bin", "HOOKLINE_HOME": str(home.root), "COMMON": "ours"},
            event=EVENT,
        )
        run.told = []
        run.steps = Steps(parse("it", ".toml", text.encode()).plan, place, run.told.append)
        return run.steps.perform(given)

    run.errors = lambda: [(each.step, each.error) for each in run.steps.errors]
    run.read = lambda name: (home.root / name).read_text()
    run.home = home
    yield run
    sweep({mark})


def step(name, run, **said):
    lines = [f'name = "{name}"', f"run = '''{run}'''", *(f"{k} = {v}" for k, v in said.items())]
    return "[[steps]]\n" + "\n".join(lines) + "\n"


def test_a_step_reads_what_an_earlier_one_has_printed(layer):
    status = layer(
        step("one", "echo a; echo b")
        + step("two", "wc -l", input='{from = "one"}')
        + step("three", "cat >out; cat $LAYER_OUTPUTS/one >>out", input='{from = "two"}')
    )
    assert status == "success"
    assert layer.read("out") == "2\na\nb\n"
    assert [(each.step, each.exit, each.output_bytes) for each in layer.steps.done] == [
        ("one", 0, 4), ("two", 0, 2), ("three", 0, 0),
    ]  # fmt: skip
    assert layer.told == ["one", "two", "three"]
    assert layer.steps.counts is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ('{from = "event"}', EVENT.decode() + "\n"),
        ('{text = "a\\nb"}', "a\nb"),
        ('{file = "notes"}', "of the home"),
        ("{}", ""),
    ],
)
def test_a_step_reads_the_event_a_text_a_file_or_nothing(layer, given, read):
    (layer.home.root / "notes").write_text("of the home")
    assert layer(step("a", "cat >out", input=given)) == "success"
    assert layer.read("out") == read


def test_a_step_has_the_common_environment_and_its_own(layer):
    layer(step("a", 'echo "$LAYER_STEP $COMMON $MINE $PWD" >out', env='{MINE = "x y"}'))
    assert layer.read("out") == f"a ours x y {layer.home.root}\n"


def test_a_failed_step_ends_the_run(layer):
    assert layer(step("one", "echo no >&2; exit 3") + step("two", "touch out")) == "failed"
    assert layer.errors() == [("one", "exit 3: no")]
    assert not (layer.home.root / "out").exists()
    assert layer.told == ["one", "one: exit 3: no"]


def test_one_that_may_fail_makes_the_run_partial(layer):
    status = layer(step("one", "exit 3", on_error='"continue"') + step("two", "touch out"))
    assert status == "partial"
    assert layer.errors() == [("one", "exit 3")]
    assert (layer.home.root / "out").exists()


def test_what_a_failed_step_has_printed_is_taken_by_nobody(layer):
    status = layer(
        step("one", "echo half; exit 3", on_error='"continue"')
        + step("two", "cat >out", input='{from = "one"}')
    )
    assert status == "failed"
    assert layer.errors()[1] == (
        "two", "there is no input, the output of one: it failed, or printed more than it may"
    )  # fmt: skip
    assert not (layer.home.root / "out").exists()


def test_what_was_cut_is_taken_by_nobody(layer):
    big = step("one", "echo 0123456789", output='"5B"')
    assert layer(big + step("two", "touch out", input='{from = "one"}')) == "failed"
    assert layer.steps.done[0].output_bytes == 11
    assert [each.step for each in layer.steps.errors] == ["two"]


def test_too_much_output_that_nobody_takes_harms_nobody(layer):
    assert layer(step("one", "echo 0123456789", output='"5B"')) == "success"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"run": '["nothing-such"]'}, "there is no program nothing-such"),
        ({"run": '["./notes"]'}, "Permission denied"),
        ({"input": '{file = "nowhere"}'}, "there is no input, the file nowhere"),
        ({"input": '{file = "scripts"}'}, "is not a regular file"),
        ({"input": '{file = "pipe"}'}, "is not a regular file"),
    ],
)
def test_what_cannot_be_had_is_a_failure_of_the_step(layer, said, error):
    (layer.home.root / "notes").write_text("no program")
    os.mkfifo(layer.home.root / "pipe")
    lines = {"name": '"a"', "run": '"true"', **said}
    text = "[[steps]]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items())
    assert layer(text) == "failed"
    assert error in layer.errors()[0][1]
    assert (layer.steps.done[0].exit, layer.steps.done[0].signal) == (None, None)


def test_one_that_takes_too_long_has_failed(layer):
    assert layer(step("a", "sleep 600", timeout='"200ms"')) == "failed"
    assert layer.errors() == [("a", "it ran longer than 0.2 s")]


def targets(more="", **said):
    return more + "\n[targets]\n" + "".join(f"{k} = {v}\n" for k, v in said.items())


EACH = step("a", "cat >>out; echo $LAYER_TARGET >>out; ((LAYER_TARGET != 2))",
            input='{from = "target"}')  # fmt: skip


def test_the_steps_are_run_for_each_target(layer):
    status = layer(targets(run=r'''"printf '1\n\n { \"a\" : 2 }\n'"''') + EACH)
    assert layer.read("out") == '1\n1\n{"a":2}\n{"a":2}\n'
    assert status == "partial"
    counts = layer.steps.counts
    assert (counts.matched, counts.processed, counts.failed, counts.skipped) == (2, 2, 1, 0)
    assert layer.told[:3] == ["targets", "a 1", 'a {"a":2}']
    assert [bytes(each.target) for each in layer.steps.done] == [b"1", b'{"a":2}']


def test_for_no_more_than_there_may_be(layer):
    assert layer(targets("max_targets = 1", list="[1, 2, 3]") + EACH) == "success"
    counts = layer.steps.counts
    assert (counts.matched, counts.processed, counts.failed, counts.skipped) == (3, 1, 0, 2)


def test_when_some_have_failed_it_is_partial_and_the_others_have_had_their_turn(layer):
    assert layer(targets(list="[1, 2, 3]") + EACH) == "partial"
    assert layer.read("out").split() == ["1", "1", "2", "2", "3", "3"]
    assert [(bytes(each.target), each.error) for each in layer.steps.errors] == [(b"2", "exit 1")]


def test_when_all_have_failed_it_has_failed(layer):
    assert layer(targets(list="[2, 2]") + EACH) == "failed"


def test_for_none_it_has_nothing_to_do(layer):
    assert layer(targets(run='"true"') + EACH) == "success"
    assert layer.steps.done == []
    assert layer.steps.counts.matched == 0


def test_those_that_are_given_come_instead(layer):
    assert layer(targets(run='"touch ran; echo 1"') + EACH, [b"7"]) == "success"
    assert layer.read("out") == "7\n7\n"
    assert not (layer.home.root / "ran").exists()


def test_the_command_of_the_targets_reads_the_event(layer):
    assert layer(targets(run='"cat"') + EACH) == "failed"
    assert '"id":"e1"' in layer.read("out")


@pytest.mark.parametrize(
    ("run", "error"),
    [
        ("exit 3", "exit 3"),
        ("echo nonsense", "line 1 is no target"),
        ("echo 1; echo '{'", "line 2 is no target"),
        ("printf '%040000d' 0 | tr 0 1", "line 1 is no target"),
        ("yes 1 | head -c 17000000", "more than 16 MiB"),
        ("sleep 600", "it ran longer than 0.5 s"),
    ],
)
def test_without_targets_nothing_is_run(layer, run, error):
    assert layer(targets(run=f'"""{run}"""', timeout='"500ms"') + EACH) == "failed"
    ((where, told),) = layer.errors()
    assert where == "targets"
    assert error in told
    assert layer.steps.done == []


def test_a_target_is_a_json_value_that_fits_the_environment():
    assert check_target(b' { "a" : 9007199254740993 } ') == b'{"a":9007199254740993}'
    for bad in (b"", b"x", b"1 2", b'"' + b"x" * 40_000 + b'"'):
        with pytest.raises(BadData):
            check_target(bad)


def test_what_a_run_comes_to():
    assert status_of([]) == "success"
    for outcomes in product(("clean", "flawed", "stopped"), repeat=3):
        if set(outcomes) == {"clean"}:
            expected = "success"
        elif set(outcomes) == {"stopped"}:
            expected = "failed"
        else:
            expected = "partial"
        assert status_of(outcomes) == expected
