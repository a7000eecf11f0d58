"""The attributes of an event: their names in order, and what each may hold (docs/FORMAT.md 4)."""

import json
import re
from datetime import datetime
from typing import TypedDict

from hookline.model.clock import parse_rfc3339, rfc3339
from hookline.model.errors import BadData, shown
from hookline.model.ids import is_id

STRING_BYTES_MAX = 256
HOPS_MAX = 1000
PRIORITIES = ("low", "medium", "high", "critical")
_NEVER = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
STORED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_HOPS = re.compile(r"[1-9]\d{0,3}\Z", re.ASCII)
_TRACEPARENT = re.compile(
    r"00-(?!0{32}-)[0-9a-f]{32}-(?!0{16}-)[0-9a-f]{16}-[0-9a-f]{2}\Z", re.ASCII
)


class Optionals(TypedDict, total=False):
    """What an event may say besides; None is the same as absent.

    `intensity` is the text of a JSON number, `data` compact JSON text.
    """

    subject: str | None
    priority: str | None
    correlationid: str | None
    causationid: str | None
    hops: int | None
    traceparent: str | None
    dataschema: str | None
    dataref: str | None
    ecosystem: str | None
    intensity: str | None
    incident_id: str | None
    replayof: str | None
    data: bytes | None


class Fields(Optionals):
    """All that an event's line says; the keywords of `envelope.line`. `time` is the stored form."""

    id: str
    source: str
    type: str
    time: str


Found = dict[str, str | int | bytes]
"""Fields on the way: translated, not yet known to be complete."""


def check_string(name: str, value: str) -> str:
    """A string attribute: 1 to 256 bytes without control characters. Raises BadData otherwise."""
    if not value:
        raise BadData(f"{name} is empty")
    if len(value) > STRING_BYTES_MAX or len(value.encode("utf-8", "replace")) > STRING_BYTES_MAX:
        raise BadData(f"{name} is longer than {STRING_BYTES_MAX} bytes")
    if _NEVER.search(value):
        raise BadData(f"{name} {shown(value)} has a control character or is not UTF-8")
    return value


def check_id(value: str) -> str:
    """An id by its pattern. Raises BadData otherwise."""
    if not is_id(value):
        raise BadData(f"id {shown(value)} is not 1 to 128 of A-Z a-z 0-9 . _ : -")
    return value


def check_time(value: str) -> str:
    """A time in the stored form. Raises BadData otherwise."""
    try:
        if STORED_TIME.match(value) and datetime.fromisoformat(value):
            return value
    except ValueError:
        pass
    raise BadData(f"time {shown(value)} is not like '2026-11-21T01:35:31.123456Z'")


def stored_time(value: str, *, colonless: bool = False) -> str:
    """Any time that `parse_rfc3339` takes in the stored form. Raises BadData otherwise."""
    return rfc3339(parse_rfc3339(value, colonless=colonless))


def check_priority(value: str) -> str:
    """One of low, medium, high, critical. Raises BadData otherwise."""
    if value not in PRIORITIES:
        raise BadData(f"priority {shown(value)} is none of {' '.join(PRIORITIES)}")
    return value


def check_hops(value: int) -> int:
    """From 1 to 1000. Raises BadData otherwise."""
    if not 1 <= value <= HOPS_MAX:
        raise BadData(f"hops is not from 1 to {HOPS_MAX}")
    return value


def check_traceparent(value: str) -> str:
    """W3C Trace Context, version 00. Raises BadData otherwise."""
    if not _TRACEPARENT.match(value):
        raise BadData(f"traceparent {shown(value)} is not W3C Trace Context, version 00")
    return value


def check_dataref(value: str, id: str) -> str:
    """`data/<the event's id>.json`. Raises BadData otherwise: it could lead out of its folder."""
    if value != f"data/{id}.json":
        raise BadData(f"dataref {shown(value)} is not 'data/<the id of the event>.json'")
    return value


def check_intensity(value: str) -> str:
    """The text of a JSON number. Raises BadData otherwise."""
    if not _NUMBER.match(value):
        raise BadData(f"intensity {shown(value)} is not a number")
    return value


def string(name: str, raw: bytes) -> str:
    """The value of a JSON string, from its checked text. Raises BadData for anything else."""
    if not raw.startswith(b'"'):
        raise BadData(f"{name} is not a string")
    value: str = json.loads(raw)
    return value


def hops(raw: bytes) -> int:
    """The value of `hops` from its checked text. Raises BadData otherwise."""
    text = raw.decode()
    if not _HOPS.match(text):
        raise BadData(f"hops is not an integer from 1 to {HOPS_MAX}")
    return check_hops(int(text))


def refuse_unknown(members: dict[str, bytes], known: frozenset[str], what: str) -> None:
    """Raises BadData that names the first member which the event may not have."""
    for key in members:
        if key not in known:
            raise BadData(f"key {shown(key)} is unknown in {what}")
