"""Time: the one place that asks what time it is, and the one form in which it is written."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from hookline.model.errors import BadData, shown

_HOUR = r"(?:[01]\d|2[0-3])"
_RFC3339 = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)[Tt]({_HOUR}:[0-5]\d:[0-5]\d)(?:\.(\d+))?"
    rf"(?:[Zz]|([+-])({_HOUR})(:?)([0-5]\d))\Z",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """What tells the time. `hookline.testing` has one that is moved by hand."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""

    def monotonic_s(self) -> float:
        """Seconds since some moment, never going back: for waiting and measuring."""


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """CLOCK_MONOTONIC in seconds."""
        return time.monotonic()


def rfc3339(moment: datetime) -> str:
    """The stored form, UTC with six decimals: `2026-11-21T01:35:31.123456Z`.

    Raises ValueError for a time without a zone: that would be a bug of the caller.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def nanoseconds(moment: datetime) -> int:
    """An aware time as nanoseconds since 1970, exact to its microsecond."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def from_epoch_s(seconds: float) -> datetime:
    """Seconds since 1970 as aware UTC, to the nearest microsecond. Raises BadData out of range."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadData(f"time {seconds!r} is no number of seconds since 1970") from None


def stored_s(text: str) -> float:
    """A time in the stored form as seconds since 1970: `parse_rfc3339` for many. Raises
    ValueError."""
    if not text.endswith("Z"):
        raise ValueError("a time without a zone")
    return datetime.fromisoformat(text).timestamp()


def parse_rfc3339(text: str, *, colonless: bool = False) -> datetime:
    """An RFC 3339 time in any zone as aware UTC; decimals beyond the sixth are cut off.

    `colonless` also takes a zone such as `+0000`, as Cortex writes it. Raises BadData for any
    other text, for a date that does not exist and for a leap second.
    """
    found = _RFC3339.match(text)
    if found is None or (found[5] and not found[6] and not colonless):
        raise BadData(f"time {shown(text)} is not like '2026-11-21T01:35:31.123456Z'")
    date, clock, decimals, sign, hours, _, minutes = found.groups()
    micros = (decimals or "")[:6].ljust(6, "0")
    try:
        local = datetime.fromisoformat(f"{date}T{clock}.{micros}+00:00")
        return local - _offset(sign, hours, minutes)
    except (ValueError, OverflowError):
        raise BadData(f"time {shown(text)} is not a date that exists") from None


def _offset(sign: str | None, hours: str, minutes: str) -> timedelta:
    if sign is None:
        return timedelta()
    ahead = timedelta(hours=int(hours), minutes=int(minutes))
    return -ahead if sign == "-" else ahead
