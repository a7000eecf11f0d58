"""The layers of a home: the files in `coordination/layers/`."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hookline.dispatch.trust import distrust
from hookline.log.files import MODE, flock_within
from hookline.log.home import Home
from hookline.model.errors import (
    BadData,
    CannotCreate,
    HooklineError,
    TryAgain,
    is_shortage,
    shown,
    told,
)
from hookline.schedule.layer import FILE_BYTES_MAX, SUFFIXES, Layer, is_layer_name, parse

_LOCK_WAIT_S: Final = 0.05
"""Who only looks (`is_running`) has the lock too, for some microseconds."""
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def layer_names(home: Home) -> list[str]:
    """What the layers of a home are called."""
    return sorted({path.stem for path in _files(home) if is_layer_name(path.stem)})


def load_layer(home: Home, name: str) -> Layer:
    """The layer of that name. Raises BadData when there is none, or its file is not as it should
    be, with what is wrong and where."""
    found = [path for path in _files(home) if path.stem == name] if is_layer_name(name) else []
    if not found:
        known = ", ".join(layer_names(home))
        there = f"there are: {known}" if known else f"none lies in {home.layers}"
        raise BadData(f"no layer {shown(name)}; {there}")
    if len(found) > 1:
        both = " and ".join(path.name for path in found)
        raise BadData(f"{home.layers} has {both}: which one is the layer {name}?")
    try:
        return _load(found[0])
    except OSError as error:
        kind = TryAgain if is_shortage(error) else BadData
        raise kind(told(error)) from error


def load_layers(home: Home) -> tuple[list[Layer], list[str]]:
    """All layers of a home, and what is wrong with those that cannot be run."""
    layers: list[Layer] = []
    wrong = [
        f"{path}: the name of a layer is made of lower-case letters, digits, - and _, at most 64"
        for path in _files(home)
        if not is_layer_name(path.stem)
    ]
    for name in layer_names(home):
        try:
            layers.append(load_layer(home, name))
        except HooklineError as error:
            if is_shortage(error):
                raise
            wrong.append(str(error))
    return layers, wrong


def _files(home: Home) -> list[Path]:
    """What looks like the file of a layer."""
    try:
        names = sorted(os.listdir(home.layers))
    except (FileNotFoundError, NotADirectoryError):
        return []
    paths = [home.layers / name for name in names if not name.startswith(".")]
    return [path for path in paths if path.suffix in SUFFIXES]


def _load(path: Path) -> Layer:
    fd = os.open(path, _READ)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadData(f"{path} is not a regular file: move it away")
        if reason := distrust(path):
            # Its commands are run as us.
            raise BadData(reason)
        text = os.read(fd, FILE_BYTES_MAX + 1)
    finally:
        os.close(fd)
    try:
        return parse(path.stem, path.suffix, text)
    except HooklineError as error:
        raise BadData(f"{path}: {error}") from error


@contextmanager
def alone(home: Home, name: str) -> Iterator[None]:
    """No other run of this layer is there meanwhile, by a lock that ends with whoever holds it.

    Raises TryAgain when there is one.
    """
    path = _lock(home, name)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except OSError as error:
        kind = TryAgain if is_shortage(error) else CannotCreate
        raise kind(told(error)) from error
    try:
        if not flock_within(fd, _LOCK_WAIT_S):
            raise TryAgain(f"layer {name} is running already: hookline reflect runs {name}")
        yield
    finally:
        os.close(fd)


def is_running(home: Home, name: str) -> bool:
    """Whether somebody runs this layer just now."""
    try:
        fd = os.open(_lock(home, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not flock_within(fd, 0.0, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _lock(home: Home, name: str) -> Path:
    # Not in state/, which may be deleted at any time, and not the file itself, which editors
    # replace.
    return home.layers / f".{name}.lock"
