"""Making lines quickly: to the byte what the slow way makes."""

import json
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.log.compose import SHAPES_MAX, Composer, Said, dumps
from hookline.model import envelope, jsontext
from hookline.model.attributes import Fields
from hookline.model.cause import Cause, with_cause
from hookline.model.envelope import LINE_BYTES_MAX, LineTooLong
from hookline.model.errors import BadData
from hookline.model.event import Event, decode
from hookline.model.ids import _Sequence
from testing.unit.log.clocks import HandClock

texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def compose(
    composer: Composer,
    data: bytes = b"",
    *,
    source: str = "test",
    type: str = "test.done",
    cause: Cause | None = None,
    **said: Unpack[Said],
) -> tuple[Event, bytes]:
    event, domain, line = composer.compose(source, type, said, cause, data)
    assert (domain, line[-1:]) == (type.partition(".")[0], b"\n")
    return event, line[:-1]


@given(values)
def test_a_value_is_written_as_the_slow_way_writes_it_or_refused_by_it(value: object) -> None:
    assert outcome(dumps, value) == outcome(jsontext.dumps, value)


@given(st.floats(1e-6, 1e18) | st.floats(-1e18, -1e-6) | st.sampled_from([0.0, -0.0, 1e-4, 1e16]))
def test_a_float_is_written_as_the_slow_way_writes_it(value: float) -> None:
    assert dumps([value]) == jsontext.dumps([value])


@pytest.mark.parametrize("before", range(12))
@pytest.mark.parametrize("digits", [309, 310, 1000])
def test_a_number_beyond_a_double_is_refused_wherever_it_stands(before: int, digits: int) -> None:
    value = ["x" * before, 10**digits]
    assert "double" in str(outcome(dumps, value))
    assert outcome(dumps, value) == outcome(jsontext.dumps, value)


def outcome(write: Callable[[object], bytes], value: object) -> bytes | str:
    try:
        return write(value)
    except BadData as why:
        return str(why)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {1: 2},
        {None: 1},
        {Text("a"): 1, "b": {2: 3}},
        "\ud800",
        ["a\0b"],
        {"k\0": 1},
        object(),
        b"bytes",
        {1, 2},
        datetime(2026, 11, 21, tzinfo=UTC),
        uuid.uuid4(),
        10**400,
        [[{"x": [float("nan")]}]],
    ],
)
def test_what_json_does_not_have_is_refused_not_altered(value: object) -> None:
    with pytest.raises(BadData):
        dumps(value)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def test_depth_ends_where_the_format_says() -> None:
    assert dumps(nested(64)) == jsontext.dumps(nested(64))
    for levels in (65, 1000, 100_000):
        with pytest.raises(BadData, match="levels of arrays"):
            dumps(nested(levels))


@pytest.mark.parametrize(
    "value",
    [
        2**63, -(2**70), 2**53 + 1, 0.1, 1e22, -0.0, True, None, "", (), (1, (2,)), {"": {}},
        "\x7f\u200b\u2028\ufeff", 'a"b\\c/d\n\t\x01', "\u00e9\U0001f600", {"specversion": 1},
        [{"specversion": "1.0", "id": "x"}], "\\u0000", Text("t"),
    ],
)  # fmt: skip
def test_unusual_values_take_the_slow_way(value: object) -> None:
    assert dumps(value) == jsontext.dumps(value)
    assert json.loads(dumps(value)) == json.loads(jsontext.dumps(value))


@given(
    source=st.text(min_size=1, max_size=30),
    subject=st.none() | st.text(min_size=1, max_size=30),
    data=st.none() | values,
)
def test_a_line_is_what_the_envelope_makes(source: str, subject: str | None, data: Any) -> None:
    clock = HandClock()
    composer = Composer(clock)
    try:
        text = b"" if data is None else dumps(data)
        event, line = compose(composer, text, source=source, subject=subject)
    except BadData:
        fields = Fields(
            id="x",
            type="test.done",
            source=source,
            subject=subject,
            time="1970-01-01T00:00:00.000000Z",
        )
        with pytest.raises(BadData):
            envelope.line(**(fields | {"data": jsontext.dumps(data)}))
        return
    slow = envelope.line(
        id=event.id, source=source, type="test.done", time=event.time, subject=subject, data=text
    )
    assert line == slow
    assert decode(line) == event
    again = compose(composer, text, source=source, subject=subject)[1]
    assert len(again) == len(slow)
    assert again[-20:] == slow[-20:]


