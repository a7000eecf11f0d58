"""What a home stands on: each check says what it found and, if that is wrong, what mends it."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from hookline.app.condition import Finding, condition
from hookline.app.config import load_config, load_programs
from hookline.app.survey import find_handlers
from hookline.dispatch.trust import distrust
from hookline.log.home import Home
from hookline.model.clock import SystemClock
from hookline.model.errors import HooklineError

__all__ = ["Finding", "examine", "lacks_atomic_append"]

_NO_ATOMIC_APPEND: Final = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x01021997: "9p",
}
"""f_type of statfs(2), from linux/magic.h."""


def examine(home: Home) -> Iterator[Finding]:
    """Every check, in the order in which to mend; one that cannot be made hinders no other."""
    yield _program("bash", ["bash", "-c", "echo ${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}"], "5.1")
    yield _program("jq", ["jq", "--version"], "")
    yield from _as_far("home", _folders(home))
    yield from _as_far("file system", _file_system(home))
    yield from _configuration(home)
    yield from _as_far("handlers", _handlers(home))
    if home.coordination.is_dir():
        yield from _as_far("home", condition(home, SystemClock()))


def _as_far(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, up to where one cannot be told."""
    try:
        yield from findings
    except HooklineError as error:
        yield Finding(check, False, str(error))
    except OSError as error:
        yield Finding(check, False, f"{error.filename}: {error.strerror}")


def lacks_atomic_append(path: os.PathLike[str]) -> str:
    """The name of the file system, where appends of several writers can mix; empty where they
    cannot."""
    return _NO_ATOMIC_APPEND.get(_f_type(path), "")


def _f_type(path: os.PathLike[str]) -> int:
    buffer = (ctypes.c_long * 32)()
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(path))
    return int(buffer[0]) & 0xFFFFFFFF


def _program(name: str, command: list[str], least: str) -> Finding:
    if shutil.which(name) is None:
        return Finding(name, False, f"not on PATH: apt-get install {name}")
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if least and [int(part) for part in said.split(".")] < [int(part) for part in least.split(".")]:
        return Finding(name, False, f"version {said}, and at least {least} is needed")
    return Finding(name, True, said)


def _folders(home: Home) -> Iterator[Finding]:
    if not home.coordination.is_dir():
        yield Finding("home", False, f"{home.coordination} is missing: hookline init {home.root}")
        return
    yield Finding("home", True, str(home.root))
    for folder in (home.events, home.queue, home.state):
        if not folder.is_dir():
            yield Finding("folder", False, f"{folder} is missing: hookline init {home.root}")
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Finding("folder", False, f"{folder} cannot be written to by this user")
        elif folder.stat().st_mode & 0o002:
            yield Finding("folder", False, f"{folder} can be written to by all: chmod o-w {folder}")
        else:
            yield Finding("folder", True, str(folder))


def _file_system(home: Home) -> Iterator[Finding]:
    if not home.coordination.is_dir():
        yield Finding("file system", False, "cannot be told while the home is missing")
        return
    name = lacks_atomic_append(home.coordination)
    if not name:
        yield Finding("file system", True, "appends of several writers do not mix")
    elif home.locked_append.exists():
        yield Finding("file system", True, f"{name}: writers take a lock around each append")
    else:
        text = f"{name} mixes appends of several writers: touch {home.locked_append}"
        yield Finding("file system", False, text)


def _configuration(home: Home) -> Iterator[Finding]:
    for name, load in (("hookline.toml", load_config), ("programs.toml", load_programs)):
        try:
            load(home)
        except HooklineError as error:
            yield Finding(name, False, str(error))
        else:
            yield Finding(name, True, "as it should be")


def _handlers(home: Home) -> Iterator[Finding]:
    if not home.handlers.is_dir():
        yield Finding("handlers", False, f"{home.handlers} is missing: hookline init {home.root}")
        return
    reason = distrust(home.handlers)
    if reason:
        yield Finding("handlers", False, reason)
        return
    found = find_handlers(home)
    for refused in found.refused:
        yield Finding("handler", False, refused.reason)
    yield Finding("handlers", True, f"{len(found.handlers)} listen")
