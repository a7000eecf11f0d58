"""Lines of a log become events, whoever wrote them."""

import json

import msgspec
import pytest

from hookline.model import envelope
from hookline.model.attributes import Fields
from hookline.model.errors import BadData
from hookline.model.event import Event, NotAnEvent, as_replay, decode, of_fields

FIELDS: Fields = {
    "id": "e-1",
    "source": "s",
    "type": "a.b",
    "time": "2026-11-21T01:35:31.123456Z",
    "subject": 'a "b"',
    "priority": "high",
    "correlationid": "é",
    "causationid": "c",
    "hops": 3,
    "intensity": "0.5",
    "data": b'{"n":12345678901234567890123,"x":[0.1,true,null,"\xc3\xa9\\u0041"]}',
}
LINE = envelope.line(**FIELDS)
CORTEX = {
    "event_id": "evt_20251201_165511_d27b177b424c",
    "event_type": "system.health_alert",
    "timestamp": "2025-12-01T22:55:11+0000",
    "source": "on-worker-heartbeat-handler",
    "payload": {"n": 12345678901234567890123},
}


def changed(**changes):
    """LINE with some members of other JSON values; None takes one away."""
    members = {**json.loads(LINE), **changes}
    return json.dumps({key: each for key, each in members.items() if each is not None}).encode()


def test_a_line_becomes_an_event():
    event = decode(LINE)
    assert (event.id, event.source, event.type) == ("e-1", "s", "a.b")
    assert (event.time, event.subject) == (FIELDS["time"], 'a "b"')
    assert (event.hops, event.intensity, event.dataref) == (3, 0.5, None)
    assert bytes(event.data) == FIELDS["data"]


def test_the_value_has_every_digit():
    value = decode(LINE).value()
    assert value == json.loads(FIELDS["data"])
    assert value["n"] == 12345678901234567890123


def test_an_event_without_data_has_the_value_none_and_no_hops():
    event = decode(envelope.line(**{**FIELDS, "data": None, "hops": None}))
    assert (bytes(event.data), event.value(), event.hops) == (b"", None, 0)


def test_an_event_cannot_be_changed():
    with pytest.raises(AttributeError):
        decode(LINE).type = "c.d"


def test_the_fields_of_a_line_make_the_same_event():
    assert msgspec.json.encode(of_fields(FIELDS)) == msgspec.json.encode(decode(LINE))
    assert of_fields({**FIELDS, "data": None, "subject": None}).subject is None


def test_unknown_keys_and_other_spacing_are_passed_over():
    event = decode(changed(datacontenttype="application/json", v=[{"x": 1}]))
    assert (event.id, event.subject) == ("e-1", 'a "b"')
    assert event.value() == decode(LINE).value()


def test_a_time_of_another_writer_gets_the_stored_form():
    assert decode(changed(time="2026-11-21T02:35:31+01:00")).time == "2026-11-21T01:35:31.000000Z"


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"id": None},
        {"id": "../x"},
        {"id": 7},
        {"source": None},
        {"source": ""},
        {"source": "x" * 257},
        {"source": "é" * 200},
        {"source": "a\0b"},
        {"subject": "\x1b[2J"},
        {"type": None},
        {"type": "../../x"},
        {"type": "worker"},
        {"type": "a.b\n"},
        {"time": None},
        {"time": "tomorrow"},
        {"time": "2026-11-21T01:35:31.123456Z\0"},
        {"hops": "3"},
        {"correlationid": "x" * 100_000},
    ],
)
def test_what_cannot_be_used_safely_is_no_event(changes):
    with pytest.raises(BadData) as refused:
        decode(changed(**changes))
    assert not isinstance(refused.value, NotAnEvent)


def test_a_bad_type_is_no_event_the_second_time_either():
    for _ in range(2):
        with pytest.raises(BadData, match="type"):
            decode(changed(type="Not.OK"))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"null",
        b"[1]",
        b'"text"',
        LINE[:-1],
        LINE[5:],
        LINE + b"x",
        LINE[:60] + LINE,
        LINE.replace(b"\xc3\xa9", b"\xc3"),
        LINE.replace(b"0.1", b"01"),
        LINE.replace(b'"s"', b'"\x01"'),
        b'{"specversion":"1.0","id":"e","data":' + b"[" * 100_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda line: repr(line)[:32],
)
def test_what_does_not_parse_is_no_event(line):
    with pytest.raises(BadData) as refused:
        decode(line)
    assert not isinstance(refused.value, NotAnEvent)


def test_every_beginning_of_a_line_is_refused():
    for end in range(len(LINE)):
        with pytest.raises(BadData):
            decode(LINE[:end])


def test_a_cortex_event_in_a_log_is_an_event():
    event = decode(json.dumps({**CORTEX, "unknown": 1}).encode())
    assert (event.id, event.type) == (CORTEX["event_id"], "system.health_alert")
    assert event.time == "2025-12-01T22:55:11.000000Z"
    assert event.value() == {**CORTEX["payload"], "_event": {"unknown": 1}}


@pytest.mark.parametrize(
    "older",
    [
        {},
        {
            "event_type": "zombie_detected",
            "worker_id": "w",
            "timestamp": "2025-11-18T14:35:24-0600",
        },
        {**CORTEX, "event_type": "worker_presumed_dead"},
        {**CORTEX, "timestamp": "yesterday"},
        {**CORTEX, "source": ""},
        {"id": "evt-1", "type": "task.done", "timestamp": "x", "data": {}},
    ],
)
def test_an_object_of_an_older_writer_is_told_apart(older):
    with pytest.raises(NotAnEvent):
        decode(json.dumps(older).encode())


@pytest.mark.parametrize("data", [rb'"\ud800"', b"[" * 2000 + b"]" * 2000])
def test_data_of_a_foreign_writer_that_cannot_be_decoded_is_bad_data(data):
    event = Event(id="e", source="s", type="a.b", time=FIELDS["time"], data=msgspec.Raw(data))
    with pytest.raises(BadData, match="data of event e"):
        event.value()


def test_a_line_is_marked_as_a_replay_before_its_data():
    needed = {"id": "e-1", "source": 'a "s"', "type": "a.b", "time": "2026-11-21T01:35:31.123456Z"}
    data = b'{"n":1.50,"big":12345678901234567890123}'
    line = envelope.line(**needed, subject="s", data=data)
    marked = as_replay(line, "on-a-b.sh:e-1")
    assert marked == envelope.line(**needed, subject="s", replayof="on-a-b.sh:e-1", data=data)
    assert decode(marked).replayof == "on-a-b.sh:e-1"
    assert as_replay(marked, "weekly") == marked.replace(b"on-a-b.sh:e-1", b"weekly")


def test_a_line_without_data_is_marked_too_and_a_long_name_is_cut():
    needed = b'"id":"e-1","source":"s","type":"a.b","time":"2026-11-21T01:35:31.123456Z"'
    line = b'{"specversion":"1.0", ' + needed + b"}"
    assert decode(as_replay(line, "é" * 200)).replayof == "é" * 128
