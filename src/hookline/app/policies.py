"""`policies.toml`: what may be done without asking a person. Handlers and daemons act by it, in
bash; here it is only checked."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec

from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import BadConfig, BadData
from hookline.model.types import is_type

_STRING: Final = r'"[^"\\\x00-\x1f\x7f]*"'
_LIST: Final = rf"\[[ \t]*(?:{_STRING}(?:[ \t]*,[ \t]*{_STRING})*)?[ \t]*\]"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?"
_BLANK: Final = re.compile(r"[ \t]*(?:#.*)?")
_TABLE: Final = re.compile(r"\[([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\][ \t]*(?:#.*)?")
_ENTRY: Final = re.compile(
    rf"([a-z][a-z0-9_]*)[ \t]*=[ \t]*({_STRING}|{_NUMBER}|true|false|{_LIST})[ \t]*(?:#.*)?"
)
"""The part of TOML that scripts/events/lib/policies.sh takes; one test holds both to it."""

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table, whose spans are what their names say."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        for name in ("stale_after", "stuck_after", "pause", "pause_max", "timeout"):
            text = getattr(self, name, None)
            if text is None:
                continue
            try:
                seconds(text)
            except BadData as error:
                raise ValueError(f"{name}: {error}") from error


class _Workers(_Policy, frozen=True):
    stale_after: str | None = None


class _Tasks(_Policy, frozen=True):
    stuck_after: str | None = None


class _Budget(_Policy, frozen=True):
    budget: _Count = 0
    dry_run: bool = False


class _Autofix(_Policy, frozen=True):
    action: Literal["retry", "emit"] = "retry"
    event: str = ""
    attempts: _Count = 0
    pause: str | None = None
    pause_max: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action == "emit" and not is_type(self.event):
            raise ValueError('event is to be the type of an event, where action = "emit"')


class _Restart(_Policy, frozen=True):
    command: tuple[str, ...]
    on: tuple[Literal["failed", "stale"], ...] = ()
    restarts: _Count = 0
    pause: str | None = None
    pause_max: str | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _not_empty("command", self.command)


class _Task(_Policy, frozen=True):
    run: tuple[str, ...]
    timeout: str | None = None
    attempts: _Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _not_empty("run", self.run)


_SHAPES: Final[dict[str, type[_Policy]]] = {
    "workers": _Workers,
    "tasks": _Tasks,
    "autofix": _Budget,
    "restart": _Budget,
    "autofix.": _Autofix,
    "restart.": _Restart,
    "task.": _Task,
}


def check_policies(home: Home) -> None:
    """Nothing, where handlers and daemons can act by them, or there are none. Raises BadConfig,
    naming the line or the key."""
    path = home.config / "policies.toml"
    try:
        tables = _read(path.read_bytes())
        for name, (line, table) in tables.items():
            _check(name, line, table)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}") from error
    except ValueError as error:
        why = f"{path}, {error}"
        raise BadConfig(f"{why}: mend it there; docs/SHIPPED.md says what it may hold") from error


def _read(text: bytes) -> dict[str, tuple[int, dict[str, Any]]]:
    tables: dict[str, tuple[int, dict[str, Any]]] = {}
    table: dict[str, Any] | None = None
    # Bytes that are no UTF-8 are for bash what they are: no reason to refuse a comment.
    lines = text.decode(errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if _BLANK.fullmatch(line):
            continue
        if found := _TABLE.fullmatch(line):
            if found[1] in tables:
                raise ValueError(f"line {number}: [{found[1]}] is said twice")
            table = {}
            tables[found[1]] = number, table
        elif table is not None and (found := _ENTRY.fullmatch(line)):
            if found[1] in table:
                raise ValueError(f"line {number}: {found[1]} is said twice")
            table[found[1]] = msgspec.json.decode(found[2])
        else:
            raise ValueError(f"line {number}: not understood")
    return tables


def _check(name: str, line: int, table: dict[str, Any]) -> None:
    kind, dot, _ = name.partition(".")
    shape = _SHAPES.get(kind + dot)
    if shape is None:
        raise ValueError(f"line {line}: [{name}] is no table of policies")
    try:
        msgspec.convert(table, shape)
    except msgspec.ValidationError as error:
        raise ValueError(f"[{name}]: {error}") from error


def _not_empty(name: str, command: tuple[str, ...]) -> None:
    if not command or not command[0]:
        raise ValueError(f"{name} is empty: it is a list of a program and its arguments")
