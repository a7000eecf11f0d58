"""The envelope: an event's line from its fields, and its fields from what others send.

docs/FORMAT.md section 4 is the rule. Only the standard library: `hookline emit` stands on this.
"""

import re
from collections.abc import Callable, Mapping
from typing import Unpack, cast

from hookline.model import attributes, cortex, jsontext, signal
from hookline.model.attributes import Fields, Found, Optionals
from hookline.model.errors import BadData
from hookline.model.types import check_type, domain_of

LINE_BYTES_MAX = 262_144
"""With its newline."""
RECORD_PREFIX = b'{"specversion":"1.0","id":"'
"""Stands at the start of a record and, by the writers' promise, nowhere else in it."""

_PLAIN = re.compile(r"[ !#-\[\]-~]{1,256}\Z")


class LineTooLong(BadData):
    """The event is longer than a line may be."""


def line(
    *,
    id: str,
    source: str,
    type: str,
    time: str,
    **others: Unpack[Optionals],
) -> bytes:
    """The line of an event, without its newline.

    `time` is in the stored form, `intensity` the text of a JSON number, `data` a result of
    `jsontext.compact` or `.dumps` (None or empty: the event has none). All the rest is checked
    here. Raises BadData, and LineTooLong when only the length is wrong.
    """
    parts = [
        f'{{"specversion":"1.0","id":{_id(id)},"source":{_quoted("source", source)}',
        f',"type":{_type(type)},"time":{_time(time)}',
    ]
    given: Mapping[str, object] = others
    for name, written in _WRITTEN.items():
        if name in given and given[name] is not None:
            parts.append(f',"{name}":{written(given[name])}')
    if not given.keys() <= _OPTIONAL:
        raise TypeError(f"no attribute of an event: {', '.join(given.keys() - _OPTIONAL)}")
    dataref = others.get("dataref")
    if dataref is not None:
        attributes.check_dataref(dataref, id)
    return _with_data("".join(parts).encode(), others.get("data"), dataref)


def from_outside(
    event: bytes | dict[str, object],
    *,
    id: str | None = None,
    source: str | None = None,
    time: str | None = None,
) -> Fields:
    """The fields of what somebody sends: a CloudEvents, Cortex or KLoROS object, or its JSON text.

    The keywords stand in for what is missing. Values keep their text; a time gets the stored form.
    Raises BadData for what is no such object, for a key that the format does not know and for a
    missing attribute; `line` checks the values.
    """
    levels_max = jsontext.LEVELS_MAX + 1
    compacted = (
        jsontext.compact(event, levels_max)
        if isinstance(event, bytes)
        else jsontext.dumps(event, levels_max)
    )
    if not compacted.startswith(b"{"):
        raise BadData("not an event: a JSON object is wanted")
    found = _translated(jsontext.members(compacted))
    for name, default in (("id", id), ("source", source), ("time", time)):
        if default is not None:
            found.setdefault(name, default)
    return complete(found)


def complete(found: Found) -> Fields:
    """The fields, once nothing is missing that each event has. Raises BadData otherwise."""
    for name in ("id", "source", "type", "time"):
        if name not in found:
            raise BadData(f"{name} is missing")
    return cast(Fields, found)


def domain(fields: Fields) -> str:
    """The domain whose log the event belongs in. Raises BadData when its type is none."""
    return domain_of(check_type(fields["type"]))


def _translated(members: dict[str, bytes]) -> Found:
    if "specversion" in members:
        return _cloudevents(members)
    if cortex.is_cortex(members):
        return cortex.to_fields(members)
    if "signal" in members:
        return signal.to_fields(members)
    raise BadData("not an event: it has no specversion, event_type or signal")


def _cloudevents(members: dict[str, bytes]) -> Found:
    attributes.refuse_unknown(members, _KEYS, "an event; what is yours goes into data")
    if attributes.string("specversion", members.pop("specversion")) != "1.0":
        raise BadData("specversion is not 1.0")
    return {name: _READ[name](name, raw) for name, raw in members.items()}


def _with_data(head: bytes, data: bytes | None, dataref: str | None) -> bytes:
    if data:
        if dataref is not None:
            raise BadData("data and dataref exclude each other")
        text = b'%s,"data":%s}' % (head, data)
    else:
        text = head + b"}"
    if len(text) >= LINE_BYTES_MAX:
        raise LineTooLong(
            f"the event takes {len(text) + 1} bytes; a line has at most {LINE_BYTES_MAX}"
        )
    return text


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadData(f"{name} is not a string")
    return value


def _quoted(name: str, value: object) -> str:
    if isinstance(value, str) and _PLAIN.match(value):
        return f'"{value}"'
    checked = attributes.check_string(name, _string(name, value))
    return jsontext.dumps(checked).decode()


def _bare(name: str, check: Callable[[str], str]) -> Callable[[object], str]:
    return lambda value: f'"{check(_string(name, value))}"'


def _strings(name: str) -> Callable[[object], str]:
    return lambda value: _quoted(name, value)


def _hops(value: object) -> str:
    if type(value) is not int:
        raise BadData("hops is not an integer")
    return str(attributes.check_hops(value))


def _intensity(value: object) -> str:
    return attributes.check_intensity(_string("the text of intensity", value))


_id = _bare("id", attributes.check_id)
_type = _bare("type", check_type)
_time = _bare("time", attributes.check_time)

_WRITTEN: dict[str, Callable[[object], str]] = {
    "subject": _strings("subject"),
    "priority": _bare("priority", attributes.check_priority),
    "correlationid": _strings("correlationid"),
    "causationid": _strings("causationid"),
    "hops": _hops,
    "traceparent": _bare("traceparent", attributes.check_traceparent),
    "dataschema": _strings("dataschema"),
    "dataref": _strings("dataref"),
    "ecosystem": _strings("ecosystem"),
    "intensity": _intensity,
    "incident_id": _strings("incident_id"),
    "replayof": _strings("replayof"),
}
_OPTIONAL = frozenset({*_WRITTEN, "data"})
_READ: dict[str, Callable[[str, bytes], str | int | bytes]] = {
    **dict.fromkeys(("id", "source", "type", *_WRITTEN), attributes.string),
    "time": lambda name, raw: attributes.stored_time(attributes.string(name, raw)),
    "hops": lambda _, raw: attributes.hops(raw),
    "intensity": lambda _, raw: raw.decode(),
    "data": lambda _, raw: raw,
}
_KEYS = frozenset({"specversion", *_READ})
