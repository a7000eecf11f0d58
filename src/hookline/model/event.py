"""The event as readers hold it."""

from typing import Annotated, Any

import msgspec

from hookline.model import attributes, cortex, envelope, jsontext
from hookline.model.attributes import Fields
from hookline.model.errors import BadData
from hookline.model.ids import ID
from hookline.model.types import check_type

_String = Annotated[str, msgspec.Meta(min_length=1, max_length=attributes.STRING_BYTES_MAX)]

_CHECKED_STRINGS = (
    "source",
    "subject",
    "correlationid",
    "causationid",
    "traceparent",
    "dataschema",
    "ecosystem",
    "incident_id",
    "replayof",
)
_NO_DATA = msgspec.Raw(b"")

# Types recur, so each is looked at once; the bound is for a flood of invented ones.
_TYPES_KNOWN_MAX = 4096
_types_known: set[str] = set()


class NotAnEvent(BadData):
    """A JSON object of some older writer: neither CloudEvents nor Cortex."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An immutable fact. What an event does not have is None, but `hops` is then 0.

    `time` is in the stored form; `data` is the raw JSON text, empty where there is none.
    """

    specversion: str = "1.0"
    id: str
    source: _String
    type: str
    time: str
    subject: _String | None = None
    priority: _String | None = None
    correlationid: _String | None = None
    causationid: _String | None = None
    hops: int = 0
    traceparent: _String | None = None
    dataschema: _String | None = None
    dataref: _String | None = None
    ecosystem: _String | None = None
    intensity: float | None = None
    incident_id: _String | None = None
    replayof: _String | None = None
    data: msgspec.Raw = _NO_DATA

    def value(self) -> object:
        """The decoded data: integers exact, other numbers as doubles; None where there is none.

        Raises BadData where a foreign writer put something there that cannot be decoded.
        """
        try:
            return msgspec.json.decode(self.data) if self.data else None
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
            raise BadData(f"data of event {self.id} is not JSON: {wrong}") from wrong


_decoder = msgspec.json.Decoder(Event)
_decode, _decode_all = _decoder.decode, _decoder.decode_lines
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_is_id = ID.match
_is_stored_time = attributes.STORED_TIME.match
_SEAM = b"}\n" + envelope.RECORD_PREFIX
_ZEROS = bytes.maketrans(b"123456789abcdef", b"0" * 15)
_TIME_SHAPE = b"0000-00-00T00:00:00.000000Z\n"
"""Of a time in the stored form, once its digits are zeros."""
_SHAPE = b"00000000-0000-0000-0000-000000000000 " + _TIME_SHAPE
"""The same of an id as we make them and a time."""


def decode(line: bytes) -> Event:
    """The event in a line of a log, which is given without its newline.

    Keys that the format does not know are passed over; a Cortex event is translated. Raises
    NotAnEvent for an object of an older writer, BadData for all else that is no event.
    """
    try:
        event = _decode(line)
        if not line.isascii():
            line.decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
        return _decode_foreign(line, wrong)
    if (
        event.specversion != "1.0"
        or not _is_id(event.id)
        or not _is_stored_time(event.time)
        or event.type not in _types_known
        or b"\\" in line
    ):
        return _checked(event)
    return event


def decode_lines(lines: bytes) -> list[Event] | None:
    """The events of whole lines, newlines and all, at a tenth of the cost of one by one; None when
    one of them is to be looked at by itself.

    Where each line begins as ours do and ends as an object does, none can be within another.
    """
    count = lines.count(b"\n")
    if not lines.startswith(envelope.RECORD_PREFIX) or not lines.endswith(b"}\n"):
        return None
    try:
        events = _decode_all(lines)
        if not lines.isascii():
            lines.decode()
        if not len(events) == count == lines.count(_SEAM) + 1:
            return None
        if b"\\" in lines:
            for event, line in zip(events, lines.split(b"\n"), strict=False):
                if b"\\" in line:
                    _checked(event)
        for type in {event.type for event in events}:
            _check_type(type)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, BadData):
        return None
    named = "".join([f"{event.id} {event.time}\n" for event in events]).encode()
    if named.translate(_ZEROS) != _SHAPE * count:
        for event in events:
            if not (_is_id(event.id) and _is_stored_time(event.time)):
                return None
    return events if {event.specversion for event in events} == {"1.0"} else None


def decode_again(lines: bytes) -> list[Event]:
    """The events of lines that begin as ours do, newlines and all, each of which `decode` has taken
    before: of what it does, only times may have to be done again."""
    events = _decode_all(lines)
    times = "".join([f"{event.time}\n" for event in events]).encode()
    if times.translate(_ZEROS) != _TIME_SHAPE * len(events):
        return [decode(line) for line in lines.split(b"\n")[:-1]]
    return events


def of_fields(fields: Fields) -> Event:
    """The event that `envelope.line` makes a line of, from the same fields, without a check."""
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if "data" in given:
        given["data"] = msgspec.Raw(given["data"])
    if "intensity" in given:
        given["intensity"] = float(given["intensity"])
    return Event(**given)


def as_replay(line: bytes, replayof: str) -> bytes:
    """The line of an event with the attribute that says what it is a replay of, in its place.

    At most the first 256 bytes of `replayof`. Raises BadData for a line that is no JSON object.
    """
    name = replayof.encode()[: attributes.STRING_BYTES_MAX].decode(errors="ignore")
    try:
        members = _decode_members(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
        raise BadData(f"not an event: {wrong}") from wrong
    data = members.pop("data", None)
    members["replayof"] = msgspec.Raw(msgspec.json.encode(name))
    if data is not None:
        members["data"] = data
    return msgspec.json.encode(members)


def _checked(event: Event) -> Event:
    """The event, if its attributes are safe to use as names and in an environment."""
    if event.specversion != "1.0":
        raise BadData("specversion is not 1.0")
    attributes.check_id(event.id)
    _check_type(event.type)
    for name in _CHECKED_STRINGS:
        value = getattr(event, name)
        if value is not None:
            attributes.check_string(name, value)
    if _is_stored_time(event.time):
        return event
    return msgspec.structs.replace(event, time=attributes.stored_time(event.time))


def _check_type(type: str) -> None:
    if type not in _types_known:
        check_type(type)
        if len(_types_known) < _TYPES_KNOWN_MAX:
            _types_known.add(type)


def _decode_foreign(line: bytes, wrong: Exception) -> Event:
    """The event in a line that is none of ours."""
    try:
        members: dict[str, msgspec.Raw] = _decode_members(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BadData(f"not an event: {wrong}") from wrong
    if "specversion" in members:
        raise BadData(f"not an event: {wrong}") from wrong
    translated = jsontext.members(jsontext.compact(line, jsontext.LEVELS_MAX + 1))
    try:
        fields = envelope.complete(cortex.to_fields(translated, strict=False))
        return _checked(of_fields(fields))
    except BadData as reason:
        raise NotAnEvent(f"an object of an older writer, not an event: {reason}") from wrong
