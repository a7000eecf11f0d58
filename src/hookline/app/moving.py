"""Timers of cron and systemd into a home: found, planned, written."""

import os
import pwd
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from hookline.log.files import MODE, durable_write, make_folder
from hookline.log.home import Home
from hookline.model.errors import BadConfig, BadData, CannotCreate, Usage, shown
from hookline.schedule import moving
from hookline.schedule.crontab import read_crontab
from hookline.schedule.moving import Entry, Left, Move
from hookline.schedule.units import Unit, read_timer, read_unit, service_of

_SYSTEM_CRONTAB: Final = Path("/etc/crontab")
_ADMIN_UNITS: Final = Path("/etc/systemd/system")
_UNITS: Final = (_ADMIN_UNITS, Path("/run/systemd/system"), Path("/usr/lib/systemd/system"))
_LOCALTIME: Final = Path("/etc/localtime")
_HANDLER_MODE: Final = 0o750
_HEAD: Final = b"# Schedules: see docs/SCHEDULES.md.\n"


class Planned(NamedTuple):
    """What is to become of an entry in this home."""

    move: Move
    missing: tuple[str, ...]
    """Those of its schedules that are not there yet."""
    handler: Literal["new", "there"]


def machine_zone() -> str:
    """The time zone by which cron and systemd go here."""
    _, found, name = os.path.realpath(_LOCALTIME).partition("/zoneinfo/")
    return name if found and name != "Etc/UTC" else "UTC"


def user_name() -> str:
    """Who runs the handlers, if it is who asks."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def crontab_entries(
    path: Path | None, text: str | None, *, system: bool, zone: str
) -> list[Entry | Left]:
    """Those of a file, of a text, or where there is neither, of the user's crontab."""
    name = "the crontab"
    if text is None:
        if path is None and not system:
            text = _own_crontab()
        else:
            path = path or _SYSTEM_CRONTAB
            name = path.name
            text = _read(path)
    return read_crontab(text, name=name, zone=zone, user=user_name(), system=system)


def timer_entries(given: Sequence[str], *, zone: str) -> list[Entry | Left]:
    """Those of the timers that are named, by path or name; where none is, all that were made on
    this machine."""
    folders = [*_UNITS, _own_units()]
    paths = [_found(each, folders) for each in given]
    if not given:
        paths = [each for folder in (_ADMIN_UNITS, _own_units()) for each in _timers(folder)]
    services = {path.name: path for path in paths if path.suffix == ".service"}
    entries = []
    for path in paths:
        if path.suffix == ".service":
            continue
        if path.suffix != ".timer":
            raise Usage(f"{path}: is no timer: name files that end in .timer, and their services")
        timer = _unit(path)
        name = service_of(timer, path.name)
        service = services.get(name) or _beside(path, name, folders)
        unit = None if service is None else _unit(service)
        entries.append(read_timer(path.name, timer, unit, zone=zone, user=user_name()))
    return entries


def planned(home: Home, entries: Iterable[Entry | Left]) -> Iterator[Planned | Left]:
    """What each entry becomes here: under a name that is free, or what is there of it already."""
    tables = _tables(home)
    used: set[str] = set()
    for entry in entries:
        if isinstance(entry, Left):
            yield entry
            continue
        for name in moving.names(entry):
            found = None if name in used else _fits(home, tables, moving.move(entry, name))
            if found is not None:
                used.add(name)
                yield found
                break


def write(home: Home, plan: Iterable[Planned], *, ticks_only: bool) -> list[str]:
    """Write the handlers and append the tables; what was written. Raises CannotCreate, BadConfig.

    A handler that is there is not written, and nothing of `schedules.toml` is altered.
    """
    done = []
    texts = [each.move.tables[name] for each in plan for name in each.missing]
    whole = _appended(home, texts)
    if not ticks_only:
        for each in plan:
            if each.handler == "new":
                path = home.handlers / each.move.handler
                if os.path.lexists(path):
                    raise CannotCreate(f"{path} has come to be there: start again")
                make_folder(home.handlers)
                script = each.move.script.encode("utf-8", "surrogateescape")
                durable_write(path, script, _HANDLER_MODE)
                done.append(str(path))
    if texts:
        path = _config(home)
        mode = path.stat().st_mode & 0o777 if path.exists() else MODE
        durable_write(path, whole, mode)
        done.append(str(path))
    return done


def _fits(home: Home, tables: dict[str, Any], move: Move) -> Planned | None:
    """How it goes into the home under its name; None where that is somebody else's."""
    for name, text in move.tables.items():
        if name in tables and tables[name] != tomllib.loads(text)["schedule"][name]:
            return None
    path = home.handlers / move.handler
    is_there = os.path.lexists(path)
    if is_there and _read(path) != move.script:
        return None
    missing = tuple(name for name in move.tables if name not in tables)
    return Planned(move, missing, "there" if is_there else "new")


def _appended(home: Home, texts: Sequence[str]) -> bytes:
    """`schedules.toml` as it is to be: what it is, and behind that the tables."""
    path = _config(home)
    before = path.read_bytes() if path.exists() else _HEAD
    if before and not before.endswith(b"\n"):
        before += b"\n"
    whole = before + "".join(f"\n{text}" for text in texts).encode()
    try:
        tomllib.loads(whole.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise BadConfig(
            f"{path}: tables cannot be appended to it: {wrong}: write its schedules as "
            "[schedule.NAME] tables"
        ) from wrong
    return whole


def _tables(home: Home) -> dict[str, Any]:
    path = _config(home)
    try:
        found = tomllib.loads(path.read_bytes().decode()).get("schedule", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise BadConfig(f"{path}: {wrong}: mend it there; hookline doctor checks it") from wrong
    return found if isinstance(found, dict) else {}


def _config(home: Home) -> Path:
    return home.config / "schedules.toml"


def _own_crontab() -> str:
    command = shutil.which("crontab")
    if command is None:
        raise Usage("there is no crontab command here: name a file, or - for standard input")
    done = subprocess.run([command, "-l"], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"exit {done.returncode}"
        raise BadData(f"crontab -l: {said}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _own_units() -> Path:
    return Path.home() / ".config" / "systemd" / "user"


def _timers(folder: Path) -> list[Path]:
    # A unit that is linked to /dev/null is masked.
    return [each for each in sorted(folder.glob("*.timer")) if each.is_file()]


def _found(given: str, folders: Sequence[Path]) -> Path:
    if os.path.exists(given):
        return Path(given)
    if "/" not in given:
        for folder in folders:
            if (folder / given).is_file():
                return folder / given
    raise Usage(f"unit {shown(given)} is not there: name a file, or a timer of this machine")


def _beside(timer: Path, name: str, folders: Sequence[Path]) -> Path | None:
    places = [timer.parent, *(folders if timer.parent in folders else ())]
    return next((each / name for each in places if (each / name).is_file()), None)


def _unit(path: Path) -> Unit:
    changes = sorted(Path(f"{path}.d").glob("*.conf"))
    return read_unit([_read(each) for each in [path, *changes]])


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
