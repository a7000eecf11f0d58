"""Cortex events become events, and events Cortex events."""

import json

import pytest

from hookline.model import cortex, envelope, jsontext
from hookline.model.errors import BadData
from hookline.model.event import decode

EVENT = {
    "event_id": "evt_20251201_165511_d27b177b424c",
    "event_type": "system.health_alert",
    "timestamp": "2025-12-01T22:55:11+0000",
    "source": "on-worker-heartbeat-handler",
    "correlation_id": "system",
    "metadata": {"priority": "high"},
    "payload": {"alert_type": "stale_workers", "threshold_minutes": 5},
}


def translated(**changes):
    event = {**EVENT, **changes}
    return cortex.to_fields(
        {key: jsontext.dumps(value) for key, value in event.items() if value is not ...}
    )


def test_every_key_has_its_attribute():
    assert translated() == {
        "id": "evt_20251201_165511_d27b177b424c",
        "type": "system.health_alert",
        "time": "2025-12-01T22:55:11.000000Z",
        "source": "on-worker-heartbeat-handler",
        "correlationid": "system",
        "priority": "high",
        "data": b'{"alert_type":"stale_workers","threshold_minutes":5}',
    }


@pytest.mark.parametrize("nothing", ["", None, ...])
def test_an_empty_correlation_is_left_out(nothing):
    assert "correlationid" not in translated(correlation_id=nothing)


@pytest.mark.parametrize("nothing", [{}, None, ...])
def test_metadata_may_be_missing(nothing):
    fields = translated(metadata=nothing)
    assert "priority" not in fields
    assert fields["data"] == jsontext.dumps(EVENT["payload"])


def test_an_event_without_payload_has_no_data():
    assert "data" not in translated(payload=...)
    assert translated(payload=None)["data"] == b"null"


def test_other_metadata_goes_into_the_payload():
    metadata = {"priority": "low", "master": "x", "tags": ["a"]}
    kept = b'"_metadata":' + jsontext.dumps(metadata)
    assert translated(metadata=metadata, payload={})["data"] == b"{" + kept + b"}"
    assert translated(metadata=metadata, payload={"a": 1})["data"] == b'{"a":1,' + kept + b"}"
    assert translated(metadata=metadata)["priority"] == "low"


@pytest.mark.parametrize("payload", [[1], "text", 5, True])
def test_a_payload_of_another_kind_stays_what_it_is(payload):
    assert translated(metadata={"tags": []}, payload=payload)["data"] == jsontext.dumps(payload)


def test_numbers_keep_their_text():
    members = {key: jsontext.dumps(value) for key, value in EVENT.items()}
    members["payload"] = b'{"ns":1763700009000000123,"x":1.50}'
    assert cortex.to_fields(members)["data"] == members["payload"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": "tomorrow"}, "time 'tomorrow'"),
        ({"timestamp": 1763700009}, "timestamp is not a string"),
        ({"event_id": 7}, "id is not a string"),
        ({"source": None}, "source is not a string"),
        ({"correlation_id": 7}, "correlation_id is not a string"),
        ({"metadata": "high"}, "metadata is not an object"),
        ({"metadata": {"priority": 1}}, "metadata.priority is not a string"),
        ({"metadata": {"tags": []}, "payload": {"_metadata": 1}}, "'_metadata' stands twice"),
        ({"parent": "x"}, "key 'parent' is unknown in a Cortex event"),
    ],
)
def test_what_does_not_fit_is_refused(changes, reason):
    with pytest.raises(BadData, match=reason):
        translated(**changes)


def test_readers_pass_over_unknown_keys():
    members = {key: jsontext.dumps(value) for key, value in EVENT.items()}
    assert cortex.to_fields({**members, "parent": b"1"}, strict=False) == cortex.to_fields(members)


def test_the_way_back_is_compact_and_in_order():
    line = envelope.line(**envelope.from_outside(dict(EVENT)))
    assert cortex.from_event(decode(line)) == jsontext.dumps(EVENT)


def test_the_way_back_fills_in_what_cortex_readers_expect():
    line = envelope.line(id="a", source="s", type="a.b", time="2026-11-21T01:35:31.999999Z")
    assert json.loads(cortex.from_event(decode(line))) == {
        "event_id": "a",
        "event_type": "a.b",
        "timestamp": "2026-11-21T01:35:31+0000",
        "source": "s",
        "metadata": {"priority": "medium"},
        "payload": {},
    }


@pytest.mark.parametrize(
    ("keys", "whether"),
    [
        (["event_type"], True),
        (["event_id", "payload"], True),
        (["type", "id"], False),
        ([], False),
    ],
)
def test_a_cortex_event_is_known_by_its_keys(keys, whether):
    assert cortex.is_cortex(keys) == whether
