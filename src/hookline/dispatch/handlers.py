"""Which handlers there are and what each asks for: file names, headers, permissions.

A handler is a file `on-<event>` in the handlers folder. Its name gives the type, a header may say
more. What is wrong with a file never stops the others: it becomes a `Refused` with the reason and
what mends it.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from hookline.dispatch.decide import Policy
from hookline.dispatch.trust import distrust, distrust_handler
from hookline.model.cortex import HANDLER_TYPES
from hookline.model.duration import seconds
from hookline.model.errors import BadData, HooklineError, is_shortage
from hookline.model.types import (
    domain_of_pattern,
    handler_event_type,
    handler_stem,
    is_pattern,
    matches,
)

Kind = Literal["exec", "python", "stream", "warm"]
Start = Literal["install", "beginning", "now"]

_NAME: Final = re.compile(r"on-[a-z0-9_]+(?:-[a-z0-9_]+)*(?:\.([a-z0-9]+))?")
_LEFT_BEHIND: Final = frozenset(
    {"bak", "swp", "swo", "orig", "rej", "old", "new", "tmp", "disabled", "md", "txt", "json"}
    | {"toml", "log", "pyc"}
)
WINDOW: Final = 64
_HEADER_BYTES: Final = 8192
_COMMENT: Final = re.compile(r"^(?:#|//|--)\s?(.*)$")
_OPTION: Final = re.compile(
    r"(on|timeout|attempts|backoff|concurrency|key|batch|window|run|envelope|from)"
    r":(?:\s+|$)(.*)"
)
_NEXT_OPTION: Final = re.compile(r"\s{2,}(?=[a-z]+:(?:\s|$))")
_NOT_FOR_PYTHON: Final = {
    "on": "its functions are marked @on",
    "batch": "its functions say @on(..., batch=100)",
    "envelope": "its functions get an Event",
    "concurrency": "it runs one event at a time",
    "window": "it is for run: stream",
}
LIBRARIES: Final = ("event-logger", "state-file", "worker-health")
"""What a bash can have read before its event comes."""
_LIBRARY: Final = re.compile(
    rb"event-logger|state-file|worker-health|\.\./lib/"
    rb"|(?:emit|create|log|validate)_event|generate_event_id|state_apply|workers_(?:heartbeat|check)"
)
"""What a script says that makes use of one."""
_OF_KINDS: Final = {"batch": ("exec", "warm"), "window": ("stream",)}
_BASH: Final = re.compile(rb"#![ \t]*(/\S*/env[ \t]+(-S[ \t]+)?)?(/\S*/)?bash\s")
_KEY: Final = re.compile(r"(?:id|source|type|subject|correlationid|data(?:\.[A-Za-z0-9_-]+)+)")


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """A program that wants some events, as its file describes it."""

    name: str
    path: Path
    kind: Kind
    patterns: tuple[str, ...]
    policy: Policy
    concurrency: int
    key: tuple[str, ...]
    """The path of the key in the event, empty for none: `("data", "worker_id")`."""
    batch: int = 1
    """How many events may be in one run of a program."""
    window: int = 1
    """How many events a stream handler's program may have that it has not answered."""
    libraries: tuple[str, ...] = ()
    """Those that the bash of a warm handler is to have read: all, if its script names one."""
    envelope: Literal["", "cloudevents", "cortex", "signal"]
    """Empty: as the home's configuration says."""
    start: Start
    installed_s: float
    """The file's ctime, in seconds since 1970: when this version came to lie there."""
    stands_in: bool = False
    """Whether its name is one of Cortex's, so that its type is another than the name says."""
    version: tuple[int, int, int]
    """Inode, ctime and size: another triple is another version."""

    def wants(self, type: str) -> bool:
        """Whether an event of this type is for it."""
        return any(matches(pattern, type) for pattern in self.patterns)

    def domains(self, known: list[str]) -> list[str]:
        """The domains among `known` in which its events can lie, and those that its patterns
        name."""
        named = {domain_of_pattern(pattern) for pattern in self.patterns}
        return sorted({domain for domain in named if domain} | set(known if None in named else ()))


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the handlers folder that is not run, and why."""

    name: str
    reason: str
    patterns: tuple[str, ...] = ("*",)
    """What it asks for; everything, where that cannot be told."""

    def may_want(self, type: str) -> bool:
        """Whether an event of this type would perhaps be for it."""
        return any(matches(pattern, type) for pattern in self.patterns)


class Handlers(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a handlers folder."""

    handlers: tuple[Handler, ...] = ()
    refused: tuple[Refused, ...] = ()


Describe = Callable[[Path], tuple[str, ...]]
"""Asks a Python handler which patterns its functions are marked with."""


