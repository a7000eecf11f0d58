"""What cron or systemd ran by itself, as schedules and a handler. Pure: text in, text out."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Final

import msgspec

from hookline.model.errors import BadData, printable
from hookline.schedule.table import Table, schedules_of

_NAME_MAX: Final = 40
_NUMBER_MAX: Final = 1000
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_CHANGE_OF_FOLDER: Final = re.compile(r"\bcd\s+\S+\s*(?:&&|;)")
_SUFFIX: Final = re.compile(r"\.(?:sh|bash|py|pl|rb|php|js|service)\Z")
_PASSED_OVER: Final = frozenset({
    "sudo", "nice", "ionice", "env", "exec", "test", "timeout", "flock", "chronic", "nohup", "bash",
    "sh", "python", "python3", "perl", "php", "ruby", "command", "systemd-cat", "time", "true",
    "then", "if", "",
})  # fmt: skip


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One time of a job: what `[schedule.NAME]` says besides the event."""

    cron: str | None = None
    every: str | None = None
    timezone: str | None = None
    jitter: str | None = None
    catch_up: str = "none"
    overlap: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was run by itself, as it was found."""

    where: str
    """Such as `line 4 of crontab`."""
    was: str
    """As it was written there."""
    origin: str
    """The same without what changes when other lines do, such as `crontab`."""
    domain: str
    """The domain of the event that its ticks shall be."""
    hint: str
    """What its name is made of."""
    timings: tuple[Timing, ...]
    body: str
    """Lines of bash that do what it did; their last status is that of the run."""
    timeout: str = "1d"
    notes: tuple[str, ...] = ()


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot be moved; it stays where it is."""

    where: str
    was: str
    why: str


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an entry: tables to be appended, and a handler."""

    where: str
    was: str
    name: str
    event: str
    handler: str
    """The file's name."""
    tables: dict[str, str]
    """The text of each table, by the schedule's name."""
    script: str
    notes: tuple[str, ...] = ()


def checked(entry: Entry) -> Entry | Left:
    """The entry itself, if its times can be said in a schedule."""
    try:
        if "\0" in entry.body:
            raise BadData("a command cannot have a NUL")
        for timing in entry.timings:
            schedules_of({"x": _table(timing, f"{entry.domain}.x")})
    except BadData as wrong:
        return Left(where=entry.where, was=entry.was, why=str(wrong).removeprefix("schedule.x: "))
    return entry


def names(entry: Entry) -> Iterator[str]:
    """What it may be called: by the program, and then with a number."""
    name = name_of(entry.hint)
    yield name
    for number in range(2, _NUMBER_MAX):
        yield f"{name}-{number}"
    raise BadData(f"{entry.where}: a thousand schedules are called {name} already")


def move(entry: Entry, name: str) -> Move:
    """The tables and the handler under that name."""
    event = f"{entry.domain}.{name.replace('-', '_')}"
    handler = f"on-{entry.domain}-{name}.sh"
    tables = {}
    for number, timing in enumerate(entry.timings, 1):
        of = name if number == 1 else f"{name}-time-{number}"
        tables[of] = table_text(of, _said(timing, event, entry.origin))
    return Move(
        where=entry.where,
        was=entry.was,
        name=name,
        event=event,
        handler=handler,
        tables=tables,
        script=_script(entry, event, handler),
        notes=entry.notes,
    )


def name_of(hint: str) -> str:
    """A name for what runs this command: that of its program."""
    hint = _CHANGE_OF_FOLDER.sub("", hint)
    try:
        words = shlex.split(hint)
    except ValueError:
        words = hint.split()
    for word in words:
        last = word.rpartition("/")[2]
        if word.startswith("-") or last in _PASSED_OVER or re.match(r"\w+=|[\d.]+[smhd]?\Z", word):
            continue
        name = _NOT_A_NAME.sub("-", _SUFFIX.sub("", last).lower()).strip("-")[:_NAME_MAX]
        if name:
            return name.strip("-")
    return "job"


def table_text(name: str, said: dict[str, str]) -> str:
    """A table of TOML."""
    lines = [f"[schedule.{name}]", *(f"{key} = {toml(value)}" for key, value in said.items())]
    return "\n".join(lines) + "\n"


def toml(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _said(timing: Timing, event: str, origin: str) -> dict[str, str]:
    said = {
        "cron": timing.cron,
        "every": timing.every,
        "timezone": timing.timezone,
        "event": event,
        "about": f"from {printable(origin)}",
        "jitter": timing.jitter,
        "catch_up": timing.catch_up,
        "overlap": timing.overlap,
    }
    return {key: value for key, value in said.items() if value is not None}


def _table(timing: Timing, event: str) -> Table:
    return msgspec.convert(_said(timing, event, ""), Table)


def _script(entry: Entry, event: str, handler: str) -> str:
    origin = printable(entry.origin)
    return (
        "#!/usr/bin/env bash\n"
        f"# Usage: {handler} <event-file>\n"
        f"# Summary: run what a job of {origin} ran\n"
        "# Exit: 0 done, 1 the command has failed\n"
        f"# on: {event}\n"
        f"# timeout: {entry.timeout}   attempts: 1\n"
        f"\n{entry.body.rstrip()}\n"
    )
