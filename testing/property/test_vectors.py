"""The rules as data: bash runs the same files (testing/vectors/README.md)."""

import json
from base64 import b64decode
from functools import partial
from pathlib import Path

import pytest

from hookline.model import attributes, cortex, envelope, jsontext
from hookline.model.errors import BadData
from hookline.model.event import decode
from hookline.model.types import check_type, domain_of

VECTORS = Path(__file__).parents[1] / "vectors"
FILLED = {"id": "filled", "source": "filled", "time": "2026-01-02T03:04:05.000006Z"}


def vectors(name):
    lines = (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines
    return [pytest.param(json.loads(line), id=f"{number}") for number, line in enumerate(lines, 1)]


def raw_of(vector, key="base64"):
    return b64decode(vector[key], validate=True)


def text_of(vector):
    """What the command line would make of these bytes."""
    return raw_of(vector).decode("utf-8", "surrogateescape")


def holds(vector, judge, result):
    """`judge()` gives the result where the verdict is ok, and else refuses harmlessly."""
    if vector["verdict"] == "ok":
        assert judge() == result, vector["name"]
    else:
        assert vector["verdict"] == "bad"
        with pytest.raises(BadData) as refused:
            judge()
        assert str(refused.value).isprintable(), vector["name"]


def test_every_file_of_vectors_is_run():
    known = {"json", "types", "ids", "strings", "times"}
    known |= {"envelopes", "cortex", "signals", "cortex-back"}
    known |= {"ticks"}  # run by testing/unit/schedule/test_wait.py
    assert {path.stem for path in VECTORS.glob("*.jsonl")} == known


@pytest.mark.parametrize("vector", vectors("json"))
def test_json(vector):
    result = vector["verdict"] == "ok" and raw_of(vector, "compact_base64")
    holds(vector, lambda: jsontext.compact(raw_of(vector)), result)


@pytest.mark.parametrize("vector", vectors("types"))
def test_types(vector):
    holds(vector, lambda: domain_of(check_type(text_of(vector))), vector.get("domain"))


@pytest.mark.parametrize("vector", vectors("ids"))
def test_ids(vector):
    holds(vector, lambda: attributes.check_id(text_of(vector)), text_of(vector))


@pytest.mark.parametrize("vector", vectors("strings"))
def test_strings(vector):
    result = vector["verdict"] == "ok" and raw_of(vector, "json_base64")
    holds(vector, lambda: jsontext.dumps(attributes.check_string("x", text_of(vector))), result)


@pytest.mark.parametrize("vector", vectors("times"))
def test_times(vector):
    """`only` names the form of event whose times are meant; else it is each form."""
    forms = [vector["only"]] if "only" in vector else ["cloudevents", "cortex"]
    for form in forms:
        colonless = {"cloudevents": False, "cortex": True}[form]
        judge = partial(attributes.stored_time, text_of(vector), colonless=colonless)
        holds(vector, judge, vector.get("time"))


@pytest.mark.parametrize("vector", [*vectors("envelopes"), *vectors("cortex"), *vectors("signals")])
def test_events_from_outside(vector):
    filled = {name: FILLED[name] for name in vector.get("filled", ())}
    result = vector["verdict"] == "ok" and raw_of(vector, "line_base64")
    event = raw_of(vector)
    holds(vector, lambda: envelope.line(**envelope.from_outside(event, **filled)), result)
    if result:
        assert envelope.line(**envelope.from_outside(result)) == result
        assert decode(result).type == envelope.from_outside(result)["type"]


@pytest.mark.parametrize("vector", vectors("cortex-back"))
def test_the_way_back_to_cortex(vector):
    assert cortex.from_event(decode(raw_of(vector, "line_base64"))) == (
        raw_of(vector, "cortex_base64")
    ), vector["name"]
