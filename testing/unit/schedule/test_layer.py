"""The file of a layer: what it may say, and how it is told what it may not."""

import pytest

from hookline.model.errors import BadData
from hookline.schedule.layer import parse

LAYER = """
description = "sums up the day"
category = "self"
goal = "to know"
max_targets = 2

[targets]
list = [{id = 9007199254740993}, "two"]

[[steps]]
name = "collect"
run = "echo hi"
input = {from = "event"}

[[steps]]
name = "count"
run = ["wc", "-c"]
input = {from = "collect"}
env = {LC_ALL = "C"}
timeout = "1.5s"
output = "1KiB"
on_error = "continue"
"""


def plain(step='run = "true"', name="a", more=""):
    return f'{more}\n[[steps]]\nname = "{name}"\n{step}\n'


def wrong(text, name="nightly", suffix=".toml"):
    with pytest.raises(BadData) as told:
        parse(name, suffix, text.encode() if isinstance(text, str) else text)
    return str(told.value)


def test_it_is_same_as_is_run_and_for_what():
    layer = parse("nightly", ".toml", LAYER.encode())
    assert layer.name == "nightly"
    plan = layer.plan
    assert (plan.category, plan.description, plan.goal) == ("self", "sums up the day", "to know")
    assert plan.max_targets == 2
    assert [bytes(each) for each in plan.targets.list] == [b'{"id":9007199254740993}', b'"two"']
    first, second = plan.steps
    assert (first.run, first.input.of, first.on_error) == ("echo hi", "event", "stop")
    assert (first.timeout_s, first.output_bytes_max, first.env) == (600.0, 1 << 20, {})
    assert (second.run, second.input.of, second.on_error) == (("wc", "-c"), "collect", "continue")
    assert (second.timeout_s, second.output_bytes_max, second.env) == (1.5, 1024, {"LC_ALL": "C"})


def test_another_content_has_another_hash():
    first = parse("nightly", ".toml", LAYER.encode())
    assert len(first.hash) == 16
    assert first.hash == parse("other", ".toml", LAYER.encode()).hash
    assert first.hash != parse("nightly", ".toml", LAYER.encode() + b"\n").hash


def test_a_layer_may_be_yaml():
    text = b"steps:\n- name: a\n  run: [echo, hi]\n  on_error: continue\n"
    (step,) = parse("nightly", ".yml", text).plan.steps
    assert (step.run, step.on_error) == (("echo", "hi"), "continue")


def test_its_name_is_that_of_the_file():
    assert parse("nightly", ".toml", plain(more='name = "nightly"').encode()).name == "nightly"
    assert wrong(plain(more='name = "daily"')) == (
        "name = 'daily', and the file is called nightly.toml"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (plain('rnu = "true"'), "`rnu` - at `$.steps[0]`"),
        (plain("run = 7"), "$.steps[0].run"),
        (plain("run = []"), "run is empty"),
        (plain('run = ["", "x"]'), "run is empty"),
        (plain('run = " "'), "run is empty"),
        (plain('run = "a\\u0000b"'), "NUL"),
        (plain('run = ["a", "b\\u0000"]'), "NUL"),
        (plain(f'run = "{"x" * 70_000}"'), "more than 64 KiB"),
        (plain(name="../x"), "lower-case letters"),
        (plain(name="event"), "neither event nor target"),
        (plain('run = "true"\ntimeout = "0s"'), "not from 1ms to 7d"),
        (plain('run = "true"\ntimeout = "8d"'), "not from 1ms to 7d"),
        (plain('run = "true"\ntimeout = "soon"'), "timeout = duration 'soon'"),
        (plain('run = "true"\noutput = "much"'), "output = size 'much'"),
        (plain('run = "true"\noutput = "2GiB"'), "more than 1GiB"),
        (plain('run = "true"\non_error = "retry"'), "$.steps[0].on_error"),
        (plain('run = "true"\nenv = {"a b" = "x"}'), "env.a b is no name"),
        (plain('run = "true"\nenv = {EVENT_ID = "x"}'), "env.EVENT_ID is no name"),
        (plain('run = "true"\nenv = {HOOKLINE_RUN = "x"}'), "env.HOOKLINE_RUN is no name"),
        (plain('run = "true"\nenv = {A = "\\u0000"}'), "env.A has a NUL"),
        (plain('run = "true"\ninput = {from = "event", text = "x"}'), "one of from, file and text"),
        (plain('run = "true"\ninput = {file = ""}'), "file is empty"),
        (plain('run = "true"\ninput = {of = "event"}'), "unknown field `of`"),
        (plain() + plain(), "two steps have the name a"),
        (plain(more="max_targets = 0"), "$.max_targets"),
        (plain(more="max_targets = 1001"), "$.max_targets"),
        (plain(more="[targets]"), "one of run and list"),
        (plain(more='[targets]\nrun = "x"\nlist = [1]'), "one of run and list"),
        (plain(more='[targets]\nrun = "x"\ntimeout = "0s"'), "not from 1ms to 7d"),
        ("", "missing required field `steps`"),
        ("steps = []", "$.steps"),
        ("steps = [", "it is no TOML"),
        ("a = 1\na = 2", "it is no TOML"),
        (b"\xff", "it is not UTF-8"),
        ("[" * 100_000, "it is no TOML"),
        (" " * 300_000, "more than 256 KiB"),
        (plain() + "".join(plain(name=f"s{n}") for n in range(100)), "length <= 100"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_its_place(text, told):
    assert told in wrong(text)


def test_a_step_takes_what_is_there_before_it():
    takes = 'run = "true"\ninput = {{from = "{}"}}'
    assert wrong(plain(takes.format("colect"), "b", plain())) == (
        "step b: input.from = 'colect' is none of: event, a"
    )
    later = wrong(plain(takes.format("b"), "a") + plain(name="b"))
    assert later == "step a: input.from = 'b' is no earlier step"
    assert "is no earlier step" in wrong(plain(takes.format("a"), "a"))
    assert "there are no targets" in wrong(plain(takes.format("target")))
    parse("n", ".toml", plain(takes.format("target"), more="[targets]\nlist = []\n").encode())


@pytest.mark.parametrize("key", ["nodes", "schedule", "trigger_threshold", "target_category"])
def test_what_zos_says_otherwise_is_named(key):
    told = wrong(f"{key} = 1\n{plain()}")
    assert f"unknown field `{key}` (" in told
