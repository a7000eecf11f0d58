"""KLoROS signals: `Q_DREAM_TRIGGER` <-> `dream.trigger` (docs/FORMAT.md 4)."""

import re
from typing import TYPE_CHECKING

from hookline.model import jsontext
from hookline.model.attributes import Found, refuse_unknown, stored_time, string
from hookline.model.clock import from_epoch_s, nanoseconds, parse_rfc3339, rfc3339
from hookline.model.errors import BadData, shown
from hookline.model.types import domain_of

if TYPE_CHECKING:
    from hookline.model.event import Event

_NAME = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_KEYS = frozenset(
    {
        "signal",
        "ecosystem",
        "intensity",
        "facts",
        "incident_id",
        "trace",
        "ts",
        "timestamp",
        "source",
        "schema_version",
    }
)


def type_of(name: str) -> str:
    """The type of a signal: `Q_DREAM_TRIGGER` is `dream.trigger`, `AFFECT_X_Y` is `affect.x_y`.

    Raises BadData for what is no signal's name; whether the result is a type is for the caller.
    """
    if not _NAME.match(name):
        raise BadData(f"signal {shown(name)} is not like 'Q_DREAM_TRIGGER'")
    return name.removeprefix("Q_").lower().replace("_", ".", 1)


def name_of(type_: str) -> str:
    """The signal of a type; `Q_` before it unless its domain is `affect`."""
    name = type_.replace(".", "_").upper()
    return name if domain_of(type_) == "affect" else f"Q_{name}"


def to_fields(members: dict[str, bytes]) -> Found:
    """The fields that a signal has, from the members of its compact text; null is absent.

    `trace` and `schema_version` say nothing that an event holds and are left out. Raises BadData.
    """
    refuse_unknown(members, _KEYS, "a signal")
    given = {key: raw for key, raw in members.items() if raw != b"null"}
    found: Found = {"type": type_of(string("signal", given.get("signal", b'""')))}
    stamp = given.get("ts", given.get("timestamp"))
    if stamp is not None:
        found["time"] = _time(stamp)
    for name in ("ecosystem", "incident_id"):
        if name in given:
            found[name] = string(name, given[name])
    if "intensity" in given:
        found["intensity"] = given["intensity"].decode()
    source = _source(given)
    if source is not None:
        found["source"] = source
    if "facts" in given:
        found["data"] = given["facts"]
    return found


def _source(given: dict[str, bytes]) -> str | None:
    facts = given.get("facts", b"")
    in_facts = jsontext.members(facts).get("source", b"") if facts.startswith(b"{") else b""
    for name, raw in (
        ("source", given.get("source")),
        ("facts.source", in_facts if in_facts.startswith(b'"') else None),
        ("ecosystem", given.get("ecosystem")),
    ):
        if raw is not None:
            return string(name, raw)
    return None


def _time(raw: bytes) -> str:
    if raw.startswith(b'"'):
        return stored_time(string("timestamp", raw), colonless=True)
    if raw[:1] not in b"-0123456789":
        raise BadData("ts is neither a number of seconds nor a time")
    return rfc3339(from_epoch_s(float(raw)))


def from_event(event: "Event") -> bytes:
    """The event as a signal in compact JSON, with its source, which bare signals have not."""
    micros, rest = divmod(nanoseconds(parse_rfc3339(event.time)) // 1000, 1_000_000)
    head = jsontext.dumps(
        {
            "signal": name_of(event.type),
            "source": event.source,
            "ecosystem": event.ecosystem or domain_of(event.type),
            "intensity": 1.0 if event.intensity is None else event.intensity,
        }
    )
    tail = jsontext.dumps({"incident_id": event.incident_id, "trace": event.traceparent})
    facts = bytes(event.data) or b"{}"
    time = f'"ts":{micros}.{rest:06d},"schema_version":1'
    return head[:-1] + b',"facts":' + facts + b"," + tail[1:-1] + b"," + time.encode() + b"}"
