"""A new home: the tree of DESIGN.md section 2, in anybody's project."""

import filecmp
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hookline.app.doctor import lacks_atomic_append
from hookline.app.shipped import shipped_scripts
from hookline.dispatch.handlers import is_handler_name
from hookline.log.files import LOCK_WAIT_S, durable_write, flock_within, sync_folder
from hookline.log.home import Home
from hookline.model.errors import CannotCreate, TryAgain, told

_NEW_HANDLERS: Final = ".handlers.new"
"""The folder in which the handlers lie until all of them do; one that was cut short may be left."""
_OURS: Final = frozenset(
    {"events", "daemons", "state", "config", "schemas", "layers", "intents", "logs"}
    | {"README.md", "deliveries.jsonl", "dead-letters.jsonl", "maintenance"}
)
"""What of `coordination/` comes from us; where there is more, it is somebody's."""
_LAID_DOWN: Final = (
    "events",
    "daemons",
    "wizards",
    "workers",
    "daily-learning-scheduler.sh",
    "emit-event.sh",
    "load-test-workers.sh",
)
"""The scripts that a home needs: folders, and files."""
_IGNORED: Final = """\
# Runtime data; only configuration, layers and schemas are kept.
*
!/.gitignore
!/README.md
!/config/
!/config/**
!/layers/
!/layers/**
/layers/.*
!/schemas/
!/schemas/**
"""
_CONFIG: Final = """\
# The choices of this home. What is left out has the value shown; an unknown key is an error.

# The form in which handlers are given events, and in which `event-logger.sh --create` prints
# them: "cloudevents", or "cortex" for handlers that were written for that project.
# One handler alone says `# envelope: cortex` in its header.
envelope = "cloudevents"

[handlers]
# A handler's environment is clean: PATH, HOME and its event. Names here are handed on from
# the dispatcher's own environment, for handlers that need a proxy or a token.
env = []

[dispatch]
# A handler that leaves so many dead letters in a row, without a success in between, is paused until
# its file changes or somebody resumes it. 0: never.
pause_after = 10

[dead_letters]
# How long dead letters are kept, decided or not (docs/howto/dead-letters.md). "never": for ever.
keep = "30d"

[archive]
# What keeps the home small: `hookline archive`, which `hookline up` runs now and then (see
# programs.toml). A log is closed when it is larger than rotate_size or was begun longer ago than
# rotate_age. A closed segment is compressed once nobody writes to it any more and compress_after
# has passed, and deleted delete_after its last event, unless a handler still needs it. "never":
# not at all.
rotate_size = "10MiB"
rotate_age = "24h"
compress_after = "0s"
delete_after = "90d"
"""
_PROGRAMS: Final = """\
# What `hookline up`, and the units of `hookline daemon install`, run beside the dispatcher. A
# relative program lies in the home. One that ends is started again: with growing pauses, or so long
# after it ended well as `every` says. One with `notify` tells systemd that it serves and lives.

[program.archiver]
about = "closes, compresses and deletes old segments, as [archive] in hookline.toml says"
command = ["scripts/events/event-archiver.sh"]
every = "10m"

[program.scheduler]
about = "appends the ticks of schedules.toml when they are due"
command = ["scripts/events/event-scheduler.sh"]
notify = true
"""
_SCHEDULES: Final = """\
# What is due when: each [schedule.NAME] is a plan in time, and its tick is an event that handlers
# wait for (docs/SCHEDULES.md). An unknown key is an error. The file is read again when it changes;
# while it has an error, what it said before goes on.
#
# [schedule.nightly]
# about = "the backup of the night"
# cron = "0 3 * * *"
# timezone = "Europe/Berlin"
# event = "system.backup_scheduled"
# data = { keep = 7 }
# catch_up = "last"               # a machine that was off at three does it when it is on again
#
# [schedule.poll]
# every = "60s"
# event = "mail.poll_requested"
# overlap = "skip"                # not while on-mail-poll-requested.sh is at the last one
# adaptive = true                 # slower while the machine is busy or the handler is behind
#
# A tick that shows that the scheduler lives, for `hookline status`:
#
# [schedule.heartbeat]
# every = "10s"
# event = "schedule.tick"
# catch_up = "none"

[schedule.worker_watch]
about = "looks for workers that have fallen silent, when on-worker-heartbeat.sh has asked for it"
moment = "due"
of = "worker.watch_planned"
event = "worker.watch_due"

[schedule.task_retry]
about = "tries failed tasks again, when on-task-auto-fix.sh has asked for it"
moment = "due"
of = "task.retry_planned"
event = "task.retry_due"

[schedule.worker_restart]
about = "starts workers again, when on-worker-restart.sh has asked for it"
moment = "due"
of = "worker.restart_planned"
event = "worker.restart_due"

# At which speed schedules with `adaptive = true` go. What is left out has the value shown.
[adaptive]
speed_min = 0.1
speed_max = 2.0
# A speed goes down at once, and up only so long after the last change.
hold = "1m"

# The load average of a minute for each processor, and the part of the memory that is in use: slow
# from one measure on, until it is no more than the other.
[adaptive.load]
slow_at = 1.5
normal_at = 1.0
speed = 0.5

[adaptive.memory]
slow_at = 0.9
normal_at = 0.8
speed = 0.5

# Ticks that a handler has not done yet: each `slow_at` of them halve the speed of their schedule,
# at `stop_at` it stands still. At `normal_at` it recovers, halving by halving.
[adaptive.backlog]
slow_at = 3
normal_at = 1
stop_at = 20

# What an event does to the speed, and for how long.
#
# [adaptive.on."power.on_battery"]
# speed = 0.5
# until = ["power.on_mains"]
# schedules = ["poll"]
"""
_README: Final = """\
# coordination/

Runtime data of Hookline. `tail -qF events/*-events.jsonl | jq` shows what happens,
`tail -F deliveries.jsonl | jq` what the handlers make of it, `dead-letters.jsonl` what they could
not do. `state/` may be deleted.
"""


