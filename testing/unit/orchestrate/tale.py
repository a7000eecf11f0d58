"""Evidence that is told in a few words, at whole days."""

import json
import zlib

import msgspec

from hookline.model.clock import from_epoch_s, rfc3339
from hookline.model.event import Event
from hookline.orchestrate.evidence import Evidence
from hookline.orchestrate.learning import lesson

DAY_S = 86_400.0
T0_S = 1_577_836_800.0


def moment(day):
    return rfc3339(from_epoch_s(T0_S + day * DAY_S))


def told(type, day, data, *, id="", source="test", **more):
    """An event and its decoded data."""
    raw = json.dumps(data)
    id = id or f"{type}-{day}-{zlib.crc32(raw.encode())}"
    event = Event(
        id=id, source=source, type=type, time=moment(day), data=msgspec.Raw(raw.encode()), **more
    )
    return event, data


def decided(day, task, expert, confidence=None, **more):
    data = {"task_id": task, "master": expert, "confidence": confidence, **more}
    return told("routing.decision_made", day, data)


def completed(day, task, **more):
    return told("task.completed", day, {"task_id": task, **more})


def failed(day, task, error_type="timeout", **more):
    return told("task.failed", day, {"task_id": task, "error_type": error_type, **more})


def evidence(*tellings):
    found = Evidence()
    for event, data in tellings:
        found.add(event, data)
    return found


def learned(*tellings, at=10, **more):
    return lesson(evidence(*tellings), as_of=moment(at), since=moment(0), **more)