def test_all_that_can_be_said_is_in_the_line() -> None:
    everything = Said(
        subject="s", priority="high", correlationid="c", causationid="k", hops=3,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", dataschema="d",
    )  # fmt: skip
    event, line = compose(Composer(), b"{}", **everything)
    assert decode(line) == event
    assert list(json.loads(line)) == [
        "specversion", "id", "source", "type", "time", *everything, "data",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "nodot"}, {"type": "../x.y"}, {"source": ""}, {"source": "a\nb"},
        {"priority": "urgent"}, {"hops": 0}, {"traceparent": "x"}, {"subject": "x" * 257},
    ],
)  # fmt: skip
def test_bad_attributes_are_refused(bad: dict[str, Any]) -> None:
    composer = Composer()
    for _ in range(2):
        with pytest.raises(BadData):
            compose(composer, **bad)


def test_a_source_that_looks_like_a_time_confuses_nobody() -> None:
    epoch = "1970-01-01T00:00:00.000000Z"
    event, line = compose(Composer(), b"1", source=f'","time":"{epoch}', subject=epoch)
    assert decode(line) == event


def test_the_clock_gives_time_and_id(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ids go up within a process, and other tests have had clocks that are ahead.
    monkeypatch.setattr("hookline.log.compose.uuid7s", _Sequence().uuid7s)
    clock = HandClock()
    event, _ = compose(Composer(clock))
    assert event.time == clock.now().isoformat(timespec="microseconds")[:26] + "Z"
    ms = int(event.id.replace("-", "")[:12], 16)
    assert ms == int(clock.now().timestamp() * 1000)


def test_the_time_of_each_event_is_its_own() -> None:
    clock = HandClock()
    composer = Composer(clock)
    first, _ = compose(composer)
    clock.advance(0.999999)
    second, _ = compose(composer)
    clock.advance(3600)
    third, _ = compose(composer)
    assert first.time < second.time < third.time


def test_a_clock_that_stands_still_or_goes_back_gives_new_ids_all_the_same() -> None:
    clock = HandClock()
    composer = Composer(clock)
    ids = [compose(composer)[0].id for _ in range(1000)]
    clock.set_back(3600)
    event, _ = compose(composer)
    assert event.time[:19] == clock.now().isoformat()[:19]
    assert [*ids, event.id] == sorted({*ids, event.id})


def test_the_child_of_a_fork_makes_ids_of_its_own() -> None:
    composer = Composer(HandClock())
    compose(composer)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, compose(composer)[0].id.encode())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert theirs != compose(composer)[0].id


def test_an_event_that_is_caused_says_so() -> None:
    composer = Composer()
    for cause in (Cause("k1", hops=1), Cause("k2", "story"), Cause("k2", "story"), None):
        for said in (Said(), Said(correlationid="own"), Said(subject="s", dataschema="d")):
            event, line = compose(composer, b"1", cause=cause, **said)
            fields = composer.fields("test", "test.done", said, b"1", event.id, event.time)
            assert line == envelope.line(**with_cause(fields, cause))
            assert decode(line) == event


def test_what_no_event_says_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="colour"):
        compose(Composer(), colour="red")  # type: ignore[call-arg]  # that is the mistake
    with pytest.raises(TypeError, match="dataref"):
        compose(Composer(), dataref="data/x.json")  # type: ignore[call-arg]  # as above


def test_ids_are_sound_and_go_up() -> None:
    composer = Composer()
    ids = [compose(composer)[0].id for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert uuid.UUID(ids[0]).version == 7


def test_a_given_id_and_time_are_taken() -> None:
    moment = datetime(2026, 11, 21, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    fields = Composer().fields("test", "test.done", {}, b"1", "my-id", moment)
    assert (fields["id"], fields["time"]) == ("my-id", "2026-11-21T01:00:00.000000Z")
    assert decode(envelope.line(**fields)).value() == 1
    fields = Composer().fields("test", "test.done", {}, b"", None, "2026-11-21T03:00:00+02:00")
    assert fields["time"] == "2026-11-21T01:00:00.000000Z"
    for time in ("yesterday", ""):
        with pytest.raises(BadData):
            Composer().fields("test", "test.done", {}, b"", None, time)


def test_a_line_over_the_limit_is_told_apart() -> None:
    composer = Composer()
    room = LINE_BYTES_MAX - len(compose(composer, b'""')[1]) - 1
    assert len(compose(composer, b'"' + b"x" * room + b'"')[1]) == LINE_BYTES_MAX - 1
    with pytest.raises(LineTooLong):
        compose(composer, b'"' + b"x" * (room + 1) + b'"')


def test_a_flood_of_correlations_does_not_fill_the_memory() -> None:
    composer = Composer()
    for number in range(2 * SHAPES_MAX):
        compose(composer, correlationid=f"c{number}")
    assert len(composer._shapes[1]) <= SHAPES_MAX
