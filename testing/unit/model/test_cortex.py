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
        ({"metadata": {"tags": []}, "payload": {"_metadata": 1}}, "'_metadata' stands twice"),
        ({"parent": "x", "payload": [1]}, "key 'parent' is unknown in a Cortex event and cannot"),
        ({"a b": "x"}, "key 'a b' is unknown"),
        ({"parent": "x", "payload": {"_event": 1}}, "'_event' stands twice"),
    ],
)
def test_what_does_not_fit_is_refused(changes, reason):
    with pytest.raises(BadData, match=reason):
        translated(**changes)


def test_keys_that_cortex_does_not_know_go_into_the_payload():
    assert translated(worker_id="w", n=1, payload={"a": 1})["data"] == (
        b'{"a":1,"_event":{"worker_id":"w","n":1}}'
    )
    assert translated(worker_id="w", payload=...)["data"] == b'{"_event":{"worker_id":"w"}}'


def test_readers_pass_over_unknown_keys_that_cannot_be_kept():
    members = {key: jsontext.dumps(value) for key, value in EVENT.items()}
    assert cortex.to_fields({**members, "a b": b"1"}, strict=False) == cortex.to_fields(members)


@pytest.mark.parametrize("priority", ["URGENT", 1, "", ["high"]])
def test_a_priority_that_is_none_of_ours_is_kept_and_comes_back(priority):
    fields = translated(metadata={"priority": priority})
    assert "priority" not in fields
    there_and_back(metadata={"priority": priority})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metadata": {"priority": "low", "master": "m", "tags": ["a"]}},
        {"metadata": {"priority": "medium", "master": None}},
        {"payload": {}},
        {"payload": [1, {"_metadata": {"a": 1}}]},
        {"payload": {"n": 1763700009000000123}},
        {"worker_id": "w", "n": [1], "metadata": {"priority": "high", "master": "m"}},
    ],
)
def test_what_comes_as_cortex_comes_back_as_it_was(changes):
    there_and_back(**changes)


def there_and_back(**changes):
    event = {**EVENT, **changes}
    line = envelope.line(**envelope.from_outside(event))
    assert cortex.from_event(decode(line)) == jsontext.dumps(event)


def test_no_priority_beside_other_metadata_is_medium():
    fields = envelope.from_outside({**EVENT, "metadata": {"priority": None, "master": "m"}})
    back = json.loads(cortex.from_event(decode(envelope.line(**fields))))
    assert back["metadata"] == {"priority": "medium", "master": "m"}


def test_data_that_only_looks_like_ours_stays_data():
    for data in ({"_metadata": "x"}, {"_event": [1]}, {"deep": {"_metadata": {"a": 1}}}):
        fields = {"id": "a", "source": "s", "type": "a.b", "time": "2026-11-21T01:35:31.999999Z"}
        line = envelope.line(**fields, data=jsontext.dumps(data))
        assert json.loads(cortex.from_event(decode(line)))["payload"] == data


def test_no_key_comes_back_twice():
    fields = {"id": "a", "source": "s", "type": "a.b", "time": "2026-11-21T01:35:31.999999Z"}
    line = envelope.line(**fields, data=b'{"_event":{"source":"x","b":1}}')
    back = json.loads(cortex.from_event(decode(line)), object_pairs_hook=list)
    assert [key for key, _ in back if key in ("source", "b")] == ["source", "b"]


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
