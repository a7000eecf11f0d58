"""What Cortex knows goes in and comes out again as it was; what bash prints is what jq would."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.model import envelope, jsontext
from hookline.model.cortex import from_event
from hookline.model.event import decode
from testing.property.json_texts import STRINGS, VALUES

LOGGER = Path(__file__).parents[2] / "scripts/events/lib/event-logger.sh"
PRIORITIES = ("low", "medium", "high", "critical")
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True)
OURS = {"event_id", "event_type", "timestamp", "source", "correlation_id", "metadata", "payload"}
KEPT = {"_metadata", "_event"}

METADATA = st.dictionaries(NAMES, VALUES, max_size=2).flatmap(
    lambda rest: st.fixed_dictionaries({"priority": st.sampled_from(PRIORITIES) | VALUES}).map(
        lambda first: {**first, **{key: rest[key] for key in rest if key != "priority"}}
    )
)
OTHERS = st.dictionaries(NAMES.filter(lambda name: name not in OURS), VALUES, max_size=2)
PAYLOADS = st.dictionaries(STRINGS.filter(lambda key: key not in KEPT), VALUES, max_size=3)


def stored(event):
    line = envelope.line(**envelope.from_outside(jsontext.dumps(event, jsontext.LEVELS_MAX + 1)))
    return from_event(decode(line))


def event_of(payload, **more):
    return {
        "event_id": "evt_20251201_165511_d27b177b424c",
        "event_type": "worker.started",
        "timestamp": "2025-12-01T22:55:11+0000",
        "source": "s",
        **more,
        "payload": payload,
    }


@settings(max_examples=40)
@given(METADATA, PAYLOADS, OTHERS)
def test_an_event_comes_back_with_all_that_it_said(metadata, payload, others):
    event = {**event_of(payload, correlation_id="c", metadata=metadata), **others}
    back = json.loads(stored(event))
    if metadata["priority"] is None:
        metadata["priority"] = "medium"
    assert repr(back) == repr({**event, "metadata": metadata})


@settings(max_examples=40)
@given(METADATA, VALUES.filter(lambda value: not isinstance(value, dict)))
def test_a_payload_that_is_no_object_stays_what_it_is(metadata, payload):
    back = json.loads(stored(event_of(payload, metadata=metadata)))
    known = metadata["priority"] if metadata["priority"] in PRIORITIES else "medium"
    assert repr(back) == repr(event_of(payload, metadata={"priority": known}))


@settings(max_examples=40)
@given(METADATA, PAYLOADS, OTHERS)
def test_to_go_through_once_more_changes_nothing(metadata, payload, others):
    once = stored({**event_of(payload, metadata=metadata), **others})
    assert stored(json.loads(once)) == once


def skeleton(text):
    """A text without what its strings and numbers say: where it breaks and how far it is in."""
    return re.sub(r'"(?:[^"\\]|\\.)*"|[-+.0-9eE]{2,}|[0-9]|true|false|null', "x", text)


PRINT = """
source "$1"
while IFS= read -r data; do
  create_event a.b s "$data"
  printf '\\f\\n'
done
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home for what was written for Cortex."""
    root = tmp_path_factory.mktemp("home")
    config = root / "coordination/config/hookline.toml"
    config.parent.mkdir(parents=True)
    config.write_text('envelope = "cortex"\n')
    return root


@settings(max_examples=3, deadline=None)
@given(payloads=st.lists(VALUES, min_size=40, max_size=40))
def test_bash_prints_any_payload_over_the_lines_that_jq_takes(home, payloads):
    texts = [jsontext.dumps(payload) for payload in payloads]
    done = subprocess.run(
        ["bash", "-c", PRINT, "-", LOGGER],
        input=b"".join(text + b"\n" for text in texts),
        env={"HOOKLINE_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    printed = done.stdout.decode().split("\f\n")[:-1]
    for text, made in zip(texts, printed, strict=True):
        event = json.loads(made)
        assert repr(event["payload"]) == repr(json.loads(text))
        assert skeleton(made) == skeleton(json.dumps(event, indent=2) + "\n")
