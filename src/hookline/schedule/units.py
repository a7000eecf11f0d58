"""systemd's timers and the services that they start, as entries that can become schedules. Pure."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from hookline.model.duration import text_of
from hookline.model.errors import BadData, shown
from hookline.schedule.moving import Entry, Left, Timing, checked

Unit = dict[str, list[tuple[str, str]]]
"""Keys and values in order, by section."""

_UNITS_S: Final = {
    "": 1.0, "us": 1e-6, "usec": 1e-6, "µs": 1e-6, "ms": 1e-3, "msec": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
    "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
    "M": 2629800.0, "month": 2629800.0, "months": 2629800.0,
    "y": 31557600.0, "year": 31557600.0, "years": 31557600.0,
}  # fmt: skip
_SPAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]*)")
_YES: Final = frozenset({"1", "yes", "true", "on"})
_LISTS: Final = frozenset({
    "OnCalendar", "OnUnitActiveSec", "OnUnitInactiveSec", "OnBootSec", "OnStartupSec",
    "OnActiveSec", "ExecStart", "ExecStartPre", "ExecStartPost", "Environment", "EnvironmentFile",
})  # fmt: skip
_ZONE: Final = re.compile(r"\s(?:[A-Z]{3,4}|[A-Z][A-Za-z_]+/[A-Za-z0-9_+/-]+)\Z")
_TYPES: Final = frozenset({"", "oneshot", "simple", "exec", "idle"})
_OF_NO_ACCOUNT: Final = frozenset({
    "Type", "ExecStart", "ExecStartPre", "ExecStartPost", "Environment", "WorkingDirectory", "User",
    "TimeoutStartSec", "TimeoutSec", "StandardOutput", "StandardError", "StandardInput",
    "SyslogIdentifier", "RemainAfterExit", "KillMode", "TimeoutStopSec", "Group",
})  # fmt: skip
_REFUSED: Final = ("EnvironmentFile", "ExecCondition", "DynamicUser", "LoadCredential")
_ENVIRONMENT: Final = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_EXPANDED: Final = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)\Z", re.ASCII)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "s": " "}


def read_unit(texts: Sequence[str]) -> Unit:
    """A unit, and after it the drop-ins that change it."""
    unit: Unit = {}
    for text in texts:
        section: list[tuple[str, str]] = []
        for line in _lines(text):
            if line.startswith("[") and line.endswith("]"):
                section = unit.setdefault(line[1:-1], [])
                continue
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals:
                continue
            if key not in _LISTS or not value:
                # A later value takes the place of those before it; none empties a list.
                section[:] = [each for each in section if each[0] != key]
            if value:
                section.append((key, value))
    return unit


def service_of(timer: Unit, name: str) -> str:
    """The name of the unit that a timer (of that name) starts."""
    return _one(timer, "Timer", "Unit") or f"{name.removesuffix('.timer')}.service"


def read_timer(
    name: str, timer: Unit, service: Unit | None, *, zone: str, user: str
) -> Entry | Left:
    """A timer and its service as one entry; `user` is who runs the handlers."""
    calendar = _all(timer, "Timer", "OnCalendar")
    was = "; ".join(f"{key}={value}" for key, value in timer.get("Timer", []))
    try:
        if service is None:
            raise BadData(
                f"its unit {service_of(timer, name)} is not beside it: name that file too"
            )
        timings, notes = _timings(timer, zone)
        lost = _not_carried_over(service)
        body = _body(service, name, user)
        return checked(
            Entry(
                where=name,
                was=was,
                origin=name,
                domain="timer",
                hint=name.removesuffix(".timer"),
                timings=tuple(timings),
                body=body,
                timeout=_timeout(service),
                notes=(*notes, *lost),
            )
        )
    except BadData as wrong:
        return Left(where=name, was=was or ", ".join(calendar), why=str(wrong))


def span_s(text: str) -> float:
    """The seconds in a span such as `1h 30min`; a number alone is seconds. Raises BadData."""
    at, total_s = 0, 0.0
    while at < len(text.rstrip()):
        found = _SPAN.match(text, at)
        if found is None or found[2] not in _UNITS_S:
            raise BadData(f"span {shown(text)} is not like 5min or 1h 30min")
        total_s += float(found[1]) * _UNITS_S[found[2]]
        at = found.end()
    if not text.strip():
        raise BadData("a span is empty")
    return total_s


def _timings(timer: Unit, zone: str) -> tuple[list[Timing], list[str]]:
    notes = []
    catch_up = "last" if _is(timer, "Timer", "Persistent") else "none"
    delay = _one(timer, "Timer", "RandomizedDelaySec")
    jitter = text_of(span_s(delay)) if delay and span_s(delay) else None
    if jitter and _is(timer, "Timer", "FixedRandomDelay"):
        notes.append("FixedRandomDelay: jitter differs from tick to tick, by the hash of its time")
    timings = [
        Timing(
            cron=each,
            timezone=None if _ZONE.search(each) or zone == "UTC" else zone,
            jitter=jitter,
            catch_up=catch_up,
            overlap="skip",
        )
        for each in _all(timer, "Timer", "OnCalendar")
    ]
    for key in ("OnUnitActiveSec", "OnUnitInactiveSec"):
        for each in _all(timer, "Timer", key):
            every = text_of(span_s(each))
            timings.append(Timing(every=every, jitter=jitter, overlap="skip"))
            notes.append(f"{key}: {every} of the clock, not counted from its last run")
    starts = [
        key for key in ("OnBootSec", "OnStartupSec", "OnActiveSec") if _all(timer, "Timer", key)
    ]
    if starts and not timings:
        raise BadData(f"{starts[0]}: a schedule has no start of the machine or of systemd")
    notes += [f"{key}: falls away, a schedule has no start of the machine" for key in starts]
    if not timings:
        raise BadData("it has no time: OnCalendar or OnUnitActiveSec")
    if _is(timer, "Timer", "WakeSystem"):
        notes.append("WakeSystem: nobody wakes the machine")
    return timings, notes


def _not_carried_over(service: Unit) -> Iterator[str]:
    lost = {key for key, _ in service.get("Service", []) if key not in _OF_NO_ACCOUNT}
    lost |= {key for key, _ in service.get("Unit", []) if key.startswith(("Condition", "Assert"))}
    if lost:
        yield (
            f"not carried over: {', '.join(sorted(lost))}; a handler that runs systemctl start "
            "keeps them"
        )


def _body(service: Unit, name: str, user: str) -> str:
    kind = _one(service, "Service", "Type")
    if kind not in _TYPES:
        raise BadData(f"Type={kind}: it starts something that stays, not a job")
    for key in _REFUSED:
        if _all(service, "Service", key):
            raise BadData(f"{key}: a handler has none; write one that runs systemctl start")
    owner = _one(service, "Service", "User")
    if owner not in ("", user):
        raise BadData(
            f"it runs as {owner}, and handlers run as {user}: move it into a home of {owner}"
        )
    lines = ["set -f", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    for line in _all(service, "Service", "Environment"):
        for word in split(line):
            if not _ENVIRONMENT.match(word):
                raise BadData(f"Environment: {shown(word)} sets nothing")
            key, _, value = word.partition("=")
            lines.append(f"export {key}={shlex.quote(specified(value, name))}")
    folder = _one(service, "Service", "WorkingDirectory") or "/"
    lines.append(_cd(folder, name))
    commands = [
        value
        for key in ("ExecStartPre", "ExecStart", "ExecStartPost")
        for value in _all(service, "Service", key)
    ]
    if not commands:
        raise BadData("its service has no ExecStart")
    lines += [command_line(each, name) for each in commands]
    return "\n".join(lines) + "\n"


def _cd(folder: str, name: str) -> str:
    optional = folder.startswith("-")
    folder = specified(folder.removeprefix("-"), name)
    aim = '"$HOME"' if folder == "~" else shlex.quote(folder)
    return f"cd -- {aim} || {':' if optional else 'exit 1'}"


def command_line(text: str, name: str) -> str:
    """A line of bash that runs an ExecStart as systemd does. Raises BadData."""
    prefix = re.match(r"[-@:+!|]*", text)
    marks = prefix[0] if prefix else ""
    if set(marks) - {"-", ":"}:
        raise BadData(f"ExecStart={marks}…: only - and : are known before a command")
    words = split(text[len(marks) :])
    if not words:
        raise BadData("ExecStart is empty")
    if ";" in words:
        raise BadData("ExecStart has several commands in one line")
    expand = ":" not in marks
    quoted = [_word(specified(each, name), expand=expand) for each in words]
    return f"command -- {' '.join(quoted)} </dev/null || {':' if '-' in marks else 'exit 1'}"


def _word(word: str, *, expand: bool) -> str:
    """As bash reads it; `${NAME}`, and `$NAME` where that is the whole word, are the variable's."""
    if not expand or "$" not in word:
        return shlex.quote(word)
    whole = _EXPANDED.match(word)
    if whole is not None and whole[2]:
        return f"${whole[2]}"
    parts, at = [], 0
    for found in _EXPANDED.finditer(word):
        if found[2]:
            continue
        parts.append(shlex.quote(word[at : found.start()]) if found.start() > at else "")
        parts.append(f'"${{{found[1]}}}"' if found[1] else r"\$")
        at = found.end()
    parts.append(shlex.quote(word[at:]) if at < len(word) else "")
    return "".join(parts)


