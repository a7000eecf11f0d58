"""From what a caller says to an event and its line, quickly when the same is said often.

One thing must hold: whatever the short ways below make is to the byte what `envelope.line` and
`jsontext.dumps` make of it, or they leave it to these.
"""

import re
import time as system_time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, cast

import msgspec

from hookline.model import envelope, jsontext
from hookline.model.attributes import Fields, stored_time
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.event import Event, of_fields
from hookline.model.ids import uuid7


def _own_id() -> object:
    return uuid7(system_time.time_ns())


_system_id: Callable[[], object] = _own_id
try:
    import uuid_utils
except ImportError:
    # Python 3.14 and later install without it; ours takes a microsecond more.
    pass
else:
    _system_id = uuid_utils.uuid7

SHAPES_MAX: Final = 512
"""How many shapes are remembered: each `correlationid` makes one."""

OPTIONAL: Final = (
    "subject",
    "priority",
    "correlationid",
    "causationid",
    "hops",
    "traceparent",
    "dataschema",
)
Said = tuple[str | int | None, ...]
"""What events of one shape share: source, type, then the values of OPTIONAL."""

_SOME_ID = "00000000-0000-7000-8000-000000000000"
_SOME_TIME = "1970-01-01T00:00:00.000000Z"
_SCALARS: Final = frozenset({str, int, bool, type(None)})

# As integers, which are looked for three times as fast as bytes.
_DELETE = 0x7F
_BACKSLASH = 0x5C

_DIGITS = 300
_STEP = 10
_MAY_OVERFLOW = re.compile(rb"[0-9]{%d}" % (_DIGITS // _STEP)).search
"""An integer that may be beyond a double, seen by every tenth byte of it."""

_encode = msgspec.json.Encoder().encode
_replace = msgspec.structs.replace


class Shape:
    """The parts of a line that events of one shape share, and an event to copy."""

    __slots__ = ("event", "head", "middle", "tail")

    def __init__(self, fields: Fields) -> None:
        """Of fields with _SOME_ID, _SOME_TIME and no data. Raises BadData."""
        line = envelope.line(**fields).decode()
        self.head, _, rest = line.partition(_SOME_ID)
        # A quote in a string is escaped, so this is found nowhere but at the key.
        time_key = ',"time":"'
        before, _, behind = rest.partition(time_key + _SOME_TIME)
        self.middle = before + time_key
        self.tail = behind.removesuffix("}")
        self.event = of_fields(fields)


class Composer:
    """Makes events."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._now_ns: Callable[[], int] = system_time.time_ns
        self._id: Callable[[], object] = _system_id
        if clock is not None:
            self._now_ns = lambda: nanoseconds(clock.now())
            self._id = lambda: uuid7(self._now_ns())
        self._shapes: dict[Said, Shape] = {}
        self._second = (-1, "")

    def compose(
        self,
        said: Said,
        data: bytes,
        id: str | None = None,
        time: datetime | str | None = None,
    ) -> tuple[Event, bytes]:
        """The event and its line; `data` is compact JSON or empty. Raises BadData, LineTooLong."""
        if id is not None or time is not None:
            fields = self.fields(said, data, id, time)
            return of_fields(fields), envelope.line(**fields)
        shape = self._shapes.get(said) or self._learn(said)
        new_id = str(self._id())
        stamp = self._stamp()
        head = f"{shape.head}{new_id}{shape.middle}{stamp}{shape.tail}".encode()
        line = b'%b,"data":%b}' % (head, data) if data else head + b"}"
        if len(line) >= envelope.LINE_BYTES_MAX:
            raise envelope.LineTooLong(f"the event takes {len(line) + 1} bytes")
        return _replace(shape.event, id=new_id, time=stamp, data=msgspec.Raw(data)), line

    def fields(
        self, said: Said, data: bytes, id: str | None, time: datetime | str | None
    ) -> Fields:
        """The same as fields, not checked but for the time."""
        if time is None:
            time = self._stamp()
        elif isinstance(time, datetime):
            time = rfc3339(time)
        else:
            time = stored_time(time)
        fields = _fields(said, str(self._id()) if id is None else id, time)
        if data:
            fields["data"] = data
        return fields

    def _learn(self, said: Said) -> Shape:
        shape = Shape(_fields(said, _SOME_ID, _SOME_TIME))
        if len(self._shapes) >= SHAPES_MAX:
            self._shapes.clear()
        self._shapes[said] = shape
        return shape

    def _stamp(self) -> str:
        second, micros = divmod(self._now_ns() // 1000, 1_000_000)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).isoformat()[:19]
            # One assignment: another thread sees both or neither.
            self._second = (second, text)
        return f"{text}.{micros:06d}Z"


def dumps(value: object) -> bytes:
    """What `jsontext.dumps` makes of a value, sooner when there is nothing unusual in it."""
    if _is_plain(value, jsontext.LEVELS_MAX):
        try:
            text = _encode(value)
        except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
            return jsontext.dumps(value)
        if (
            text.isascii()
            and _DELETE not in text
            and (_BACKSLASH not in text or b"\\u" not in text)
            and (len(text) < _DIGITS or not _MAY_OVERFLOW(text[_STEP - 1 :: _STEP]))
        ):
            return text
    return jsontext.dumps(value)


def _is_plain(value: object, levels_left: int) -> bool:
    """Whether it is made of exactly the types that JSON has, without floats, not too deep, and has
    no record prefix in it."""
    if type(value) in _SCALARS:
        return True
    items: Iterable[object]
    if type(value) is dict:
        if "specversion" in value:
            return False
        for key in value:
            if type(key) is not str:
                return False
        items = value.values()
    elif type(value) is list:
        items = value
    else:
        return False
    if not levels_left:
        return False
    for item in items:
        if type(item) not in _SCALARS and not _is_plain(item, levels_left - 1):
            return False
    return True


def _fields(said: Said, id: str, time: str) -> Fields:
    named = zip(("source", "type", *OPTIONAL), said, strict=True)
    given = {name: value for name, value in named if value is not None}
    return cast(Fields, {"id": id, "time": time, **given})
