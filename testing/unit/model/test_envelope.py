"""Lines from fields, and fields from what others send."""

import json

import pytest

from hookline.model import envelope, jsontext
from hookline.model.envelope import LINE_BYTES_MAX, LineTooLong
from hookline.model.errors import BadData

NEEDED = {"id": "e-1", "source": "s", "type": "a.b", "time": "2026-11-21T01:35:31.123456Z"}
HEAD = (
    b'{"specversion":"1.0","id":"e-1","source":"s","type":"a.b",'
    b'"time":"2026-11-21T01:35:31.123456Z"'
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ALL = {
    "data": b'{"n":1.50}',
    "replayof": "on-a-b.sh:e-1",
    "incident_id": "i",
    "intensity": "0.10",
    "ecosystem": "eco",
    "dataschema": "schema",
    "traceparent": TRACEPARENT,
    "hops": 3,
    "causationid": "c",
    "correlationid": "é",
    "priority": "high",
    "subject": 'a "b"',
}
ALL_LINE = (
    HEAD
    + (
        ',"subject":"a \\"b\\"","priority":"high","correlationid":"é","causationid":"c","hops":3,'
        f'"traceparent":"{TRACEPARENT}","dataschema":"schema","ecosystem":"eco","intensity":0.10,'
        '"incident_id":"i","replayof":"on-a-b.sh:e-1","data":{"n":1.50}}'
    ).encode()
)


def test_the_keys_stand_in_the_order_of_the_format():
    assert envelope.line(**NEEDED, **ALL) == ALL_LINE


def test_none_is_the_same_as_absent():
    assert envelope.line(**NEEDED, **dict.fromkeys(ALL)) == HEAD + b"}"
    assert envelope.line(**NEEDED) == HEAD + b"}"


def test_null_is_data():
    assert envelope.line(**NEEDED, data=b"null") == HEAD + b',"data":null}'


def test_hidden_characters_of_attributes_are_escaped():
    assert rb'"source":"a\u202eb\u200b"' in envelope.line(**{**NEEDED, "source": "a\u202eb\u200b"})


@pytest.mark.parametrize("name", ["id", "source", "type", "time", *sorted(set(ALL) - {"data"})])
@pytest.mark.parametrize("value", ["", "\x1b[2J", "x\n", 7.5, "x" * 300, b"bytes", ["a"]])
def test_every_attribute_is_checked(name, value):
    with pytest.raises(BadData) as refused:
        envelope.line(**{**NEEDED, name: value})
    assert str(refused.value).isprintable()


def test_true_is_not_a_number_of_hops():
    with pytest.raises(BadData, match="hops"):
        envelope.line(**NEEDED, hops=True)


def test_an_attribute_that_no_event_has_is_a_bug_of_the_caller():
    with pytest.raises(TypeError, match="topic"):
        envelope.line(**NEEDED, topic="x")


def test_a_line_may_take_262144_bytes_with_its_newline():
    room = LINE_BYTES_MAX - len(HEAD) - len(b',"data":""}\n')
    fits = envelope.line(**NEEDED, data=b'"' + b"x" * room + b'"')
    assert len(fits) + 1 == LINE_BYTES_MAX == 262_144
    with pytest.raises(LineTooLong, match="262145 bytes"):
        envelope.line(**NEEDED, data=b'"' + b"x" * (room + 1) + b'"')


def test_data_and_dataref_exclude_each_other():
    assert envelope.line(**NEEDED, dataref="data/e-1.json").endswith(b'"dataref":"data/e-1.json"}')
    with pytest.raises(BadData, match="exclude"):
        envelope.line(**NEEDED, dataref="data/e-1.json", data=b"1")


@pytest.mark.parametrize("dataref", ["data/other.json", "../e-1.json", "data/../data/e-1.json"])
def test_a_dataref_is_the_events_own(dataref):
    with pytest.raises(BadData, match="dataref"):
        envelope.line(**NEEDED, dataref=dataref)


def test_a_line_comes_back_through_the_fields():
    assert envelope.line(**envelope.from_outside(ALL_LINE)) == ALL_LINE


def test_keys_from_outside_may_stand_in_any_order_and_spacing():
    members = list(json.loads(ALL_LINE, parse_float=lambda text: text).items())
    shuffled = json.dumps(dict(reversed(members)), indent=2).encode()
    shuffled = shuffled.replace(b'"0.10"', b"0.10").replace(b'"1.50"', b"1.50")
    assert envelope.line(**envelope.from_outside(shuffled)) == ALL_LINE


def test_a_time_from_outside_gets_the_stored_form():
    line = ALL_LINE.replace(b"2026-11-21T01:35:31.123456Z", b"2026-11-21T02:35:31.123456+01:00")
    assert envelope.line(**envelope.from_outside(line)) == ALL_LINE


def test_what_is_missing_is_filled_in_but_nothing_is_replaced():
    fields = envelope.from_outside({"specversion": "1.0", "type": "a.b"}, **_without_type(NEEDED))
    assert fields == NEEDED
    fields = envelope.from_outside(ALL_LINE, id="x", source="x", time="x")
    assert envelope.line(**fields) == ALL_LINE


def _without_type(fields):
    return {name: value for name, value in fields.items() if name != "type"}


@pytest.mark.parametrize("name", ["id", "source", "type", "time"])
def test_what_nobody_says_is_missed(name):
    event = {"specversion": "1.0", **NEEDED}
    del event[name]
    with pytest.raises(BadData, match=f"^{name} is missing$"):
        envelope.from_outside(event)


def test_data_from_outside_may_have_64_levels_of_its_own():
    text = b'{"specversion":"1.0","data":%s}'
    defaults = {"id": "a", "source": "s", "time": "t"}
    for levels, opened in ((64, b"["), (65, b"[")):
        event = text.replace(b"{", b'{"type":"a.b",', 1) % (opened * levels + b"]" * levels)
        if levels == 64:
            assert envelope.from_outside(event, **defaults)["data"] == b"[" * 64 + b"]" * 64
        else:
            with pytest.raises(BadData, match="levels"):
                envelope.from_outside(event, **defaults)


def test_data_keeps_its_text():
    text = rb'{"n":12345678901234567890123,"x":1.50,"s":"\/\u0041\u00e9"}'
    line = HEAD + b',"data":' + text + b"}"
    assert envelope.from_outside(line)["data"] == text


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"", "empty"),
        (b"[1]", "JSON object is wanted"),
        (b'"text"', "JSON object is wanted"),
        (b"{}", "no specversion, event_type or signal"),
        (b'{"type":"a.b","data":{}}', "no specversion"),
        (b'{"specversion":"0.3"}', "specversion is not 1.0"),
        (b'{"specversion":1.0}', "specversion is not a string"),
        (HEAD + b',"v":999}', "key 'v' is unknown in an event"),
        (HEAD + b',"datacontenttype":"text/plain"}', "key 'datacontenttype' is unknown"),
        (HEAD + b',"subject":null}', "subject is not a string"),
        (HEAD + b',"hops":1.0}', "hops is not an integer"),
        (HEAD + b',"id":"x"}', "'id' stands twice"),
        (HEAD + b"}" + HEAD + b"}", "not JSON"),
    ],
)
def test_what_is_no_event_is_refused(event, reason):
    with pytest.raises(BadData, match=reason):
        envelope.from_outside(event)


def test_cortex_events_and_signals_are_taken_too():
    cortex = {
        "event_id": "e",
        "event_type": "a.b",
        "timestamp": "2026-11-21T01:35:31Z",
        "source": "s",
    }
    signal = {"signal": "Q_A_B", "ecosystem": "s", "ts": 1795224931}
    expected = {"id": "e", "type": "a.b", "time": "2026-11-21T01:35:31.000000Z", "source": "s"}
    assert envelope.from_outside(cortex) == expected
    assert envelope.from_outside(signal, id="e") == {**expected, "ecosystem": "s"}


def test_the_domain_of_fields_is_checked():
    assert envelope.domain(NEEDED) == "a"
    with pytest.raises(BadData, match="type"):
        envelope.domain({**NEEDED, "type": "../x.y"})


def test_data_of_a_line_is_the_text_that_compact_gives():
    data = jsontext.compact(b' { "specversion" : 1 } ')
    assert envelope.line(**NEEDED, data=data).count(b'{"specversion"') == 1