def init(home: Home) -> Iterator[str]:
    """Make what is missing; a line for each thing made or kept. What is there is never changed, and
    a handler that was deleted stays deleted: ours come with the handlers' folder or not at all.
    Cut short anywhere, it is done by the next one.

    In a folder that was somebody's before, handlers do not get the events from before it was a
    home, which somebody has handled; and what lies in its `coordination/` is not for us to ignore.

    Raises CannotCreate when the folder cannot be written to, TryAgain while another is slow at it.
    """
    try:
        yield from _begin_now(home)
        yield from make_folders(home)
        yield from _texts(home)
        yield from _shipped_config(home)
        yield from _scripts(home)
    except OSError as error:
        raise CannotCreate(told(error)) from error
    link_command(home)
    if lacks_atomic_append(home.coordination) and not home.locked_append.exists():
        home.locked_append.touch()
        yield f"made {home.locked_append}: this file system needs a lock around appends"


def link_command(home: Home) -> None:
    """Leave the scripts of a home a way to this very installation: `state/hookline`."""
    link = home.state / "hookline"
    command = Path(sys.argv[0]).resolve()
    if command.name != "hookline" or (link.is_symlink() and link.readlink() == command):
        return
    temporary = link.with_name(f".hookline.{os.getpid()}")
    # Of one that was killed: in a container, processes have the same number again.
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(command)
    temporary.rename(link)


def _begin_now(home: Home) -> Iterator[str]:
    """Before the folder is a home: let the handlers that lie there begin with what is logged from
    now on. A handler begins with the first event since its file was installed, by the ctime, and
    that moves on though the mode stays."""
    if home.state.exists() or home.deliveries.exists() or not home.handlers.is_dir():
        return
    brought = [path for path in home.handlers.iterdir() if is_handler_name(path.name)]
    for path in brought:
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode))
    if brought and any(home.events.glob("*-events.jsonl")):
        yield f"the handlers that are there, {len(brought)}, begin with events from now on"