def specified(text: str, name: str) -> str:
    """The text with what systemd's `%` stands for. Raises BadData for what only systemd knows."""
    stem = name.removesuffix(".timer")
    known = {"%": "%", "N": stem, "p": stem, "n": f"{stem}.service"}

    def one(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise BadData(f"%{found[1]} is what systemd alone knows: write it out")
        return known[found[1]]

    return re.sub(r"%(.?)", one, text)


def split(text: str) -> list[str]:
    """The words of a command line as systemd reads them: quotes around words, C's escapes."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            piece, at = _escape(text, at)
            word = (word or "") + piece
            continue
        if quote:
            if char == quote:
                quote = ""
            else:
                word = (word or "") + char
        elif char in "\"'":
            quote, word = char, word or ""
        elif char.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
        at += 1
    if quote:
        raise BadData(f"{shown(text)}: a quotation does not end")
    return words if word is None else [*words, word]


def _escape(text: str, at: int) -> tuple[str, int]:
    char = text[at + 1 : at + 2]
    if char in _ESCAPES:
        return _ESCAPES[char], at + 2
    if found := re.compile(r"\\x([0-9a-fA-F]{2})").match(text, at):
        return chr(int(found[1], 16)), found.end()
    raise BadData(f"{shown(text)}: \\{char} is no escape of systemd")


def _timeout(service: Unit) -> str:
    text = _one(service, "Service", "TimeoutStartSec") or _one(service, "Service", "TimeoutSec")
    if not text or text == "infinity" or not span_s(text):
        return "1d"
    return text_of(span_s(text))


def _lines(text: str) -> Iterator[str]:
    """Those that say something, continued ones as one."""
    whole = ""
    for line in text.splitlines():
        if not whole and line.lstrip().startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        whole += line
        if whole.strip():
            yield whole.strip()
        whole = ""
    if whole.strip():
        yield whole.strip()


def _all(unit: Unit, section: str, key: str) -> list[str]:
    return [value for name, value in unit.get(section, []) if name == key]


def _one(unit: Unit, section: str, key: str) -> str:
    found = _all(unit, section, key)
    return found[-1] if found else ""


def _is(unit: Unit, section: str, key: str) -> bool:
    return _one(unit, section, key).lower() in _YES
