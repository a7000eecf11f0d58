"""Schedules as lines of a crontab, or as timers of systemd. Pure: text out.

What either cannot say is told beside it. A time is said as an OnCalendar text wherever that can be:
a timer that counts from its own last run begins anew with each start of the machine.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cronsim import CronSim

from hookline.model import unit_text
from hookline.model.clock import parse_rfc3339
from hookline.model.duration import seconds, text_of
from hookline.schedule.cron import NICKNAMES, is_cron
from hookline.schedule.recurrence import EPOCH
from hookline.schedule.table import Table

_WEEKDAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_DAY_S: Final = 86400.0
_EVERYWHERE_S: Final = 900.0
"""The clocks of all zones are apart by a multiple of that."""
_RUN_DUE: Final = "hookline schedule export --run-due drives it all the same"


class Program(NamedTuple):
    """How the command of this home is called."""

    hookline: str
    home: str

    def words(self, *arguments: str) -> list[str]:
        """The words of a command line."""
        return [self.hookline, "schedule", *arguments, "--home", self.home]


class Lost(Exception):
    """What a schedule says and the other side cannot say."""


def crontab(tables: Mapping[str, Table], program: Program, zone: str) -> list[str]:
    """Lines of a crontab that ask for a tick of each schedule; what cannot be said is a comment.

    `zone`: that of the machine, by which cron goes. Zones of others are CRON_TZ's, which Debian's
    cron does not know.
    """
    first: list[str] = []
    by_zone: dict[str, list[str]] = {}
    for name, table in tables.items():
        command = shlex.join(program.words("trigger", name)).replace("%", "\\%")
        try:
            times, of = _cron_times(table)
        except Lost as lost:
            first.append(f"# {name}: {lost}; {_RUN_DUE}")
            continue
        for note in _notes(table, "cron", lost=("jitter", "stagger", "expires", "adaptive")):
            first.append(f"# {name}: {note}")
        by_zone.setdefault(of or zone, []).append(f"{times} {command}")
    first += by_zone.pop(zone, [])
    for of, lines in sorted(by_zone.items()):
        first += [f"# Debian's cron does not know CRON_TZ: there, these are of {zone}."]
        first += [f"CRON_TZ={of}", *lines]
    return first


def crontab_run_due(program: Program) -> list[str]:
    """The one line that drives all schedules, to the minute."""
    return [f"* * * * * {shlex.join(program.words('run-due')).replace('%', chr(92) + '%')}"]


def units(tables: Mapping[str, Table], program: Program) -> tuple[dict[str, str], list[str]]:
    """A timer and a service for each schedule, by file name; and what cannot be said."""
    made: dict[str, str] = {}
    told = []
    for name, table in tables.items():
        try:
            times = list(_timer_lines(table))
        except Lost as lost:
            told.append(f"{name}: {lost}; {_RUN_DUE}")
            continue
        notes = list(_notes(table, "systemd", lost=("stagger", "expires", "adaptive")))
        told += [f"{name}: {note}" for note in notes]
        about = f"a tick of {name}"
        made[f"hookline-{name}.timer"] = _timer(about, times, notes)
        made[f"hookline-{name}.service"] = _service(about, program.words("trigger", name))
    return made, told


def units_run_due(program: Program) -> dict[str, str]:
    """The one timer that drives all schedules, to the minute."""
    about = "ticks of the schedules that are due"
    return {
        "hookline-run-due.timer": _timer(about, ["OnCalendar=minutely", "AccuracySec=1s"], []),
        "hookline-run-due.service": _service(about, program.words("run-due")),
    }


def _cron_times(table: Table) -> tuple[str, str | None]:
    """Five fields, and the zone in which they are; None: any."""
    if table.every is not None:
        return _cron_every(seconds(table.every), table.every)
    text = _expression(table)
    if not is_cron(text):
        raise Lost(f"{text!r} is for systemd, not for cron")
    fields = text.split()
    if len(fields) == 6:
        if fields[0] != "0":
            raise Lost(f"{text!r} has seconds, and cron has none")
        fields = fields[1:]
    if _has_odd_days(text):
        raise Lost(f"{text!r} has L or #, and cron has none")
    return " ".join(fields), table.timezone or "UTC"


def _cron_every(span_s: float, text: str) -> tuple[str, str | None]:
    """`every` is anchored to UTC's clock; so is this."""
    minutes = span_s / 60
    if span_s < 60 or minutes % 1:
        raise Lost(f"every {text} is no whole number of minutes, and cron has no seconds")
    if 60 % minutes == 0:
        step = "*" if minutes == 1 else f"*/{minutes:.0f}" if minutes < 60 else "0"
        return f"{step} * * * *", None if _EVERYWHERE_S % span_s == 0 else "UTC"
    hours = minutes / 60
    if hours % 1 == 0 and 24 % hours == 0:
        return f"0 {'0' if hours == 24 else f'*/{hours:.0f}'} * * *", "UTC"
    if span_s == 7 * _DAY_S:
        # 1970 began on a Thursday.
        return "0 0 * * 4", "UTC"
    raise Lost(f"every {text} goes into no hour and no day, as cron counts them")


def _timer_lines(table: Table) -> Iterator[str]:
    yield from _on_calendar(table)
    yield f"Persistent={'false' if table.catch_up == 'none' else 'true'}"
    yield f"AccuracySec={'100ms' if _is_quick(table) else '1s'}"
    if table.jitter and seconds(table.jitter):
        yield f"RandomizedDelaySec={_systemd_span(seconds(table.jitter))}"
        yield "FixedRandomDelay=true"