def discover(
    folder: Path, describe: Describe, known: Iterable[Handler] = (), *, cortex: bool = False
) -> Handlers:
    """Look at every file of the folder; those that are `known` in their version need no reading.

    `cortex`: the home's envelope is that, so that names stand for types as they do there.
    """
    before = {handler.name: handler for handler in known}
    if not folder.is_dir():
        return Handlers()
    reason = distrust(folder)
    if reason:
        return Handlers(refused=(Refused(name=".", reason=reason),))
    handlers: list[Handler] = []
    refused: list[Refused] = []
    for name in sorted(os.listdir(folder)):
        if not is_handler_name(name):
            continue
        try:
            handlers.append(_look_at(folder / name, describe, before.get(name), cortex=cortex))
        except (HooklineError, OSError) as error:
            if is_shortage(error):
                raise
            told = _as_told(folder / name, cortex=cortex)
            refused.append(Refused(name=name, reason=str(error), patterns=told))
    doubled = list(_doubled(handlers))
    names = {each.name for each in doubled}
    return Handlers(
        handlers=tuple(each for each in handlers if each.name not in names),
        refused=tuple(sorted([*refused, *doubled], key=lambda each: each.name)),
    )


def _doubled(handlers: list[Handler]) -> Iterator[Refused]:
    """Those whose work another one does under the name that Cortex has for it: somebody has brought
    that one along, and two that do the same would count everything twice."""
    brought = {
        handler_stem(HANDLER_TYPES[stem]): each.name
        for each in handlers
        if (stem := _stem(each.name)) and each.stands_in
    }
    for each in handlers:
        other = brought.get(_stem(each.name))
        if other is not None:
            reason = (
                f"{each.path}: {other} has the same events: rm {shlex.quote(str(each.path))}, or "
                f"have both run by a line '# on: TYPE' in {other}"
            )
            yield Refused(name=each.name, reason=reason, patterns=each.patterns)


def _stem(name: str) -> str:
    return name.partition(".")[0]


def refusal(path: Path) -> str:
    """Why the file of a handler, or the folder in which it lies, is refused, as far as that is seen
    without running it; empty: it is not."""
    try:
        if reason := distrust(path.parent):
            return reason
        _look_at(path, lambda _: (), None)
    except (HooklineError, OSError) as error:
        return "" if is_shortage(error) else str(error)
    return ""


def is_handler_name(name: str) -> bool:
    """Whether a file name is a handler's; editors' and packagers' leavings are not."""
    match = _NAME.fullmatch(name)
    return match is not None and match[1] not in _LEFT_BEHIND


class Snapshot(NamedTuple):
    """What a handlers folder looks like from outside: equal while nothing has changed."""

    folder: tuple[int, ...] = ()
    files: tuple[tuple[str, tuple[int, int, int]], ...] = ()


def snapshot(folder: Path) -> Snapshot:
    """The folder's owner and mode, and the version of each handler in it."""
    try:
        status = folder.stat()
        names = sorted(name for name in os.listdir(folder) if is_handler_name(name))
        files = tuple((name, version_of(folder / name)) for name in names)
    except FileNotFoundError:
        return Snapshot()
    return Snapshot((status.st_ino, status.st_uid, status.st_mode), files)


class HandlersFolder:
    """The handlers folder of a home, for the dispatcher."""

    def __init__(self, path: Path, describe: Describe, *, cortex: bool = False) -> None:
        """`cortex`: see `discover`."""
        self._path = path
        self._describe_anew = describe
        self._cortex = cortex
        self._refused: dict[Path, tuple[tuple[int, int, int], str]] = {}
        """The versions of Python files that could not be loaded, and why: to be loaded may take
        long, and everything waits for it."""

    def snapshot(self) -> Snapshot:
        """What it looks like from outside: equal while nothing has changed."""
        return snapshot(self._path)

    def discover(self, known: Iterable[Handler]) -> Handlers:
        """What lies in it; those that are `known` in their version need no reading."""
        return discover(self._path, self._describe, known, cortex=self._cortex)

    def _describe(self, path: Path) -> tuple[str, ...]:
        version = version_of(path)
        refused, reason = self._refused.get(path, (None, ""))
        if refused == version:
            raise BadData(reason)
        try:
            return self._describe_anew(path)
        except BadData as error:
            self._refused[path] = version, str(error)
            raise


def version_of(path: Path) -> tuple[int, int, int]:
    """What changes when the file does."""
    status = path.lstat()
    return status.st_ino, status.st_ctime_ns, status.st_size


def _look_at(
    path: Path, describe: Describe, known: Handler | None, *, cortex: bool = False
) -> Handler:
    reason = distrust_handler(path)
    if reason:
        raise BadData(reason)
    if known is not None and known.version == version_of(path):
        return known
    header = _header(path)
    kind = _kind(path, header)
    if kind != "python" and not os.access(path, os.X_OK):
        raise BadData(f"{path} is not executable: chmod +x {path}")
    status = path.lstat()
    stands_in = kind != "python" and _stands_in(path.name, header, cortex=cortex)
    return Handler(
        name=path.name,
        path=path,
        kind=kind,
        patterns=describe(path) if kind == "python" else _patterns(path.name, header, stands_in),
        stands_in=stands_in,
        policy=Policy(
            attempts=_whole(path.name, header, "attempts", 5, most=1000),
            backoff_s=_duration(path.name, header, "backoff", 1.0),
            timeout_s=_duration(path.name, header, "timeout", 60.0),
        ),
        concurrency=_whole(path.name, header, "concurrency", 1, most=1000),
        key=_key(path.name, header),
        batch=_whole(path.name, header, "batch", 1, most=1000),
        libraries=LIBRARIES if kind == "warm" and _LIBRARY.search(path.read_bytes()) else (),
        window=1 if "key" in header else _whole(path.name, header, "window", WINDOW, most=1000),
        envelope=_choice(path.name, header, "envelope", ("", "cloudevents", "cortex", "signal")),
        start=_choice(path.name, header, "from", ("install", "beginning", "now")),
        installed_s=status.st_ctime_ns / 1e9,
        version=version_of(path),
    )


