"""Cortex events: `event_id`, `event_type`, `timestamp` … and the way back (docs/FORMAT.md 4).

And the names of Cortex's handlers, of which not all say the type.
"""

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Final

from hookline.model import jsontext
from hookline.model.attributes import PRIORITIES, Found, refuse_unknown, stored_time, string
from hookline.model.clock import parse_rfc3339
from hookline.model.errors import BadData

if TYPE_CHECKING:
    from hookline.model.event import Event

_RENAMED = {"event_id": "id", "event_type": "type", "source": "source"}
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_KEYS = frozenset({*_RENAMED, "timestamp", "correlation_id", "metadata", "payload"})

HANDLER_TYPES: Final = {
    "on-worker-complete": "worker.completed",
    "on-task-complete": "task.completed",
    "on-task-failure": "task.failed",
    "on-security-alert": "security.vulnerability_found",
    "on-routing-decision": "routing.decision_made",
    "on-learning-pattern": "learning.pattern_detected",
    "on-cleanup-needed": "system.cleanup_needed",
    "on-health-alert": "system.health_alert",
    "on-system-startup": "daemon.started",
    "on-system-shutdown": "daemon.stopped",
}
"""By the name of a handler without its suffix, where it is not made of its type."""


def is_cortex(members: Container[str]) -> bool:
    """Whether these are the keys of a Cortex event, whole or not."""
    return "event_type" in members or "event_id" in members


def to_fields(members: dict[str, bytes], *, strict: bool = True) -> Found:
    """The fields that a Cortex event has, from the members of its compact text.

    What our form has no place for is kept in the payload, where that is an object: metadata beyond
    a priority that we know as `_metadata`, keys that Cortex does not know as `_event`. Raises
    BadData for a value of the wrong kind and, when strict, for a key that cannot be kept.
    """
    found: Found = {
        ours: string(theirs, members[theirs])
        for theirs, ours in _RENAMED.items()
        if theirs in members
    }
    if "timestamp" in members:
        found["time"] = stored_time(string("timestamp", members["timestamp"]), colonless=True)
    if members.get("correlation_id", b'""') not in (b'""', b"null"):
        found["correlationid"] = string("correlation_id", members["correlation_id"])
    raw = members.get("metadata", b"null")
    metadata = _metadata(raw)
    given = metadata.pop("priority", b"null")
    priority = string("metadata.priority", given) if given.startswith(b'"') else ""
    if priority in PRIORITIES:
        found["priority"] = priority
        given = b"null"
    kept = {"_metadata": raw} if metadata or given != b"null" else {}
    payload = members.get("payload")
    others = _without(members, *_KEYS)
    if others and all(map(_PLAIN.match, others)) and (payload or b"{").startswith(b"{"):
        payload = payload or b"{}"
        kept["_event"] = _object(others)
    elif strict:
        refuse_unknown(members, _KEYS, "a Cortex event and cannot be kept in its payload")
    if payload is not None:
        found["data"] = _with(payload, kept)
    return found


def _metadata(raw: bytes) -> dict[str, bytes]:
    if raw == b"null":
        return {}
    if not raw.startswith(b"{"):
        raise BadData("metadata is not an object")
    return jsontext.members(raw)


def _with(payload: bytes, kept: dict[str, bytes]) -> bytes:
    if not kept or not payload.startswith(b"{"):
        return payload
    comma = b"" if payload == b"{}" else b","
    return jsontext.compact(payload[:-1] + comma + _object(kept)[1:])


def _object(members: dict[str, bytes]) -> bytes:
    return b"{%s}" % b",".join(jsontext.dumps(name) + b":" + text for name, text in members.items())


def from_event(event: "Event") -> bytes:
    """The event as a Cortex object in compact JSON; an event without data has the payload `{}`.

    What `to_fields` has kept in the payload stands where it stood before.
    """
    payload, metadata, others = _apart(bytes(event.data) or b"{}")
    priority = metadata.get("priority", b"null")
    if event.priority or priority == b"null":
        priority = jsontext.dumps(event.priority or "medium")
    metadata = {"priority": priority, **_without(metadata, "priority")}
    stamp = parse_rfc3339(event.time).replace(tzinfo=None).isoformat(timespec="seconds")
    values = {
        "event_id": event.id,
        "event_type": event.type,
        "timestamp": f"{stamp}+0000",
        "source": event.source,
        "correlation_id": event.correlationid,
    }
    said = {name: jsontext.dumps(value) for name, value in values.items() if value is not None}
    return _object({**said, "metadata": _object(metadata), "payload": payload, **others})


def _apart(data: bytes) -> tuple[bytes, dict[str, bytes], dict[str, bytes]]:
    """The payload, the metadata and the other keys that an event's data says."""
    metadata: dict[str, bytes] = {}
    others: dict[str, bytes] = {}
    if not data.startswith(b"{") or (b'"_metadata":' not in data and b'"_event":' not in data):
        return data, metadata, others
    members = jsontext.members(jsontext.compact(data))
    if members.get("_metadata", b"").startswith(b"{"):
        metadata = jsontext.members(members.pop("_metadata"))
    if members.get("_event", b"").startswith(b"{"):
        others = _without(jsontext.members(members.pop("_event")), *_KEYS)
    return _object(members), metadata, others


def _without(members: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: text for name, text in members.items() if name not in names}
