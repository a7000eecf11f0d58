"""Cortex events: `event_id`, `event_type`, `timestamp` … and the way back (docs/FORMAT.md 4)."""

from collections.abc import Container
from typing import TYPE_CHECKING

from hookline.model import jsontext
from hookline.model.attributes import Found, refuse_unknown, stored_time, string
from hookline.model.clock import parse_rfc3339
from hookline.model.errors import BadData

if TYPE_CHECKING:
    from hookline.model.event import Event

_RENAMED = {"event_id": "id", "event_type": "type", "source": "source"}
_KEYS = frozenset({*_RENAMED, "timestamp", "correlation_id", "metadata", "payload"})


def is_cortex(members: Container[str]) -> bool:
    """Whether these are the keys of a Cortex event, whole or not."""
    return "event_type" in members or "event_id" in members


def to_fields(members: dict[str, bytes], *, strict: bool = True) -> Found:
    """The fields that a Cortex event has, from the members of its compact text.

    Metadata beyond a priority is kept in the payload as `_metadata`, where the payload is an
    object. Raises BadData for a value of the wrong kind and, when strict, for an unknown key.
    """
    if strict:
        refuse_unknown(members, _KEYS, "a Cortex event")
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
    if "priority" in metadata:
        found["priority"] = string("metadata.priority", metadata["priority"])
    if "payload" in members:
        says_more = bool(metadata.keys() - {"priority"})
        found["data"] = _with(raw, members["payload"]) if says_more else members["payload"]
    return found


def _metadata(raw: bytes) -> dict[str, bytes]:
    if raw == b"null":
        return {}
    if not raw.startswith(b"{"):
        raise BadData("metadata is not an object")
    return jsontext.members(raw)


def _with(metadata: bytes, payload: bytes) -> bytes:
    if not payload.startswith(b"{"):
        return payload
    comma = b"" if payload == b"{}" else b","
    return jsontext.compact(payload[:-1] + comma + b'"_metadata":' + metadata + b"}")


def from_event(event: "Event") -> bytes:
    """The event as a Cortex object in compact JSON; an event without data has the payload `{}`."""
    stamp = parse_rfc3339(event.time).replace(tzinfo=None).isoformat(timespec="seconds")
    values = {
        "event_id": event.id,
        "event_type": event.type,
        "timestamp": f"{stamp}+0000",
        "source": event.source,
        "correlation_id": event.correlationid,
        "metadata": {"priority": event.priority or "medium"},
    }
    head = jsontext.dumps({key: value for key, value in values.items() if value is not None})
    return head[:-1] + b',"payload":' + (bytes(event.data) or b"{}") + b"}"
