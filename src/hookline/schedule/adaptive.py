"""`[adaptive]` of `schedules.toml`: what changes the speed of adaptive schedules, as it is written.

A speed of 2.0 is twice as often, 0.5 half as often; at 0.0 a schedule stands still.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

from hookline.model.duration import seconds
from hookline.model.errors import BadData, shown
from hookline.model.types import check_type, is_pattern, matches
from hookline.schedule.recurrence import SECOND_US
from hookline.schedule.schedule import Schedule

_NAMES: Final = re.compile(r"[a-z0-9_*-]{1,64}\Z")
_SPEED_MAX: Final = 100.0
Speed = Annotated[float, msgspec.Meta(ge=0, le=_SPEED_MAX)]
Slow = Annotated[float, msgspec.Meta(gt=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100)]
"""Of ticks: so many of the last ones are looked at."""


class Response(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"for_": "for"},
):
    """`[adaptive.on."TYPE"]`: what such an event does to the speed of which schedules, how long."""

    speed: Speed
    severity: Mapping[str, Speed] = {}
    """The speed for an event with this `data.severity`. Without a new one it gets milder by one of
    these after each `for`."""
    for_: str = ""
    """How long after the last such event; without it, until something in `until` comes."""
    until: tuple[str, ...] = ()
    """The types of the events that end it."""
    schedules: tuple[str, ...] = ("*",)
    """Patterns of names (`curiosity*`) or, with a dot, of event types (`trigger.*`)."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        if not self.for_ and not self.until:
            raise ValueError("one of for and until says how long it lasts")
        if self.for_ and not _span_us("for", self.for_):
            raise ValueError("for is zero")
        for type in self.until:
            _check("until", type)
        for pattern in self.schedules:
            if not (is_pattern(pattern) if "." in pattern else _NAMES.match(pattern)):
                raise ValueError(
                    f"schedules: {shown(pattern)} is no pattern of names such as 'curiosity*' and "
                    "none of event types such as 'trigger.*'"
                )

    @property
    def span_us(self) -> int | None:
        """`for` in microseconds; None: until something ends it."""
        return _span_us("for", self.for_) if self.for_ else None

    def concerns(self, schedule: Schedule) -> bool:
        """Whether it is about this schedule."""
        return any(
            matches(pattern, schedule.event)
            if "." in pattern
            else fnmatchcase(schedule.name, pattern)
            for pattern in self.schedules
        )


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[adaptive.load]`, `[adaptive.memory]`: slow from one measure on, until below another."""

    slow_at: Annotated[float, msgspec.Meta(gt=0)]
    normal_at: Annotated[float, msgspec.Meta(gt=0)]
    speed: Slow = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        if self.normal_at >= self.slow_at:
            raise ValueError("normal_at is less than slow_at")


class Backlog(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[adaptive.backlog]`: how many ticks of a schedule one handler may have before it."""

    slow_at: Count = 3
    """So many, and each time so many more, halve the speed."""
    normal_at: Annotated[int, msgspec.Meta(ge=0)] = 1
    """With so many at most the speed recovers, halving by halving."""
    stop_at: Count = 20
    """With so many it stands still, until they are down to `normal_at`."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        if not self.normal_at < self.slow_at < self.stop_at:
            raise ValueError("normal_at is less than slow_at, and that is less than stop_at")


class Adaptive(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[adaptive]`."""

    speed_min: Slow = 0.1
    speed_max: Annotated[float, msgspec.Meta(ge=1, le=_SPEED_MAX)] = 2.0
    hold: str = "1m"
    """How long a speed stays before it may go up again; it goes down at once."""
    load: Threshold = Threshold(slow_at=1.5, normal_at=1.0)
    """The load average of a minute, divided by the number of processors."""
    memory: Threshold = Threshold(slow_at=0.9, normal_at=0.8)
    """The part of the memory that is in use."""
    backlog: Backlog = Backlog()
    on: Mapping[str, Response] = {}
    """By the types of events."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        _span_us("hold", self.hold)
        for type in self.on:
            _check("on", type)

    @property
    def hold_us(self) -> int:
        """`hold` in microseconds."""
        return _span_us("hold", self.hold)

    @property
    def types(self) -> frozenset[str]:
        """The types of the events that mean something here."""
        return frozenset(self.on).union(*(each.until for each in self.on.values()))


def _span_us(key: str, text: str) -> int:
    try:
        return round(seconds(text) * SECOND_US)
    except BadData as wrong:
        raise ValueError(f"{key}: {wrong}") from wrong


def _check(key: str, type: str) -> None:
    try:
        check_type(type)
    except BadData as wrong:
        raise ValueError(f"{key}: {wrong}") from wrong
