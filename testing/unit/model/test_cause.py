"""An event says which event it follows from."""

from hookline.model.cause import Cause, with_cause

FIELDS = {"id": "new", "source": "s", "type": "a.b", "time": "2026-11-21T01:35:31.123456Z"}
CAUSE = Cause(id="old", correlationid="story", hops=2, traceparent="00-trace")


def test_without_a_cause_nothing_changes():
    assert with_cause(FIELDS, None) == FIELDS


def test_a_cause_is_named_and_its_story_goes_on():
    assert with_cause(FIELDS, CAUSE) == {
        **FIELDS,
        "causationid": "old",
        "correlationid": "story",
        "hops": 3,
        "traceparent": "00-trace",
    }


def test_a_cause_without_a_story_begins_one():
    assert with_cause(FIELDS, Cause(id="old")) == {
        **FIELDS,
        "causationid": "old",
        "correlationid": "old",
        "hops": 1,
    }


def test_what_the_event_says_itself_stands():
    said = {**FIELDS, "causationid": "mine", "correlationid": "other", "traceparent": "00-mine"}
    assert with_cause(said, CAUSE) == {**said, "hops": 3}


def test_hops_are_never_counted_down():
    assert with_cause({**FIELDS, "hops": 1}, CAUSE)["hops"] == 3
    assert with_cause({**FIELDS, "hops": 9}, CAUSE)["hops"] == 9
    assert with_cause(FIELDS, CAUSE._replace(hops=1000))["hops"] == 1000


def test_the_fields_that_were_given_are_left_alone():
    given = dict(FIELDS)
    with_cause(given, CAUSE)
    assert given == FIELDS
