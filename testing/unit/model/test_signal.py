"""KLoROS signals become events, and events signals."""

import json

import pytest

from hookline.model import envelope, jsontext, signal
from hookline.model.errors import BadData
from hookline.model.event import decode

SIGNAL = {
    "signal": "Q_DREAM_TRIGGER",
    "ecosystem": "queue_management",
    "intensity": 1.5,
    "facts": {"reason": "idle", "n": 12345678901234567890123},
    "incident_id": None,
    "trace": None,
    "ts": 1763700009.123456,
    "schema_version": 1,
}


def members_of(value):
    return {key: jsontext.dumps(each) for key, each in value.items()}


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("Q_DREAM_TRIGGER", "dream.trigger"),
        ("Q_INVESTIGATION_QUEUE_FULL", "investigation.queue_full"),
        ("AFFECT_MEMORY_PRESSURE", "affect.memory_pressure"),
        ("Q_AFFECT2_X", "affect2.x"),
    ],
)
def test_a_name_is_a_type_and_back(name, type):
    assert signal.type_of(name) == type
    assert signal.name_of(type) == name


def test_a_signal_without_the_prefix_has_a_type_too():
    assert signal.type_of("CAPABILITY_GAP") == "capability.gap"


@pytest.mark.parametrize("name", ["", "q_dream", "Q-DREAM", "../X", "1_X", "Q_DREAM\n", "_X"])
def test_no_other_text_is_a_signal(name):
    with pytest.raises(BadData, match=r"^signal "):
        signal.type_of(name)


def test_every_key_has_its_attribute():
    assert signal.to_fields(members_of({**SIGNAL, "incident_id": "i-7"})) == {
        "type": "dream.trigger",
        "time": "2025-11-21T04:40:09.123456Z",
        "source": "queue_management",
        "ecosystem": "queue_management",
        "intensity": "1.5",
        "incident_id": "i-7",
        "data": b'{"reason":"idle","n":12345678901234567890123}',
    }


def test_the_older_form_is_a_signal_too():
    older = {
        "signal": "AFFECT_HIGH_RAGE",
        "timestamp": "2025-11-21T04:40:09+00:00",
        "source": "affect",
        "facts": {},
    }
    assert signal.to_fields(members_of(older)) == {
        "type": "affect.high_rage",
        "time": "2025-11-21T04:40:09.000000Z",
        "source": "affect",
        "data": b"{}",
    }


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"source": "outer", "facts": {"source": "inner"}}, "outer"),
        ({"facts": {"source": "inner"}}, "inner"),
        ({"facts": {"source": 7}}, "queue_management"),
        ({"facts": [1]}, "queue_management"),
        ({"facts": None}, "queue_management"),
        ({"ecosystem": None}, None),
    ],
)
def test_the_source_is_the_nearest_that_is_said(changes, source):
    assert signal.to_fields(members_of({**SIGNAL, **changes})).get("source") == source


def test_numbers_keep_their_text():
    members = {**members_of(SIGNAL), "intensity": b"0.10", "facts": b'{"x":1.50}'}
    fields = signal.to_fields(members)
    assert (fields["intensity"], fields["data"]) == ("0.10", b'{"x":1.50}')


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signal": None}, "signal "),
        ({"signal": 7}, "signal is not a string"),
        ({"ts": True}, "ts is neither"),
        ({"ts": "now"}, "time 'now'"),
        ({"ts": 1e18}, "since 1970"),
        ({"ecosystem": 7}, "ecosystem is not a string"),
        ({"channel": "reflex"}, "key 'channel' is unknown in a signal"),
    ],
)
def test_what_does_not_fit_is_refused(changes, reason):
    with pytest.raises(BadData, match=reason):
        signal.to_fields(members_of({**SIGNAL, **changes}))


def test_an_event_comes_back_as_the_same_signal():
    line = envelope.line(**envelope.from_outside(dict(SIGNAL), id="a"))
    back = json.loads(signal.from_event(decode(line)))
    assert back == {**SIGNAL, "source": "queue_management"}
    assert envelope.line(**envelope.from_outside(back, id="a")) == line


def test_the_way_back_fills_in_what_listeners_expect():
    line = envelope.line(id="a", source="s", type="worker.beat", time="2026-11-21T01:35:31.000007Z")
    text = signal.from_event(decode(line))
    assert b'"ts":1795224931.000007,' in text
    assert json.loads(text) == {
        "signal": "Q_WORKER_BEAT",
        "source": "s",
        "ecosystem": "worker",
        "intensity": 1.0,
        "facts": {},
        "incident_id": None,
        "trace": None,
        "ts": 1795224931.000007,
        "schema_version": 1,
    }
