"""The units of a home laid down for systemd, and taken away again."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from hookline.app.config import load_config, load_daemons, load_programs
from hookline.app.environment import passed_environment, user_units
from hookline.control.units import Place, Program, Scope, both_ways, request_unit, units, wanted
from hookline.log.files import durable_write, sync_folder
from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import CannotCreate, NotAllowed, TryAgain

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
_SCOPES: Final[tuple[Scope, ...]] = ("user", "system")
_LINGER: Final = Path("/var/lib/systemd/linger")
_PACKAGED: Final = {"system": "etc/systemd/system", "user": "etc/systemd/user"}
_ANSWERS: Final = frozenset({"initializing", "starting", "running", "degraded", "maintenance"})
_NOT_MARKED: Final = "is not a file that `hookline daemon install` has written: move it away first"


class Step(NamedTuple):
    """What was done, or would be."""

    action: Literal["wrote", "kept", "removed", "ran"]
    what: str


class Manager:
    """systemctl of one scope."""

    def __init__(self, scope: Scope) -> None:
        self._command = ["systemctl", *(["--user"] if scope == "user" else [])]

    def shown(self, *arguments: str) -> str:
        """The command line, for a person."""
        return " ".join([*self._command, *arguments])

    def version(self) -> int:
        """Of systemd; 0 where there is none."""
        words = self._ask("--version").split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    def answers(self) -> bool:
        """Whether a manager is there to be asked for something."""
        return self._ask("is-system-running").strip() in _ANSWERS

    def is_active(self, unit: str) -> bool:
        """Whether it runs."""
        return self._ask("is-active", unit).strip() == "active"

    def running(self, units: Sequence[str]) -> list[str]:
        """Which of these run, or wait for something, as the manager knows them."""
        listed = self._ask("list-units", "--plain", "--no-legend", "--full", *units)
        return [line.split()[0] for line in listed.splitlines() if line]

    def run(self, *arguments: str) -> Step:
        """Do it. Raises CannotCreate, with what systemctl has said."""
        shown, done = self.shown(*arguments), self._run(arguments)
        if done.returncode != 0:
            said = (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
            raise CannotCreate(f"{shown}: {said}")
        return Step("ran", shown)

    def _ask(self, *arguments: str) -> str:
        return self._run(arguments).stdout if shutil.which("systemctl") else ""

    def _run(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        command = [*self._command, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


class Services:
    """The units of a home in one scope: what should lie there, and what does."""

    def __init__(self, home: Home, scope: Scope, *, packaged: str = "") -> None:
        """`packaged`: a folder that takes the place of `/`; then no manager is asked."""
        self._home = home
        self._manager = Manager(scope)
        if packaged:
            self.folder = Path(packaged) / _PACKAGED[scope]
        else:
            self.folder = _folder(scope)
        self.is_managed = not packaged and self._manager.answers()
        self.place = _place(home, scope, self._manager.version())

    def texts(self) -> dict[str, str]:
        """The units as they should be. Raises BadConfig."""
        return units(self.place, self._programs())

    def found(self) -> list[Path]:
        """The units of the home that lie there; those of an earlier configuration, too. Raises
        CannotCreate for one that we have not written."""
        here = sorted(self.folder.glob(f"{self.place.prefix}[.-]*"))
        return [path for path in here if not path.is_dir() and self._is_ours(path)]

    def changed(self) -> list[str]:
        """The names of those that are not there as they should be."""
        return [name for name, text in self.texts().items() if self._text(name) != text]

    def install(self, *, on_demand: bool, enable: bool, now: bool) -> Iterator[Step]:
        """Lay them down, as far as they are not there; each step when it is done."""
        texts = self.texts()
        stale = [path for path in self.found() if path.name not in texts]
        changed = self.changed()
        yield from self._take_away(stale)
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in changed:
            durable_write(self.folder / name, texts[name].encode(), 0o644)
            yield Step("wrote", str(self.folder / name))
        yield from (Step("kept", str(self.folder / name)) for name in texts if name not in changed)
        if self.is_managed and (changed or stale):
            yield self._manager.run("daemon-reload")
        if enable or now:
            if not self.is_managed:
                raise TryAgain(
                    "the units are written, but no systemd answers here to start them: where one "
                    f"does, {self.next_step(on_demand=on_demand)}"
                )
            yield from self._enable(changed, on_demand=on_demand, now=now)

    def uninstall(self) -> Iterator[Step]:
        """Stop them, and remove what `install` has written and nothing else."""
        found = self.found()
        yield from self._take_away(found)
        if self.is_managed and found:
            yield self._manager.run("daemon-reload")
            # A unit that has failed is remembered, also when it is gone.
            yield self._manager.run("reset-failed", f"{self.place.prefix}*")

    def next_step(self, *, on_demand: bool) -> str:
        """The command that has them run from now on."""
        return self._manager.shown("enable", "--now", *self.wanted(on_demand=on_demand))

    def wanted(self, *, on_demand: bool) -> list[str]:
        """The units to enable."""
        daemons = {name: each.run == "always" for name, each in load_daemons(self._home).items()}
        return wanted(self.place, self._programs(), daemons, on_demand=on_demand)

    def is_delivering(self) -> bool:
        """Whether events are delivered by these units, one way or the other."""
        return any(self._manager.is_active(each) for way in both_ways(self.place) for each in way)

    def lingers(self) -> bool:
        """Whether the user's systemd runs while nobody is logged in."""
        return (_LINGER / pwd.getpwuid(os.geteuid()).pw_name).exists()

    def drop_ins(self) -> list[Path]:
        """What people have changed of them."""
        return sorted(self.folder.glob(f"{self.place.prefix}[.-]*.d"))

    def _programs(self) -> list[Program]:
        return [
            Program(
                name,
                [str(Path(self.place.home, each.command[0])), *each.command[1:]],
                each.about,
                seconds(each.every) if each.every else 0.0,
                each.notify,
                each.restart_prevent,
            )
            for name, each in load_programs(self._home).program.items()
        ]

    def _is_ours(self, path: Path) -> bool:
        if path.is_symlink() or not path.is_file():
            raise CannotCreate(f"{path} {_NOT_MARKED}")
        if path.read_text(errors="replace").partition("\n")[0] != self.place.marker:
            raise CannotCreate(f"{path} {_NOT_MARKED}")
        return True

    def _text(self, name: str) -> str | None:
        path = self.folder / name
        return path.read_text() if os.path.lexists(path) else None

    def _enable(self, changed: Sequence[str], *, on_demand: bool, now: bool) -> Iterator[Step]:
        wanted = self.wanted(on_demand=on_demand)
        at_once = ["--now"] if now else []
        services = [name for name in changed if name.endswith(".service") and "@" not in name]
        if now and services:
            # What runs already goes on with the unit of then.
            yield self._manager.run("try-restart", *services)
        yield self._manager.run("disable", *at_once, *both_ways(self.place)[not on_demand])
        yield self._manager.run("enable", *at_once, *wanted)

    def _take_away(self, paths: Sequence[Path]) -> Iterator[Step]:
        if not paths:
            return
        if self.is_managed:
            names = [path.name.replace("@.", "@*.") for path in paths]
            if running := self._manager.running(names):
                yield self._manager.run("stop", *running)
        for path in paths:
            for link in self._links(path.name):
                link.unlink()
                yield Step("removed", str(link))
            path.unlink()
            yield Step("removed", str(path))
        for folder in self.folder.glob(f"{self.place.prefix}.target.wants"):
            if not any(folder.iterdir()):
                folder.rmdir()
        sync_folder(self.folder)

    def _links(self, name: str) -> list[Path]:
        """What `systemctl enable` has made of a unit, and of the instances of a template."""
        # One that leads nowhere counts, too: a pattern without a star would pass it over.
        return sorted(self.folder.glob(f"*.wants/{name.replace('@.', '@*.')}*"))


