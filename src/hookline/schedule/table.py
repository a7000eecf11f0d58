"""`coordination/config/schedules.toml`: what it may say, and the schedules that it means."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from hookline.log.compose import dumps
from hookline.model.attributes import check_priority
from hookline.model.clock import parse_rfc3339
from hookline.model.duration import seconds
from hookline.model.errors import BadData, shown
from hookline.model.types import check_type, is_pattern, matches
from hookline.schedule.adaptive import Adaptive
from hookline.schedule.calendar import Calendar
from hookline.schedule.cron import Cron, is_cron
from hookline.schedule.recurrence import (
    SECOND_US,
    Asked,
    At,
    Every,
    Recurrence,
    Silence,
    microseconds,
)
from hookline.schedule.schedule import CatchUp, Overlap, Schedule

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
PROOF: Final = (
    "schedule", "nominal", "fired", "late_ms", "factor", "reason", "coalesced", "missed", "era",
)  # fmt: skip
"""What each tick says in its data by itself (docs/SCHEDULES.md)."""
LAYER_EVENT: Final = "layer.due"
_KINDS: Final = ("cron", "every", "at", "after", "silence", "moment")
_COUNTING: Final = ("after", "silence", "moment")
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_HANDLER: Final = re.compile(r"on-[a-z0-9._-]{1,120}\Z")
_SPAN_S_MAX: Final = 100 * 366 * 86400.0
_YEAR_MIN, YEAR_MAX = 1970, 9000
_DATA_BYTES_MAX: Final = 64 << 10

Moment = Any
"""An RFC 3339 text, or a time of TOML; msgspec takes no union of the two."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[schedule.NAME]` as it is written; `Schedule` is what it means. One of `cron`, `every`,
    `at`, `after`, `silence` and `moment` says when."""

    cron: str | None = None
    every: str | None = None
    at: Moment = None
    after: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] | None = None
    silence: str | None = None
    moment: str | None = None
    of: str | None = None
    timezone: str | None = None
    event: str | None = None
    data: dict[str, object] = {}
    about: str = ""
    priority: str | None = None
    stagger: str | None = None
    jitter: str | None = None
    misfire_grace: str | None = None
    catch_up: CatchUp = "last"
    overlap: Overlap = "allow"
    adaptive: bool = False
    expires: Moment = None
    layer: str | None = None


class Timetable(NamedTuple):
    """All that `schedules.toml` means."""

    schedules: dict[str, Schedule]
    adaptive: Adaptive

    def is_same_as(self, other: "Timetable") -> bool:
        """Whether the other one says the same."""
        return (self.adaptive, _written(self)) == (other.adaptive, _written(other))


def _written(timetable: Timetable) -> dict[str, dict[str, object]]:
    """The schedules by name; their recurrences are compared as texts."""
    return {
        name: msgspec.structs.asdict(each) | {"when": str(each.when)}
        for name, each in timetable.schedules.items()
    }


def schedules_of(tables: Mapping[str, Table]) -> dict[str, Schedule]:
    """The schedules that these tables mean, each with its part of the stagger.

    Raises BadData, naming the table and the key.
    """
    schedules, staggers_us = {}, {}
    for name, table in tables.items():
        try:
            schedules[name] = _schedule(name, table)
            staggers_us[name] = _span("stagger", table.stagger)
        except (BadData, ValueError) as wrong:
            raise BadData(f"schedule.{shown(name)[1:-1]}: {wrong}") from wrong
    _refuse_loops(schedules)
    return _staggered(schedules, staggers_us)


def _refuse_loops(schedules: Mapping[str, Schedule]) -> None:
    """Ticks that count for themselves, over others or not, would come without end, where one makes
    one or more of them due. Raises BadData."""
    counting = [each for each in schedules.values() if each.after]
    feeds = {by.name: [each for each in counting if matches(each.of, by.event)] for by in counting}
    for schedule in counting:
        # As long as each tick is worth less than one more, they die out.
        if sum(1 / each.after for each in feeds[schedule.name]) < 1:
            continue
        met, ahead = set[str](), list(feeds[schedule.name])
        while ahead:
            other = ahead.pop()
            if other is schedule:
                raise BadData(
                    f"schedule.{other.name}: of = {shown(schedule.of)} takes in what it appends "
                    "itself, or what others append because of that: name the types one by one"
                )
            if other.name not in met:
                met.add(other.name)
                ahead += feeds[other.name]


def _schedule(name: str, table: Table) -> Schedule:
    if not NAME.match(name):
        raise BadData("the name is made of lower-case letters, digits, - and _, at most 64")
    when = _when(table)
    event = table.event if table.event or not table.layer else LAYER_EVENT
    if not event:
        raise BadData("event is missing: the type of the events that it appends")
    if table.layer is not None and not NAME.match(table.layer):
        raise BadData(f"layer = {shown(table.layer)} is no name of a layer")
    if table.layer is not None and event != LAYER_EVENT:
        raise BadData(f"a layer is run by events of type {LAYER_EVENT}: leave event out")
    return Schedule(
        name=name,
        when=when,
        event=check_type(event),
        data=_data(table),
        about=table.about,
        priority=None if table.priority is None else check_priority(table.priority),
        jitter_us=_span("jitter", table.jitter) or 0,
        grace_us=_span("misfire_grace", table.misfire_grace),
        catch_up=table.catch_up,
        overlap=table.overlap,
        adaptive=table.adaptive,
        expires_us=None if table.expires is None else _moment("expires", table.expires),
        of=table.of or "",
        after=table.after or 0,
        moment=table.moment or "",
        layer=table.layer or "",
    )


def _when(table: Table) -> Recurrence:
    said = [kind for kind in _KINDS if getattr(table, kind) is not None]
    if len(said) != 1:
        what = " and ".join(said) if said else "none of them is there"
        raise BadData(f"one of {', '.join(_KINDS)} says when it is due: {what}")
    if table.timezone is not None and said[0] != "cron":
        raise BadData(f"timezone is for cron, not for {said[0]}")
    if (table.of is not None) != (said[0] in _COUNTING):
        raise BadData("of says which events `after`, `silence` and `moment` are about")
    return _READ[said[0]](table)


def _cron(table: Table) -> Recurrence:
    text = " ".join((table.cron or "").split())
    if is_cron(text):
        return Cron(text, "UTC" if table.timezone is None else table.timezone)
    return Calendar(text, table.timezone)


def _every(table: Table) -> Recurrence:
    text = table.every or ""
    return Every(_span("every", text) or 0, text)


def _at(table: Table) -> Recurrence:
    given = table.at if isinstance(table.at, list) else [table.at]
    moments = [_moment("at", each) for each in given]
    if not moments:
        raise BadData("at is empty")
    return At(moments, " ".join(map(str, given)))


def _after(table: Table) -> Recurrence:
    of = table.of or ""
    if not is_pattern(of):
        raise BadData(f"of = {shown(of)} is no type and no pattern such as 'worker.*'")
    return Asked(f"after {table.after} of {of}")


def _silence(table: Table) -> Recurrence:
    of, text = table.of or "", table.silence or ""
    if not is_pattern(of) and not _HANDLER.match(of):
        raise BadData(
            f"of = {shown(of)} is no type, no pattern such as 'worker.*' and no handler such as "
            "'on-backup-requested.sh'"
        )
    span_us = _span("silence", text) or 0
    if not span_us:
        raise BadData("silence is zero")
    return Silence(span_us, f"silence {text} of {of}")


def _moment_of(table: Table) -> Recurrence:
    of, key = table.of or "", table.moment or ""
    if not is_pattern(of):
        raise BadData(f"of = {shown(of)} is no type and no pattern such as 'worker.*'")
    if not _KEY.match(key):
        raise BadData(f"moment = {shown(key)} is no key of an event's data, such as 'due'")
    return Asked(f"moment {key} of {of}")


_READ: Final[Mapping[str, Callable[[Table], Recurrence]]] = {
    "cron": _cron, "every": _every, "at": _at, "after": _after, "silence": _silence,
    "moment": _moment_of,
}  # fmt: skip


def _span(key: str, text: str | None) -> int | None:
    """Microseconds. Raises BadData."""
    if text is None:
        return None
    try:
        span_s = seconds(text)
    except BadData as wrong:
        raise BadData(f"{key} = {wrong}") from wrong
    if span_s > _SPAN_S_MAX:
        raise BadData(f"{key} = {shown(text)} is longer than a hundred years")
    return round(span_s * SECOND_US)


def _moment(key: str, given: Moment) -> int:
    """Microseconds since 1970. Raises BadData."""
    moment = parse_rfc3339(given) if isinstance(given, str) else given
    if not isinstance(moment, datetime):
        raise BadData(f"{key} = {shown(str(given))} is no time such as '2026-12-24T18:00:00Z'")
    if moment.tzinfo is None:
        raise BadData(f"{key} = {given} has no zone: write a Z, or +01:00, behind it")
    if not _YEAR_MIN <= moment.year <= YEAR_MAX:
        raise BadData(f"{key} = {given} is not in the years {_YEAR_MIN} to {YEAR_MAX}")
    return microseconds(moment.astimezone(UTC))


def _data(table: Table) -> dict[str, object]:
    taken = sorted(set(PROOF) & set(table.data))
    if taken:
        raise BadData(f"data.{taken[0]} is what a tick says by itself: take another name")
    data = {**table.data, **({"layer": table.layer} if table.layer else {})}
    try:
        size = len(dumps(data))
    except BadData as wrong:
        found = next((each for each in data.values() if isinstance(each, date | time)), None)
        hint = "" if found is None else " (write the time as a text)"
        raise BadData(f"data: {wrong}{hint}") from wrong
    if size > _DATA_BYTES_MAX:
        raise BadData(f"data takes {size} bytes, at most {_DATA_BYTES_MAX}")
    return data


def _staggered(
    schedules: dict[str, Schedule], staggers_us: Mapping[str, int | None]
) -> dict[str, Schedule]:
    """Those that are due at the same times and say the same `stagger` share it evenly, by name."""
    groups: dict[tuple[Recurrence, int], list[str]] = {}
    for name in sorted(schedules):
        span_us = staggers_us[name]
        if span_us:
            groups.setdefault((schedules[name].when, span_us), []).append(name)
    for (_, span_us), names in groups.items():
        for rank, name in enumerate(names):
            offset_us = span_us * rank // len(names)
            schedules[name] = msgspec.structs.replace(schedules[name], offset_us=offset_us)
    return schedules
