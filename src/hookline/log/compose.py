"""From what a caller says to an event and its line, quickly when the same is said often.

One thing must hold: whatever the short ways below make is to the byte what `envelope.line` and
`jsontext.dumps` make of it, or they leave it to these.
"""

import os
import re
import time as system_time
import weakref
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, TypedDict, cast

import msgspec

from hookline.model import envelope, jsontext
from hookline.model.attributes import Fields, stored_time
from hookline.model.cause import Handled, with_cause
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.envelope import LINE_BYTES_MAX, LineTooLong
from hookline.model.event import Event, of_fields
from hookline.model.ids import uuid7, uuid7s
from hookline.model.types import domain_of

SHAPES_MAX: Final = 512
"""How many shapes are remembered: each `correlationid` makes one."""


class Said(TypedDict, total=False):
    """What events may say that the events of one shape have in common; None is not said."""

    subject: str | None
    priority: str | None
    correlationid: str | None
    causationid: str | None
    hops: int | None
    traceparent: str | None
    dataschema: str | None


_Key = tuple[str, str, *tuple[tuple[str, object], ...]]
"""Source and type, then what else is said."""

_SOME_ID = "00000000-0000-7000-8000-000000000000"
_SOME_TIME = "1970-01-01T00:00:00.000000Z"
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_MICROSECONDS: Final = {number: f"{number:03d}Z" for number in range(1000)}

# Between them nobody writes an exponent, and each writes the shortest digits that read the same.
_FLOAT_MIN: Final = 1e-4
_FLOAT_MAX: Final = 1e16

# As integers, which are looked for three times as fast as bytes.
_DELETE = 0x7F
_BACKSLASH = 0x5C

_DIGITS = 300
_RUNS = [(step, re.compile(rb"[0-9]{%d}" % (_DIGITS // step)).search) for step in (100, 10)]
"""So many digits in a row, seen by every hundredth byte, and then by every tenth."""

_Moment = tuple[int, str, Iterator[str]]
"""A millisecond: its nanoseconds since 1970, its time but for the last three digits, ids of it."""
_NO_MOMENT: Final[_Moment] = (0, "", iter(()))

_encode = msgspec.json.Encoder().encode
_replace = msgspec.structs.replace
_Raw = msgspec.Raw


class Shape:
    """What events of one shape share: their domain, parts of their lines, and an event to copy."""

    __slots__ = ("domain", "event", "head", "middle", "tail", "tail_with_data")

    def __init__(self, fields: Fields) -> None:
        """Of fields with _SOME_ID, _SOME_TIME and no data. Raises BadData."""
        self.head, _, rest = envelope.line(**fields).decode().partition(_SOME_ID)
        # A quote in a string is escaped, so this is found nowhere but at the key.
        middle, key, tail = rest.partition(',"time":"')
        self.middle = middle + key
        self.tail = tail[len(_SOME_TIME) : -1]
        self.tail_with_data = self.tail + ',"data":'
        self.event = of_fields(fields)
        self.domain = domain_of(self.event.type)


class Composer:
    """Makes events."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._now_ns: Callable[[], int] = system_time.time_ns
        if clock is not None:
            self._now_ns = lambda: nanoseconds(clock.now())
        self._shapes: tuple[Handled | None, dict[_Key, Shape]] = (None, {})
        self._second = (-1, "")
        self._moment = _NO_MOMENT
        _composers.add(self)

    def compose(
        self, source: str, type: str, said: Said, cause: Handled | None, data: bytes
    ) -> tuple[Event, str, bytes]:
        """The event, its domain and its line, newline and all; `data` is compact JSON or empty.

        Raises BadData, LineTooLong.
        """
        key: _Key = (source, type, *said.items()) if said else (source, type)
        known_cause, shapes = self._shapes
        shape = shapes.get(key) if cause is known_cause else None
        if shape is None:
            shape = self._learn(key, cause)
        since_ns, millisecond, ids = self._moment
        try:
            time = millisecond + _MICROSECONDS[(self._now_ns() - since_ns) // 1000]
            id = next(ids)
        except (KeyError, StopIteration):
            time, id = self._begin_moment()
        tail = shape.tail_with_data if data else shape.tail
        head = f"{shape.head}{id}{shape.middle}{time}{tail}".encode()
        line = b"".join((head, data, b"}\n"))
        if len(line) > LINE_BYTES_MAX:
            raise LineTooLong(f"the event takes {len(line)} bytes")
        return _replace(shape.event, id=id, time=time, data=_Raw(data)), shape.domain, line

    def fields(
        self,
        source: str,
        type: str,
        said: Said,
        data: bytes,
        id: str | None,
        time: datetime | str | None,
    ) -> Fields:
        """The same as fields, not checked but for the time."""
        now_ns = self._now_ns()
        if time is None:
            time = self._stamp(now_ns)
        elif isinstance(time, datetime):
            time = rfc3339(time)
        else:
            time = stored_time(time)
        fields = _fields(uuid7(now_ns) if id is None else id, source, type, time, said)
        if data:
            fields["data"] = data
        return fields

    def forget_moment(self) -> None:
        """The child of a fork is not to go on with the ids of its parent."""
        self._moment = _NO_MOMENT

    def _begin_moment(self) -> tuple[str, str]:
        """The time now, and an id; what follows soon goes on from there."""
        now_ns = self._now_ns()
        time, ids = self._stamp(now_ns), uuid7s(now_ns)
        id = next(ids)
        # One assignment: another thread sees all of it or nothing.
        self._moment = now_ns - now_ns % 1_000_000, time[: -len("000Z")], ids
        return time, id

    def _stamp(self, now_ns: int) -> str:
        second, micros = divmod(now_ns // 1000, 1_000_000)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).isoformat()[:19]
            self._second = (second, text)
        return f"{text}.{micros:06d}Z"

    def _learn(self, key: _Key, cause: Handled | None) -> Shape:
        source, type, *said = key
        fields = _fields(_SOME_ID, source, type, _SOME_TIME, cast(Said, dict(said)))
        shape = Shape(with_cause(fields, cause))
        known_cause, shapes = self._shapes
        if cause is not known_cause or len(shapes) >= SHAPES_MAX:
            shapes = {}
            # One assignment: another thread sees both or neither.
            self._shapes = cause, shapes
        shapes[key] = shape
        return shape


def _fields(id: str, source: str, type: str, time: str, said: Said) -> Fields:
    unknown = said.keys() - Said.__annotations__.keys()
    if unknown:
        raise TypeError(f"append() has no argument {' '.join(unknown)}")
    return cast(Fields, {"id": id, "source": source, "type": type, "time": time, **said})


_composers: "weakref.WeakSet[Composer]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for composer in list(_composers):
        composer.forget_moment()


os.register_at_fork(after_in_child=_after_fork_in_child)


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
            and (len(text) < _DIGITS or not _may_overflow(text))
        ):
            return text
    return jsontext.dumps(value)


def _may_overflow(text: bytes) -> bool:
    """Whether there may be an integer beyond a double in it."""
    return all(search(text[step - 1 :: step]) for step, search in _RUNS)


def _is_plain(value: object, levels_left: int) -> bool:
    """Whether it is made of exactly the types that JSON has, with floats only that all write the
    same, not too deep, and has no record prefix in it."""
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
    elif type(value) is float:
        return value == 0.0 or _FLOAT_MIN <= abs(value) < _FLOAT_MAX
    else:
        return type(value) in _SCALARS
    if not levels_left:
        return False
    for item in items:
        if type(item) not in _SCALARS and not _is_plain(item, levels_left - 1):
            return False
    return True
