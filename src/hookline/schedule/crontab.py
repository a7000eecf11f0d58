"""A crontab, as crontab(5) means it, as entries that can become schedules. Pure.

cron's own: the shell of SHELL, HOME as working folder, PATH=/usr/bin:/bin, and what comes after the
first `%` as the command's input.
"""

import re
import shlex
from typing import Final

import msgspec

from hookline.schedule.cron import NICKNAMES
from hookline.schedule.moving import Entry, Left, Timing, checked

_SETTING: Final = re.compile(
    r"""\s*(?:(["'])(?P<quoted>[^"'=]+)\1|(?P<name>[A-Za-z_]\w*))\s*=\s*(?P<value>.*?)\s*\Z"""
)
_FIELD: Final = r"(\S+)[ \t]+"
_ENTRY: Final = re.compile(rf"[ \t]*-?{_FIELD * 5}(.+)\Z", re.DOTALL)
_NICKNAME: Final = re.compile(r"[ \t]*(@\w+)[ \t]+(.+)\Z", re.DOTALL)
_NICKNAMES: Final = {**NICKNAMES, "@every_minute": "* * * * *"}
_NAME: Final = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_OWN: Final = frozenset({"CRON_TZ", "RANDOM_DELAY", "MAILTO", "MAILFROM", "LOGNAME", "USER"})
_PERCENT: Final = re.compile(r"(\\%)|%")
_NO_MAIL: Final = (
    "nobody is mailed: what it prints is kept with its attempt, and a failure is a dead letter"
)


def read_crontab(
    text: str, *, name: str, zone: str, user: str, system: bool = False
) -> list[Entry | Left]:
    """All entries of a crontab in order.

    `name`: what it is called. `zone`: the machine's time zone. `system`: with a column for the user
    behind the times, as in /etc/crontab; what is not for `user`, who is to run the handlers, is
    left.
    """
    settings: dict[str, str] = {}
    found: list[Entry | Left] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if setting := _SETTING.match(line):
            said = _unquoted(setting["value"])
            settings[setting["quoted"] or setting["name"]] = said
            continue
        entry = _entry(line, f"line {number} of {name}", settings, zone, user, system=system)
        if isinstance(entry, Entry):
            entry = checked(msgspec.structs.replace(entry, origin=name))
        found.append(entry)
    return found


def _entry(
    line: str, where: str, settings: dict[str, str], zone: str, user: str, *, system: bool
) -> Entry | Left:
    was = line.strip()
    if nickname := _NICKNAME.match(line):
        cron = _NICKNAMES.get(nickname[1].lower(), nickname[1])
        rest = nickname[2]
        if nickname[1].lower() == "@reboot":
            return Left(where=where, was=was, why=_NO_REBOOT)
    elif entry := _ENTRY.match(line):
        *fields, rest = entry.groups()
        cron = " ".join(fields)
    else:
        return Left(where=where, was=was, why="neither a setting nor five times and a command")
    if system:
        owner, *command = rest.split(maxsplit=1)
        if not command:
            return Left(where=where, was=was, why="there is no command after the user's name")
        rest = command[0]
        if owner != user:
            return Left(where=where, was=was, why=_of_another(owner, user))
    try:
        jitter = _jitter(settings.get("RANDOM_DELAY", "0"))
    except ValueError:
        return Left(where=where, was=was, why="RANDOM_DELAY is no number of minutes")
    timing = Timing(cron=cron, timezone=_zone(settings, zone), jitter=jitter)
    return Entry(
        where=where,
        was=was,
        origin=where,
        domain="cron",
        hint=_PERCENT.split(rest)[0],
        timings=(timing,),
        body=_body(rest.strip(), settings),
        notes=(_NO_MAIL,) if settings.get("MAILTO") else (),
    )


_NO_REBOOT: Final = (
    "a schedule has no start of the machine: what is to run along with the bus is a program in "
    "coordination/config/programs.toml"
)


def _of_another(owner: str, user: str) -> str:
    return (
        f"it runs as {owner}, and handlers run as {user}: move it into a home of {owner}, or write "
        f"the handler with sudo -u {owner}"
    )


def _zone(settings: dict[str, str], zone: str) -> str | None:
    """None: UTC, as schedules have it."""
    said = settings.get("CRON_TZ") or zone
    return None if said == "UTC" else said


def _jitter(minutes: str) -> str | None:
    return f"{int(minutes)}m" if int(minutes) else None


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _body(command: str, settings: dict[str, str]) -> str:
    """Lines of bash that run the command as cron does."""
    said = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", **settings}
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in said.items()
        if name not in _OWN and _NAME.match(name)
    ]
    lines.append('cd -- "$HOME" || exit 1')
    command, given = _split(command)
    run = f"{shlex.quote(said['SHELL'] or '/bin/sh')} -c {shlex.quote(command)}"
    if given is None:
        lines.append(f"{run} </dev/null || exit 1")
    else:
        lines.append(f"printf '%s' {shlex.quote(given)} | {run} || exit 1")
    return "\n".join(lines) + "\n"


def _split(text: str) -> tuple[str, str | None]:
    """The command, and its input: after the first `%` that has no backslash, and each further one
    is a newline."""
    parts = [""]
    at = 0
    for found in _PERCENT.finditer(text):
        parts[-1] += text[at : found.start()]
        if found[1]:
            parts[-1] += "%"
        else:
            parts.append("")
        at = found.end()
    parts[-1] += text[at:]
    if len(parts) == 1:
        return parts[0], None
    given = "\n".join(parts[1:])
    return parts[0], given if given.endswith("\n") else f"{given}\n"
