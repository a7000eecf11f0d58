"""`coordination/config/*.toml`: what a home's owner has decided."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from hookline.log.home import Home
from hookline.model.errors import BadConfig

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


class HandlerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all handlers share."""

    env: tuple[str, ...] = ()
    """Variables of the dispatcher's environment that handlers get too."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`hookline.toml`."""

    envelope: Literal["cloudevents", "cortex"] = "cloudevents"
    """The form in which handlers are given events, and `--create` prints them."""
    handlers: HandlerConfig = HandlerConfig()


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that `hookline up` keeps running beside the dispatcher."""

    command: tuple[str, ...]
    """Program and arguments; a relative program lies in the home."""
    about: str = ""

    def __post_init__(self) -> None:
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
        raise BadConfig(f"{path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise BadConfig(f"{path}: {error}") from error