def _as_told(path: Path, *, cortex: bool) -> tuple[str, ...]:
    """What the file of a refused handler asks for; everything, where that cannot be told."""
    try:
        if distrust_handler(path) or (header := _header(path)).get("run") == "python":
            return ("*",)
        return _patterns(path.name, header, _stands_in(path.name, header, cortex=cortex))
    except (HooklineError, OSError):
        return ("*",)


def _header(path: Path) -> dict[str, str]:
    """The options in the comment lines at the top of a file."""
    name = path.name
    with path.open("rb") as file:
        text = file.read(_HEADER_BYTES).decode("utf-8", "replace")
    options: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.match(line)
        if comment is None:
            break
        if not _OPTION.match(comment[1].lstrip()):
            continue
        for part in _NEXT_OPTION.split(comment[1].strip()):
            option = _OPTION.fullmatch(part)
            if option is None:
                raise BadData(f"{name} line {number}: {part!r} is not an option of a handler")
            if option[1] in options and option[1] != "on":
                raise BadData(f"{name} line {number}: {option[1]}: is given twice")
            options[option[1]] = f"{options.get(option[1], '')} {option[2]}".strip()
    return options


def _kind(path: Path, header: dict[str, str]) -> Kind:
    kind: Kind = _choice(path.name, header, "run", ("exec", "warm", "stream", "python"))
    if kind == "python":
        if path.suffix != ".py":
            raise BadData(f"{path.name}: run: python needs a file that ends in .py")
        for option, instead in _NOT_FOR_PYTHON.items():
            if option in header:
                raise BadData(f"{path.name}: {option}: is not for run: python; {instead}")
        return "python"
    for option, of_kinds in _OF_KINDS.items():
        if option in header and kind not in of_kinds:
            raise BadData(f"{path.name}: {option}: is for run: {' or '.join(of_kinds)}")
        if option in header and "key" in header:
            raise BadData(f"{path.name}: {option}: and key: do not go together: a key has its turn")
    if kind == "warm":
        with path.open("rb") as file:
            if not _BASH.match(file.readline(128)):
                raise BadData(f"{path.name}: run: warm needs a bash script: #!/usr/bin/env bash")
    return kind


def _stands_in(name: str, header: dict[str, str], *, cortex: bool) -> bool:
    """Whether a name is to be read as in Cortex, where the header says nothing of types."""
    envelope = header.get("envelope", "cortex" if cortex else "")
    return envelope == "cortex" and "on" not in header and _stem(name) in HANDLER_TYPES


def _patterns(name: str, header: dict[str, str], stands_in: bool) -> tuple[str, ...]:
    given = header.get("on", "").split()
    for pattern in given:
        if not is_pattern(pattern):
            raise BadData(f"{name}: on: {pattern!r} is no type and no pattern such as worker.*")
    if given:
        return tuple(given)
    named = handler_event_type(_stem(name))
    if stands_in:
        return tuple(filter(None, (HANDLER_TYPES[_stem(name)], named)))
    if named is None:
        raise BadData(f"{name}: its name stands for no event type: add a line '# on: TYPE'")
    return (named,)


def _key(name: str, header: dict[str, str]) -> tuple[str, ...]:
    key = header.get("key", "")
    if key and not _KEY.fullmatch(key):
        raise BadData(
            f"{name}: key: {key!r} is not a place in an event; it is id, source, type, subject, "
            "correlationid or data.NAME"
        )
    return tuple(key.split(".")) if key else ()


def _whole(name: str, header: dict[str, str], option: str, default: int, *, most: int) -> int:
    text = header.get(option)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise BadData(f"{name}: {option}: {text!r} is not a whole number from 1 to {most}")
    return int(text)


def _duration(name: str, header: dict[str, str], option: str, default: float) -> float:
    text = header.get(option)
    if text is None:
        return default
    try:
        return seconds(text)
    except HooklineError as error:
        raise BadData(f"{name}: {option}: {error}") from error


def _choice(name: str, header: dict[str, str], option: str, allowed: tuple[str, ...]):  # type: ignore[no-untyped-def]  # one of `allowed`
    value = header.get(option, allowed[0])
    if value not in allowed:
        words = " or ".join(word for word in allowed if word)
        raise BadData(f"{name}: {option}: {value!r} is not known; it is {words}")
    return value
