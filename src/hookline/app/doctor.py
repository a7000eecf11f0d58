"""What a home stands on: each check says what it found and, if that is wrong, what mends it."""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Final

from hookline.app.condition import Finding, condition
from hookline.app.config import load_config, load_daemons, load_programs
from hookline.app.policies import check_policies
from hookline.app.punctuality import maintenance_of, punctuality
from hookline.app.schedules import load_timetable
from hookline.app.services import installed
from hookline.app.survey import find_handlers
from hookline.dispatch.trust import distrust
from hookline.log.home import Home
from hookline.model.clock import SystemClock
from hookline.model.errors import HooklineError
from hookline.schedule.layers import load_layers

__all__ = ["Finding", "examine", "lacks_atomic_append"]

OTHER_S: Final = 600.0
"""So long after it last put a file away, another dispatcher may still be at work."""
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
    said = set()
    for finding in _checks(home):
        text = f"{finding.found}: {finding.next}".removesuffix(": ")
        # A wrong configuration is in the way of many a check.
        if finding.well or text not in said:
            yield finding
        said.add(text)


def _checks(home: Home) -> Iterator[Finding]:
    yield _program("bash", ["bash", "-c", "echo ${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}"], "5.1")
    yield _program("jq", ["jq", "--version"], "")
    yield from _as_far("home", _folders(home))
    yield from _as_far("file system", _file_system(home))
    yield from _configuration(home)
    yield from _as_far("handlers", _handlers(home))
    yield from _as_far("layers", _layers(home))
    if home.coordination.is_dir():
        yield from _as_far("scheduler", _scheduler(home))
        yield from _as_far("systemd", _units(home))
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
    for name, load in (
        ("hookline.toml", load_config),
        ("programs.toml", load_programs),
        ("schedules.toml", load_timetable),
        ("daemons.toml", load_daemons),
        ("policies.toml", check_policies),
    ):
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
    yield from _other_dispatcher(home)


def _other_dispatcher(home: Home) -> Iterator[Finding]:
    """Nothing, unless Cortex's dispatcher has put files away a short time ago."""
    if not home.archive.is_dir() or not home.deliveries.exists():
        return
    # Copies are made by our own archive-utils.sh.
    folders = [each for each in home.archive.iterdir() if each.is_dir() and each.name != "copies"]
    if time.time() - max((each.stat().st_mtime for each in folders), default=0.0) < OTHER_S:
        text = f"Cortex's has put files into {home.archive}; while both run, events are done twice"
        yield Finding("dispatcher", True, text, "take it out of the crontab", True)


def _scheduler(home: Home) -> Iterator[Finding]:
    clock = SystemClock()
    found = punctuality(home, clock)
    if found.wrong:
        yield Finding("scheduler", False, found.wrong, found.next)
    else:
        yield Finding("scheduler", True, f"{found.state}, schedules: {found.schedules}")
    maintenance = maintenance_of(home, clock)
    if maintenance is not None:
        why = f": {maintenance.reason}" if maintenance.reason else ""
        text = f"since {maintenance.since} no schedule fires{why}"
        yield Finding("maintenance", True, text, f"rm {maintenance.marker}", True)


def _layers(home: Home) -> Iterator[Finding]:
    """Nothing, where there are none."""
    layers, wrong = load_layers(home)
    if layers:
        yield Finding("layers", True, f"{len(layers)} can be run")
    for reason in wrong:
        yield Finding("layer", False, reason, "hookline reflect check")


def _units(home: Home) -> Iterator[Finding]:
    """Nothing, where systemd is not to run the home."""
    for services in installed(home):
        scope = services.place.scope
        units = f"the units in {services.folder}"
        if services.changed():
            text = f"{units} are not as this version writes them"
            yield Finding("systemd", True, text, f"hookline daemon install --{scope} --now", True)
        elif not services.is_managed:
            yield Finding("systemd", True, f"{units} are there, and no systemd answers", "", True)
        elif not services.is_delivering():
            then = services.next_step(on_demand=False)
            yield Finding("systemd", True, f"{units} deliver nothing now", then, True)
        else:
            yield Finding("systemd", True, f"{units} run the home")