def installed(home: Home) -> Iterator[Services]:
    """Of each scope in which there are units of the home."""
    for scope in _SCOPES:
        if (_folder(scope) / _place(home, scope, 0).target).exists():
            yield Services(home, scope)


def is_waited_for(home: Home, daemon: str) -> bool:
    """Whether systemd is told to start this daemon when somebody asks for it."""
    place = _place(home, "system", 0)
    wants = f"{place.target}.wants/{request_unit(place, daemon)}"
    return any(os.path.lexists(_folder(scope) / wants) for scope in _SCOPES)


def refuse_without_rights(scope: Scope) -> None:
    """Raises NotAllowed where only root may."""
    if scope == "system" and os.geteuid() != 0:
        raise NotAllowed(
            "the units of the system are root's: sudo hookline daemon ... --system, or --user for "
            "your own"
        )


def _folder(scope: Scope) -> Path:
    return user_units() if scope == "user" else SYSTEM_UNITS


def _place(home: Home, scope: Scope, version: int) -> Place:
    root = os.path.realpath(home.root)
    coordination = os.path.realpath(home.coordination)
    writable = [root] if coordination.startswith(f"{root}/") else [root, coordination]
    return Place(
        home=root,
        writable=writable,
        hookline=_hookline(),
        path=passed_environment(load_config(home))["PATH"],
        scope=scope,
        user=_owner(home),
        version=version,
    )


def _hookline() -> list[str]:
    """The command that runs now, under the name by which it was called: an upgrade may move what
    that leads to."""
    command = os.path.abspath(sys.argv[0])
    if os.path.basename(command) == "hookline":
        return [command]
    return [sys.executable, "-P", "-m", "hookline"]


def _owner(home: Home) -> str:
    """Whose the home is: only root's and their own handlers are run."""
    try:
        number = home.coordination.stat().st_uid
    except FileNotFoundError:
        number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
