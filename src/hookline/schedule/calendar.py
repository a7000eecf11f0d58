"""OnCalendar: systemd's way to write times (systemd.time(7), "Calendar events"). Pure."""

import re
from calendar import monthrange
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple

from hookline.model.errors import BadData, shown
from hookline.schedule.recurrence import (
    EVERY_US_MIN,
    MINUTE_US,
    SECOND_US,
    TEXT_MAX,
    zone_of,
)
from hookline.schedule.zoned import FORMS, TimesOfDay, Zoned

_SHORTHANDS: Final = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAYS: Final = {name: number for number, day in enumerate(_NAMES) for name in (day, day[:3])}
_SPAN_OF_DAYS: Final = r"[a-z]+(?:(?:\.\.|-)[a-z]+)?"
_DAYS_OF_WEEK: Final = re.compile(rf"{_SPAN_OF_DAYS}(?:,{_SPAN_OF_DAYS})*,?\Z")
_DATE: Final = re.compile(r"(?:([^-~:]+)-)?([^-~:]+)([-~])([^-~:]+)\Z")
_TIME: Final = re.compile(r"([^:]+):([^:]+)(?::([^:]+))?\Z")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]*\Z")
_ITEM: Final = re.compile(
    r"(\d{1,4}(?:\.\d{1,9})?)(?:\.\.(\d{1,4}(?:\.\d{1,9})?))?(?:/(\d{1,4}(?:\.\d{1,9})?))?\Z",
    re.ASCII,
)
_YEARS: Final = range(1970, 2200)
_FROM_END_MAX: Final = 28
"""How far from its end each month has a day."""
_AN_ITEM_MAX: Final = MINUTE_US // EVERY_US_MIN


class Calendar(Zoned):
    """An OnCalendar text. A time that the change to summer time leaves out is left out that day,
    and one that the change back repeats comes once, when it is first shown."""

    def __init__(self, text: str, zone: str | None = None) -> None:
        """`zone` is for a text that names none. Raises BadData."""
        if len(text) > TEXT_MAX:
            raise BadData(f"cron = {shown(text)} is longer than {TEXT_MAX} characters")
        try:
            days, times, named = _read(text)
        except ValueError as wrong:
            raise BadData(f"cron = {shown(text)}: {wrong}: {FORMS}") from wrong
        if named and zone is not None:
            raise BadData(f"cron = {shown(text)} names a zone, and so does timezone: one will do")
        zone = "UTC" if zone is None else zone
        super().__init__(
            f"cron {text}" if named else f"cron {text} {zone}",
            zone_of(named or zone),
            times,
            days.has,
            sorted(days.months),
            "left out",
        )
        if self.after(0) is None:
            raise BadData(f"cron = {shown(text)} never comes about")


class _Days(NamedTuple):
    weekdays: frozenset[int]
    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    from_end: bool
    """Whether `days` are counted from the end of the month: 1 is its last."""

    def has(self, day: date) -> bool:
        """Whether it is one of them."""
        number = day.day
        if self.from_end:
            number = monthrange(day.year, day.month)[1] - number + 1
        return number in self.days and day.weekday() in self.weekdays and day.year in self.years


def _read(text: str) -> tuple[_Days, TimesOfDay, str | None]:
    """The days, the times of day and the zone that a text names. Raises ValueError."""
    words = text.split()
    zone = None
    if len(words) > 1 and _ZONE.match(words[-1]) and _weekdays(words[-1]) is None:
        zone = words.pop()
    if len(words) == 1:
        words = _SHORTHANDS.get(words[0].lower(), words[0]).split()
    weekdays = _weekdays(words[0]) if words else None
    rest = words if weekdays is None else words[1:]
    on = _DATE.match(rest[0]) if rest else None
    rest = rest if on is None else rest[1:]
    at = _TIME.match(rest[0]) if rest else None
    rest = rest if at is None else rest[1:]
    if rest or not words:
        raise ValueError(f"{shown(rest[0])} is not understood" if rest else "it is empty")
    year, month, sign, day = on.groups() if on else (None, "*", "-", "*")
    hour, minute, second = at.groups() if at else ("0", "0", None)
    days = _Days(
        weekdays=weekdays or frozenset(range(7)),
        years=frozenset(_numbers("year", year or "*", _YEARS)),
        months=frozenset(_numbers("month", month, range(1, 13))),
        days=frozenset(
            _numbers("day", day, range(1, 32))
            if sign == "-" or day == "*"
            else _numbers("day", day, range(1, _FROM_END_MAX + 1), from_end=True)
        ),
        from_end=sign == "~" and day != "*",
    )
    times = TimesOfDay(
        _numbers("hour", hour, range(24)),
        _numbers("minute", minute, range(60)),
        _numbers("second", second or "0", range(MINUTE_US), SECOND_US),
    )
    return days, times, "UTC" if zone and zone.upper() == "UTC" else zone


def _weekdays(text: str) -> frozenset[int] | None:
    """The days of the week that a word names, Monday is 0; None: it is about something else."""
    if not _DAYS_OF_WEEK.match(text.lower()):
        return None
    found: set[int] = set()
    for span in text.lower().removesuffix(",").split(","):
        first, _, last = span.replace("..", "-").partition("-")
        numbers = [_WEEKDAYS.get(name, -1) for name in (first, last or first)]
        if min(numbers) < 0 or numbers[0] > numbers[1]:
            return None
        found.update(range(numbers[0], numbers[1] + 1))
    return frozenset(found)


def _numbers(
    what: str, text: str, allowed: range, unit: int = 1, *, from_end: bool = False
) -> list[int]:
    """What `*`, or values, ranges and steps with commas between them, name of what is allowed,
    in order. Raises ValueError."""
    if text == "*":
        return list(allowed[::unit])
    found: set[int] = set()
    for item in text.split(","):
        span = _span(what, item, allowed, unit, from_end=from_end)
        if len(span) > _AN_ITEM_MAX:
            raise ValueError(f"{what} {shown(item)} is more often than every 10ms")
        found.update(span)
    numbers = sorted(found)
    if unit > 1 and any(later - each < EVERY_US_MIN for each, later in pairwise(numbers)):
        raise ValueError(f"{what} {shown(text)} is more often than every 10ms")
    return numbers


def _span(what: str, item: str, allowed: range, unit: int, *, from_end: bool) -> range:
    matched = _ITEM.match(item)
    if matched is None or (unit == 1 and "." in item.replace("..", "")):
        raise ValueError(f"{what} {shown(item)} is not understood")
    first, last, step = (
        None if each is None else round(float(each) * unit) for each in matched.groups()
    )
    assert first is not None  # every item has one
    if what == "year":
        first, last = _year(first), None if last is None else _year(last)
    if first not in allowed or (last is not None and not first <= last <= allowed[-1]):
        raise ValueError(
            f"{what} {shown(item)} is not within {allowed[0] // unit} to {allowed[-1] // unit}"
        )
    if step is None:
        return range(first, (first if last is None else last) + 1, unit)
    if last is None:
        last = allowed[0] if from_end else allowed[-1]
        # As systemd has it, which would not do it once.
        if step > abs(last - first):
            raise ValueError(f"{what} {shown(item)} has too long a step")
    if step == 0:
        raise ValueError(f"{what} {shown(item)} has no step")
    towards = 1 if first <= last else -1
    return range(first, last + towards, towards * step)


def _year(number: int) -> int:
    if number >= 100:
        return number
    return number + (2000 if number < 70 else 1900)
