"""The units by which systemd runs a home. Pure: text out.

docs/OPERATIONS.md says what each line of the hardening is for, and what is left out because
handlers, which are programs of others, would go wrong without a word.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from hookline.control.restarts import END_S
from hookline.control.supervisor import FINAL
from hookline.model import unit_text
from hookline.model.errors import BadConfig, shown

Scope = Literal["user", "system"]
Lines = list[str]

REQUEST: Final = "asked"
"""The file that asks for a daemon, in its folder."""
_DAEMONS: Final = "coordination/daemons"
RESERVED: Final = frozenset({"dispatcher", "once"})
"""What no program may be called: units of ours are."""
_STEPS_SINCE: Final = 254
"""The version of systemd that knows pauses that grow."""
_SLUG_CHARS_MAX: Final = 40
_UNIT_PATH: Final = re.compile(r"/[^\x00-\x1f\x7f]*[^\x00-\x20\x7f\\]", re.ASCII)

_NO_PROGRAM: Final = frozenset("\"'\\")
"""What systemd refuses in the path of a program, however it is quoted, and in no argument."""

_EVERYWHERE: Final = [
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "LimitCORE=0",
]
_SYSTEM: Final = [
    "ProtectSystem=strict",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
]


class Program(NamedTuple):
    """What `hookline up` runs beside the dispatcher."""

    name: str
    command: Sequence[str]
    about: str = ""
    every_s: float = 0.0
    """It is run again so long after it ended; 0: it stays."""
    notify: bool = False
    """Whether it tells systemd that it serves and lives."""
    restart_prevent: Sequence[int] = ()
    """Exit statuses after which it is not started again."""


class Place(NamedTuple):
    """Whose units they are, and where."""

    home: str
    """Without links in it."""
    writable: Sequence[str]
    """The folders of the home; others, too, where it has parts elsewhere."""
    hookline: Sequence[str]
    """The words of the command."""
    path: str
    scope: Scope
    user: str
    """Who runs the units of the system; `root` keeps its capabilities."""
    version: int
    """Of systemd; 0: not known."""

    @property
    def prefix(self) -> str:
        """What all names of units of this home begin with: readable, and no other home's."""
        name = re.sub(r"[^A-Za-z0-9_.]+", "-", self.home.rpartition("/")[2]).strip("-.")
        digest = hashlib.sha256(self.home.encode()).hexdigest()[:8]
        return f"hookline-{name[:_SLUG_CHARS_MAX] or 'home'}-{digest}"

    @property
    def target(self) -> str:
        """The unit that the others belong to."""
        return f"{self.prefix}.target"

    @property
    def marker(self) -> str:
        """The first line of each file."""
        return f"# Written by `hookline daemon install` for {self.home}"


def units(place: Place, programs: Sequence[Program]) -> dict[str, str]:
    """All units, by file name. Raises BadConfig for what a unit cannot say."""
    for path in (place.home, *place.writable):
        if not _UNIT_PATH.fullmatch(path):
            raise BadConfig(
                f"{shown(path)}: a unit cannot name this folder, for its control characters or "
                "its end: rename it"
            )
    prefix = place.prefix
    made = {
        place.target: _target(place),
        f"{prefix}-dispatcher.service": _dispatcher(place),
        f"{prefix}-once.service": _once(place),
        f"{prefix}-once.path": _drop_box(place),
        f"{prefix}-once.timer": _timer(place, "a look for what is due", ["OnCalendar=minutely"]),
        f"{prefix}-daemon@.service": _daemon(place),
        f"{prefix}-daemon@.path": _request(place),
    }
    for program in programs:
        if program.name in RESERVED:
            raise BadConfig(
                f"programs.toml: a unit of ours is called {program.name}: rename the program"
            )
        name = f"{prefix}-{program.name}"
        made[f"{name}.service"] = _program(place, program)
        if program.every_s:
            again = f"OnUnitInactiveSec={program.every_s:g}s"
            made[f"{name}.timer"] = _timer(place, program.name, ["OnActiveSec=0", again])
    return made


