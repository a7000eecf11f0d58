"""`coordination/config/*.toml`: what a home's owner has decided."""

import math
import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from hookline.control.daemon import Daemon
from hookline.dispatch.decide import PAUSE_AFTER
from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import BadConfig, BadData, TryAgain, is_shortage
from hookline.model.size import size_bytes
from hookline.schedule.adaptive import Adaptive
from hookline.schedule.table import Table

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SOME_TABLE: Final = "[...]"
"""How msgspec names a table of those that have names."""
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def _checked(name: str, text: str, read: Callable[[str], float]) -> None:
    try:
        read(text)
    except BadData as error:
        raise ValueError(f"{name}: {error}") from error


class HandlerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all handlers share."""

    env: tuple[str, ...] = ()
    """Variables of the dispatcher's environment that handlers get too."""


class ArchiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When logs are closed, compressed and deleted; `hookline.dispatch.retention` says what stays
    all the same."""

    rotate_size: str = "10MiB"
    """A live log with more than that is closed."""
    rotate_age: str = "24h"
    """So is one that was begun longer ago."""
    compress_after: str = "0s"
    """How long a closed segment stays as plain text."""
    delete_after: str = "90d"
    """How old a closed segment gets, by its last event; `never` for ever."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        for name, read in (
            ("rotate_size", size_bytes),
            ("rotate_age", seconds),
            ("compress_after", seconds),
        ):
            _checked(name, getattr(self, name), read)
        if self.delete_after != "never":
            _checked("delete_after", self.delete_after, seconds)

    @property
    def delete_after_s(self) -> float:
        """Infinite: never."""
        return math.inf if self.delete_after == "never" else seconds(self.delete_after)


class DispatchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the dispatcher deals with handlers that fail."""

    pause_after: int = PAUSE_AFTER
    """So many dead letters in a row without a success, and a handler is paused; 0: never."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        if self.pause_after < 0:
            raise ValueError("pause_after is a number of dead letters, or 0 for never")


class DeadLettersConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long dead letters are kept."""

    keep: str = "30d"
    """Older ones are purged; `never`: none is."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        if self.keep != "never":
            _checked("keep", self.keep, seconds)

    @property
    def keep_s(self) -> float:
        """Infinite: for ever."""
        return math.inf if self.keep == "never" else seconds(self.keep)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`hookline.toml`."""

    envelope: Literal["cloudevents", "cortex"] = "cloudevents"
    """The form in which handlers are given events, and `--create` prints them."""
    handlers: HandlerConfig = HandlerConfig()
    dispatch: DispatchConfig = DispatchConfig()
    dead_letters: DeadLettersConfig = DeadLettersConfig()
    archive: ArchiveConfig = ArchiveConfig()

    @property
    def is_cortex(self) -> bool:
        """Whether the home is one for what was written for Cortex."""
        return self.envelope == "cortex"


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that `hookline up` keeps running beside the dispatcher."""

    command: tuple[str, ...]
    """Program and arguments; a relative program lies in the home."""
    about: str = ""
    every: str = ""
    """A program that ends well is started again after so long; without it, it is to stay."""
    notify: bool = False
    """Whether it tells systemd that it serves and lives (sd_notify)."""
    restart_prevent: tuple[int, ...] = ()
    """Exit statuses after which it is not started again."""

    def __post_init__(self) -> None:
        if self.every:
            _checked("every", self.every, seconds)
        if not self.command or not self.command[0]:
            raise ValueError("command is empty: it is a list of a program and its arguments")


class Programs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`programs.toml`."""

    program: Mapping[str, Program] = {}

    def __post_init__(self) -> None:
        for name in self.program:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a program: lower-case letters, digits, -")


class Daemons(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`daemons.toml`."""

    daemon: Mapping[str, Daemon] = {}

    def __post_init__(self) -> None:
        for name in self.daemon:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a daemon: lower-case letters, digits, -")


class Schedules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`schedules.toml`."""

    schedule: Mapping[str, Table] = {}
    adaptive: Adaptive = Adaptive()


def load_config(home: Home) -> Config:
    """The home's configuration; the defaults where it has none. Raises BadConfig, naming the
    key."""
    return _load(home.config / "hookline.toml", Config)


def load_programs(home: Home) -> Programs:
    """The programs of the home; none where it names none. Raises BadConfig, naming the key."""
    return _load(home.config / "programs.toml", Programs)


def load_daemons(home: Home) -> Mapping[str, Daemon]:
    """The daemons of the home by name; none where it names none. Raises BadConfig, naming the
    key."""
    return _load(home.config / "daemons.toml", Daemons).daemon


def load_schedule_tables(home: Home) -> Schedules:
    """The schedules of the home as they are written; none where it names none. Raises BadConfig,
    naming the key."""
    return _load(home.config / "schedules.toml", Schedules)


def _load(path: Path, shape: type[_Shape]) -> _Shape:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return shape()
    except OSError as error:
        kind = TryAgain if is_shortage(error) else BadConfig
        raise kind(f"{path}: {error.strerror}") from error
    try:
        return msgspec.toml.decode(text, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        why = str(error)
        if _SOME_TABLE in why:
            why = _with_name(msgspec.toml.decode(text), shape, why)
        raise BadConfig(f"{path}: {why}: mend it there; hookline doctor checks it") from error


def _with_name(whole: dict[str, Any], shape: type[msgspec.Struct], why: str) -> str:
    """What is wrong, with the name of the table that it is in: msgspec tells only where such tables
    are, so each of them is tried alone."""
    names = why.partition(_SOME_TABLE)[0].rpartition("$.")[2].split(".")
    *above, last = accumulate(names, dict.__getitem__, initial=whole)
    for name, table in last.items():
        alone: dict[str, Any] = {name: table}
        for outer, key in zip(reversed(above), reversed(names), strict=True):
            alone = {**outer, key: alone}
        try:
            msgspec.convert(alone, shape)
        except msgspec.ValidationError as found:
            return str(found).replace(_SOME_TABLE, f".{name}")
    return why
