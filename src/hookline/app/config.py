"""`coordination/config/*.toml`: what a home's owner has decided."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from hookline.dispatch.decide import PAUSE_AFTER
from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import BadConfig, BadData, TryAgain, is_shortage
from hookline.model.size import size_bytes

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
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


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that `hookline up` keeps running beside the dispatcher."""

    command: tuple[str, ...]
    """Program and arguments; a relative program lies in the home."""
    about: str = ""
    every: str = ""
    """A program that ends well is started again after so long; without it, it is to stay."""

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


def load_config(home: Home) -> Config:
    """The home's configuration; the defaults where it has none. Raises BadConfig, naming the
    key."""
    return _load(home.config / "hookline.toml", Config)


def load_programs(home: Home) -> Programs:
    """The programs of the home; none where it names none. Raises BadConfig, naming the key."""
    return _load(home.config / "programs.toml", Programs)


def _load(path: Path, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return shape()
    except OSError as error:
        kind = TryAgain if is_shortage(error) else BadConfig
        raise kind(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: {error}: mend it there; hookline doctor checks it") from error