def wanted(
    place: Place, programs: Sequence[Program], daemons: Mapping[str, bool], *, on_demand: bool
) -> list[str]:
    """The units to enable: the rest is started by these. `daemons`: whether each is always to
    run."""
    prefix = place.prefix
    return [
        place.target,
        *both_ways(place)[on_demand],
        *(f"{prefix}-{each.name}.{'timer' if each.every_s else 'service'}" for each in programs),
        *(request_unit(place, name) for name in daemons),
        *(daemon_unit(place, name) for name, always in daemons.items() if always),
    ]


def both_ways(place: Place) -> tuple[list[str], list[str]]:
    """The units that have events delivered: by a dispatcher that stays; on demand."""
    prefix = place.prefix
    return [f"{prefix}-dispatcher.service"], [f"{prefix}-once.path", f"{prefix}-once.timer"]


def daemon_unit(place: Place, name: str) -> str:
    """The unit of a daemon of `daemons.toml`."""
    return f"{place.prefix}-daemon@{name}.service"


def request_unit(place: Place, name: str) -> str:
    """The unit that starts it when somebody asks for it."""
    return f"{place.prefix}-daemon@{name}.path"


def _target(place: Place) -> str:
    boot = "default.target" if place.scope == "user" else "multi-user.target"
    return _text(
        place,
        Unit=[_description(place, "all of it")],
        Install=[f"WantedBy={boot}"],
    )


def _dispatcher(place: Place) -> str:
    others = [f"{place.prefix}-once.{kind}" for kind in ("service", "path", "timer")]
    return _text(
        place,
        Unit=[
            *_unit(place, "dispatcher"),
            f"Conflicts={' '.join(others)}",
            f"After={' '.join(others)}",
        ],
        Service=[
            *_notifying(),
            *_service(place, [*place.hookline, "dispatch"]),
            *_restarts(place, "on-failure"),
            "TimeoutStopSec=90s",
        ],
        Install=[f"WantedBy={place.target}"],
    )


def _once(place: Place) -> str:
    return _text(
        place,
        Unit=_unit(place, "delivers what there is, on demand", limit=False),
        Service=[
            "Type=oneshot",
            *_service(place, [*place.hookline, "dispatch", "--once"]),
            "# As long as a file stays in the drop box (a full disk), the path unit starts this",
            "# again at once: not more often than that.",
            "ExecStopPost=sleep 5",
            "# A dispatcher runs: it delivers.",
            "SuccessExitStatus=75",
            "TimeoutStartSec=1h",
        ],
    )


def _drop_box(place: Place) -> str:
    folder = re.sub(r"([\\*?\[])", r"\\\1", unit_text.plain(place.home))
    return _text(
        place,
        Unit=[_description(place, "the drop box"), f"PartOf={place.target}"],
        Path=[
            "# Only what a dispatcher would take: another file would be a reason for ever.",
            f"PathExistsGlob={folder}/coordination/events/queue/*.json",
        ],
        Install=[f"WantedBy={place.target}"],
    )


def _program(place: Place, program: Program) -> str:
    about = f"{program.name}, {program.about}" if program.about else program.name
    if program.every_s:
        kind, install = ["Type=oneshot", "SuccessExitStatus=75", "TimeoutStartSec=1h"], {}
    else:
        kind = [
            *(_notifying() if program.notify else ["Type=exec"]),
            *_restarts(place, "always"),
            *([_prevent(program.restart_prevent)] if program.restart_prevent else []),
        ]
        install = {"Install": [f"WantedBy={place.target}"]}
    return _text(
        place,
        Unit=_unit(place, about, limit=not program.every_s),
        Service=[*kind, *_service(place, program.command)],
        **install,
    )


def _daemon(place: Place) -> str:
    return _text(
        place,
        Unit=_unit(place, "daemon %i", specifiers=True),
        Service=[
            *_notifying(),
            *_service(place, [*place.hookline, "daemon", "run"], "%i"),
            *_restarts(place, "on-failure"),
            "# No such daemon; it ended again and again, as its supervisor has said; it runs.",
            _prevent([*FINAL, os.EX_TEMPFAIL]),
            "# What nobody has taken up would be asked for again at once.",
            f"ExecStopPost=rm -f -- {_DAEMONS}/%i/{REQUEST}",
            f"TimeoutStopSec={END_S:.0f}s",
        ],
        Install=[f"WantedBy={place.target}"],
    )


