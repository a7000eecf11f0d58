"""The event of a tick, and what it proves."""

import json

import pytest

from hookline.log.append import line_of
from hookline.model.event import decode
from hookline.schedule.kernel import Tick, tick_id
from hookline.schedule.recurrence import SECOND_US, Every
from hookline.schedule.schedule import Schedule
from hookline.schedule.table import PROOF
from hookline.schedule.tick import MANUAL, SOURCE, fields_of, nominal_us, proof, proof_of

AT_US = 1_795_294_800 * SECOND_US
SCHEDULE = Schedule(
    name="m", when=Every(SECOND_US, "1s"), event="m.due", data={"a": [1]}, priority="high"
)
TICK = Tick(schedule="m", nominal_us=AT_US, fires_us=AT_US + 500, reason="time")


@pytest.fixture
def event(home):
    """As it is read again."""
    return decode(line_of(home.root, fields_of(SCHEDULE, TICK, AT_US + 2345)))


def test_it_says_when_it_was_due_and_when_it_came(event):
    assert json.loads(bytes(event.data)) == {
        "schedule": "m", "nominal": "2026-11-21T21:00:00.000000Z",
        "fired": "2026-11-21T21:00:00.002345Z", "late_ms": 1.845, "factor": 1.0, "reason": "time",
        "coalesced": 0, "missed": 0, "a": [1],
    }  # fmt: skip
    assert (event.source, event.type, event.subject, event.priority) == (
        SOURCE, "m.due", "m", "high",
    )  # fmt: skip
    assert event.time == "2026-11-21T21:00:00.002345Z"
    assert event.id == tick_id("m", AT_US)


def test_what_was_said_is_read_again(event):
    told = proof_of(event)
    assert told == proof(TICK, AT_US + 2345)
    assert nominal_us(told) == AT_US
    assert not told.is_extra


def test_another_speed_is_said_with_its_reason():
    slow = Tick(
        schedule="m", nominal_us=AT_US, fires_us=AT_US, reason="time", speed=0.5,
        speed_reason="high load", era=3,
    )  # fmt: skip
    told = proof(slow, AT_US)
    assert (told.factor, told.era) == (0.5, 3)
    assert told.reason == "time; at 0.5 times its speed: high load"


def test_what_a_tick_says_by_itself_is_what_no_data_may_say():
    assert set(PROOF) == {*proof(TICK, AT_US).__struct_fields__}


def test_one_that_was_asked_for_is_known_by_its_reason():
    asked = Tick(schedule="m", nominal_us=AT_US, fires_us=AT_US, reason=MANUAL)
    assert proof(asked, AT_US).is_extra


@pytest.mark.parametrize(
    "change",
    [
        {"source": "somebody"}, {"data": b""}, {"data": b"5"}, {"data": b'{"schedule":"m"}'},
        {"nominal": "soon"}, {"fired": 5}, {"late_ms": "x"}, {"era": -1}, {"era": 1 << 60},
        {"schedule": None}, {"reason": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_says_something_else_is_no_tick(home, change):
    fields = fields_of(SCHEDULE, TICK, AT_US)
    if change.keys() & {"source", "data"}:
        fields |= change
    else:
        fields["data"] = json.dumps(json.loads(fields["data"]) | change).encode()
    assert proof_of(decode(line_of(home.root, fields))) is None
