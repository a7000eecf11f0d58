"""Recurrences: at which nominal times something is due. Pure.

All times are integers, microseconds since 1970 (UTC): they add up without an error, over any time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hookline.model.errors import BadData, shown

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
EVERY_US_MIN: Final = 10_000
TEXT_MAX: Final = 256
"""How long a cron expression, or an OnCalendar text, may be."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
NEVER_US: Final = 1 << 62
REWIND_US: Final = 3 * HOUR_US
"""As cron(8) does it: a clock that is set back by less has its times of day once all the same."""


class Recurrence(Protocol):
    """Nominal times in order. `str()` of it is how it was written, which tells it from others."""

    @property
    def rewind_us(self) -> int:
        """When the clock is set back by more than this, nominal times that were come again."""

    def after(self, moment_us: int) -> int | None:
        """The first nominal time after a moment; None: there is none any more."""

    def span(self, first_us: int, until_us: int) -> tuple[int, int]:
        """How many there are from a nominal time up to another moment, both included, and the last
        one of them; `until_us` is not before `first_us`."""


class Written:
    """What is told by how it was written: the same text means the same times."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._text}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(self._text)


class Every(Written):
    """A fixed span, anchored to the wall clock: multiples of it since 1970 (UTC)."""

    def __init__(self, interval_us: int, text: str) -> None:
        """Raises BadData for less than ten milliseconds."""
        if interval_us < EVERY_US_MIN:
            raise BadData(f"every = {shown(text)} is shorter than 10ms")
        self.interval_us = interval_us
        super().__init__(f"every {text}")
        self.rewind_us = min(interval_us, REWIND_US)

    def after(self, moment_us: int) -> int | None:
        """See `Recurrence`."""
        return (moment_us // self.interval_us + 1) * self.interval_us

    def span(self, first_us: int, until_us: int) -> tuple[int, int]:
        """See `Recurrence`."""
        steps = (until_us - first_us) // self.interval_us
        return steps + 1, first_us + steps * self.interval_us


class Lapse(Written):
    """A fixed span, each counted from the one before."""

    def __init__(self, interval_us: int, text: str) -> None:
        super().__init__(text)
        self.rewind_us = min(interval_us, REWIND_US)
        self._interval_us = interval_us

    def after(self, moment_us: int) -> int | None:
        """See `Recurrence`."""
        return moment_us + self._interval_us

    def span(self, first_us: int, until_us: int) -> tuple[int, int]:
        """See `Recurrence`."""
        steps = (until_us - first_us) // self._interval_us
        return steps + 1, first_us + steps * self._interval_us


class Silence(Lapse):
    """So long after the last event of those that it watches, and again and again after that."""


class Asked(Written):
    """No nominal times of its own: what makes it due is not time."""

    rewind_us = 0

    def after(self, moment_us: int) -> int | None:  # noqa: ARG002  # there is none after any
        """See `Recurrence`."""
        return None

    def span(self, first_us: int, until_us: int) -> tuple[int, int]:  # noqa: ARG002  # as above
        """See `Recurrence`."""
        return 1, first_us


class At(Written):
    """Some moments, each once, however the clock is set."""

    rewind_us = NEVER_US

    def __init__(self, moments_us: Sequence[int], text: str) -> None:
        super().__init__(f"at {text}")
        self._moments_us = sorted(set(moments_us))

    def after(self, moment_us: int) -> int | None:
        """See `Recurrence`."""
        return next((each for each in self._moments_us if each > moment_us), None)

    def span(self, first_us: int, until_us: int) -> tuple[int, int]:
        """See `Recurrence`."""
        found = [each for each in self._moments_us if first_us <= each <= until_us]
        return len(found), found[-1]


def zone_of(name: str) -> ZoneInfo:
    """A time zone of the machine's tz database. Raises BadData."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as wrong:
        raise BadData(
            f"timezone = {shown(name)} is not known here: it is like 'Europe/Berlin' (package "
            "tzdata)"
        ) from wrong


def microseconds(moment: datetime) -> int:
    """An aware time as microseconds since 1970, exactly."""
    return (moment - EPOCH) // _MICROSECOND


def utc_time(moment_us: int) -> datetime:
    """Microseconds since 1970 as aware UTC."""
    return EPOCH + moment_us * _MICROSECOND


def local_time(moment_us: int, zone: ZoneInfo) -> datetime:
    """Microseconds since 1970 as the time of a zone."""
    return utc_time(moment_us).astimezone(zone)