def _request(place: Place) -> str:
    return _text(
        place,
        Unit=[
            _description(place, "whether daemon %i is asked for", specifiers=True),
            f"PartOf={place.target}",
        ],
        Path=[f"PathExists={unit_text.plain(place.home)}/{_DAEMONS}/%i/{REQUEST}"],
        Install=[f"WantedBy={place.target}"],
    )


def _timer(place: Place, about: str, times: Lines) -> str:
    return _text(
        place,
        Unit=[_description(place, about), f"PartOf={place.target}"],
        Timer=[*times, "AccuracySec=1s"],
        Install=[f"WantedBy={place.target}"],
    )


def _unit(place: Place, about: str, *, limit: bool = True, specifiers: bool = False) -> Lines:
    lines = [
        _description(place, about, specifiers=specifiers),
        f"PartOf={place.target}",
        f"RequiresMountsFor={' '.join(map(unit_text.quoted, place.writable))}",
    ]
    if limit:
        lines += [
            "# Who starts it again and again is stopped; its own restarts come nowhere near it.",
            "StartLimitIntervalSec=5min",
            "StartLimitBurst=60",
        ]
    return lines if limit else [*lines, "StartLimitIntervalSec=0"]


def _notifying() -> Lines:
    return [
        "Type=notify",
        "NotifyAccess=main",
        "WatchdogSec=2min",
        "# To read all of a long log again, when the index is gone, takes a while.",
        "TimeoutStartSec=15min",
    ]


def _service(place: Place, command: Sequence[str], last: str = "") -> Lines:
    if _NO_PROGRAM.intersection(command[0]):
        command = ["/bin/sh", "-c", 'exec "$0" "$@"', *command]
    first, *rest = command
    words = [unit_text.quoted(first), *map(unit_text.command, rest), *([last] if last else [])]
    settings = [f"HOOKLINE_HOME={place.home}", f"PATH={place.path}", "LC_CTYPE=C.UTF-8"]
    lines = [
        f"ExecStart={' '.join(words)}",
        f"WorkingDirectory={unit_text.plain(place.home)}",
        f"Environment={' '.join(map(unit_text.quoted, settings))}",
        "# TERM is for the first process, which lets end what it runs; the rest is killed then.",
        "KillMode=mixed",
        "# A handler that takes too much memory ends alone.",
        "OOMPolicy=continue",
        "TasksMax=4096",
        *_EVERYWHERE,
    ]
    if place.scope == "user":
        return lines
    lines += [f"User={place.user}", *_SYSTEM]
    writable = [*map(unit_text.quoted, place.writable), "/tmp", "/var/tmp"]
    lines.append(f"ReadWritePaths={' '.join(writable)}")
    return lines if place.user == "root" else [*lines, "CapabilityBoundingSet="]


def _restarts(place: Place, when: str) -> Lines:
    steps = ["RestartSec=1s", "RestartSteps=6", "RestartMaxDelaySec=1min"]
    return [f"Restart={when}", *(steps if place.version >= _STEPS_SINCE else ["RestartSec=5s"])]


def _prevent(statuses: Sequence[int]) -> str:
    return f"RestartPreventExitStatus={' '.join(map(str, statuses))}"


def _description(place: Place, about: str, *, specifiers: bool = False) -> str:
    said = about if specifiers else unit_text.plain(" ".join(about.split()))
    return f"Description=Hookline in {unit_text.plain(place.home)}: {said}"


def _text(place: Place, **sections: Lines) -> str:
    return "".join(_parts(place, sections))


def _parts(place: Place, sections: dict[str, Lines]) -> Iterator[str]:
    yield f"{place.marker}\n# What is changed here is lost with the next one; a drop-in is kept: "
    yield "systemctl edit\n"
    for name, lines in sections.items():
        yield f"\n[{name}]\n"
        yield from (f"{line}\n" for line in lines)
