"""What the dispatcher put into a handler's environment."""

import pytest

from hookline.app.cause import cause
from hookline.model.cause import Cause

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HANDLER = {
    "HOOKLINE_ATTEMPT": "/home:on-x:e-1:1",
    "EVENT_ID": "e-1",
    "EVENT_CORRELATION": "story",
    "EVENT_HOPS": "3",
    "TRACEPARENT": TRACEPARENT,
}


def test_in_a_handler_the_event_is_the_cause():
    assert cause(HANDLER) == Cause("e-1", "story", 3, TRACEPARENT)


def test_this_process_runs_in_no_handler(monkeypatch):
    assert cause() is None
    for name, value in HANDLER.items():
        monkeypatch.setenv(name, value)
    assert cause() == Cause("e-1", "story", 3, TRACEPARENT)


@pytest.mark.parametrize("name", ["HOOKLINE_ATTEMPT", "EVENT_ID"])
def test_outside_of_a_handler_there_is_no_cause(name):
    assert cause({**HANDLER, name: ""}) is None
    assert cause({key: value for key, value in HANDLER.items() if key != name}) is None


def test_the_event_may_have_nothing_but_an_id():
    bare = {"HOOKLINE_ATTEMPT": "x", "EVENT_ID": "e-1"}
    assert cause(bare) == Cause("e-1", None, 0, None)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("EVENT_ID", "../x", None),
        ("EVENT_CORRELATION", "a\nb", Cause("e-1", None, 3, TRACEPARENT)),
        ("EVENT_CORRELATION", "x" * 257, Cause("e-1", None, 3, TRACEPARENT)),
        ("EVENT_HOPS", "-1", Cause("e-1", "story", 0, TRACEPARENT)),
        ("EVENT_HOPS", "three", Cause("e-1", "story", 0, TRACEPARENT)),
        ("EVENT_HOPS", "\u0663", Cause("e-1", "story", 0, TRACEPARENT)),
        ("EVENT_HOPS", "9" * 5000, Cause("e-1", "story", 1000, TRACEPARENT)),
        ("TRACEPARENT", "01-x", Cause("e-1", "story", 3, None)),
    ],
)
def test_a_value_that_cannot_be_one_is_as_good_as_none(name, value, expected):
    assert cause({**HANDLER, name: value}) == expected