def make_folders(home: Home) -> Iterator[str]:
    """The folders of the runtime data that are missing, a line for each."""
    for folder in (
        home.events,
        home.segments,
        home.queue,
        home.rejected,
        home.data,
        home.state,
        home.config,
        home.schemas,
        home.coordination / "intents",
        home.coordination / "logs",
    ):
        if not folder.is_dir():
            make_folder(folder)
            yield f"made {folder}"


def make_folder(folder: Path) -> None:
    """With its parents where they are missing, writable for nobody else whatever the umask."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(0o750, exist_ok=True)


def _texts(home: Home) -> Iterator[str]:
    of_folder = (
        (home.coordination / ".gitignore", _IGNORED),
        (home.coordination / "README.md", _README),
    )
    # What a killed one has left over begins with a dot.
    names = {name for name in os.listdir(home.coordination) if not name.startswith(".")}
    is_ours = names <= _OURS
    for path, text in (
        *(of_folder if is_ours else ()),
        (home.config / "hookline.toml", _CONFIG),
        (home.config / "programs.toml", _PROGRAMS),
        (home.config / "schedules.toml", _SCHEDULES),
    ):
        if not path.exists():
            durable_write(path, text.encode())
            yield f"made {path}"


def _shipped_config(home: Home) -> Iterator[str]:
    """What scripts that are shipped read, as it is in the one place that says it."""
    for name in ("daemons.toml", "policies.toml"):
        shipped, path = shipped_scripts().parent / "coordination/config" / name, home.config / name
        if not path.exists() and shipped.is_file():
            durable_write(path, shipped.read_bytes())
            yield f"made {path}"


def _scripts(home: Home) -> Iterator[str]:
    source, target = shipped_scripts(), home.root / "scripts"
    ours = () if source.resolve() == target.resolve() else _LAID_DOWN
    changed: set[Path] = set()
    for path in (path for part in ours for path in _files(source / part)):
        aim = target / path.relative_to(source)
        if aim.exists():
            if not filecmp.cmp(path, aim, shallow=False):
                yield f"kept {aim}: it differs from the one that comes with this version"
        elif aim.parent != home.handlers:
            make_folder(aim.parent)
            _copy(path, aim)
            changed.add(aim.parent)
    for folder in sorted(changed):
        sync_folder(folder)
        yield f"made scripts in {folder}"
    # After the library that they source: from their rename on, they are run.
    if _lay_handlers(home, source / "events" / "handlers"):
        yield f"made {home.handlers}"


def _lay_handlers(home: Home, source: Path) -> bool:
    """Where there is no folder of handlers, put it in place with all of ours in it; whether it
    was so."""
    with _alone_in(home.handlers.parent):
        if home.handlers.is_dir():
            return False
        if os.path.lexists(home.handlers):
            raise CannotCreate(f"{home.handlers} is not a folder: remove it")
        new = home.handlers.with_name(_NEW_HANDLERS)
        if os.path.lexists(new):
            shutil.rmtree(new)
        make_folder(new)
        for path in _files(source):
            _copy(path, new / path.name)
        sync_folder(new)
        new.rename(home.handlers)
        sync_folder(home.handlers.parent)
        return True


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other `init` is here meanwhile, by a lock that ends with the process."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not flock_within(fd, LOCK_WAIT_S):
            raise TryAgain(f"another process has locked {folder}: try again")
        yield
    finally:
        os.close(fd)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return [path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix != ".pyc"]


def _copy(path: Path, aim: Path) -> None:
    """Whole or not at all: a part of it would be kept as somebody's own. The folder is to be synced
    by who has copied the last one."""
    mode = 0o750 if path.stat().st_mode & 0o100 else 0o640
    durable_write(aim, path.read_bytes(), mode, sync_name=False)