def _is_quick(table: Table) -> bool:
    return table.every is not None and seconds(table.every) < 60


def _on_calendar(table: Table) -> Iterator[str]:
    if table.every is not None:
        yield from _calendar_every(seconds(table.every))
    elif table.at is not None:
        for each in table.at if isinstance(table.at, list) else [table.at]:
            yield f"OnCalendar={_moment(each)}"
    else:
        text = _expression(table)
        zone = table.timezone or "UTC"
        if not is_cron(text):
            named = len(text.split()) > 1 and "/" in text.split()[-1] and text[-1].isalpha()
            named = named or text.upper().endswith(" UTC")
            yield f"OnCalendar={text}" if named else f"OnCalendar={text} {zone}"
            return
        for each in calendar_of(text):
            yield f"OnCalendar={each} {zone}"


def _calendar_every(span_s: float) -> Iterator[str]:
    minutes, hours = span_s / 60, span_s / 3600
    if span_s < 60 and _goes_into(60, span_s):
        yield f"OnCalendar=*-*-* *:*:0/{span_s:g} UTC"
    elif minutes < 60 and minutes % 1 == 0 and 60 % minutes == 0:
        yield f"OnCalendar=*-*-* *:0/{minutes:.0f}:00 UTC"
    elif hours < 24 and hours % 1 == 0 and 24 % hours == 0:
        yield f"OnCalendar=*-*-* 0/{hours:.0f}:00:00 UTC"
    elif span_s == _DAY_S:
        yield "OnCalendar=*-*-* 00:00:00 UTC"
    elif span_s == 7 * _DAY_S:
        yield "OnCalendar=Thu *-*-* 00:00:00 UTC"
    else:
        yield "# Goes into no minute, hour or day: counted from the last one, and from the start."
        yield "OnActiveSec=0"
        yield f"OnUnitActiveSec={_systemd_span(span_s)}"


def _goes_into(whole: float, part: float) -> bool:
    times = whole / part
    return abs(times - round(times)) < 1e-9


def calendar_of(text: str) -> list[str]:
    """A cron expression as OnCalendar texts without a zone, any of which may match.

    Raises Lost for what only cronsim knows.
    """
    read = CronSim(NICKNAMES.get(text.lower(), text), EPOCH)
    if _has_odd_days(text):
        raise Lost(f"{text!r} has L or #, and OnCalendar has them otherwise")
    months = _items(read.months, range(1, 13))
    days = _items(read.days, range(1, 32))
    weekdays = sorted({int(each) % 7 for each in read.weekdays if isinstance(each, int)})
    names = "" if len(weekdays) == 7 else ",".join(_WEEKDAYS[each] for each in weekdays) + " "
    clock = ":".join(
        _items(given, whole)
        for given, whole in (
            (read.hours, range(24)), (read.minutes, range(60)), (read.seconds, range(60)),
        )
    )  # fmt: skip
    if read.day_and:
        return [f"{names}*-{months}-{days} {clock}"]
    if days == "*" or not names:
        # Any day will do.
        return [f"*-{months}-* {clock}"]
    # A day of the month or a day of the week, if neither begins with a star.
    return [f"*-{months}-{days} {clock}", f"{names}*-{months}-* {clock}"]


def _has_odd_days(text: str) -> bool:
    read = CronSim(NICKNAMES.get(text.lower(), text), EPOCH)
    return min(read.days) < 0 or any(not isinstance(each, int) for each in read.weekdays)


def _items(given: Collection[int], whole: range) -> str:
    found = sorted(given)
    if len(found) == len(whole):
        return "*"
    step = found[1] - found[0] if len(found) > 2 else 0
    if step > 1 and found == list(range(found[0], whole.stop, step)):
        return f"{found[0]:02d}/{step}"
    return ",".join(f"{each:02d}" for each in found)


def _moment(given: object) -> str:
    moment = parse_rfc3339(given) if isinstance(given, str) else given
    if not isinstance(moment, datetime):
        raise Lost(f"at = {given} is no time")
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _expression(table: Table) -> str:
    """What `cron` says. Raises Lost for a schedule of another kind."""
    if table.cron is None:
        kind = next(each for each in ("at", "after", "silence") if getattr(table, each) is not None)
        raise Lost(f"{kind} is known to Hookline's scheduler alone")
    return " ".join(table.cron.split())


def _notes(table: Table, where: str, lost: Sequence[str]) -> Iterator[str]:
    for key in lost:
        value = getattr(table, key)
        if value:
            said = key if value is True else f"{key} = {value}"
            yield f"{said} is not known to {where}"
    if table.catch_up == "all":
        yield f"catch_up = all: {where} makes one of those that it missed, or none"
    elif table.catch_up == "last" and where == "cron":
        yield "catch_up = last: cron makes up for nothing"


def _systemd_span(span_s: float) -> str:
    text = text_of(span_s)
    return f"{text}in" if text.endswith("m") else text


def _timer(about: str, times: Sequence[str], notes: Sequence[str]) -> str:
    lines = [
        *(f"# {note}" for note in notes),
        "[Unit]",
        f"Description=Hookline: {about}",
        "",
        "[Timer]",
        *times,
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines) + "\n"


def _service(about: str, words: Sequence[str]) -> str:
    lines = [
        "[Unit]",
        f"Description=Hookline: {about}",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={' '.join(map(unit_text.command, words))}",
    ]
    return "\n".join(lines) + "\n"
