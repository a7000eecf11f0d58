"""A new home: the tree of DESIGN.md section 2, in anybody's project."""

import filecmp
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hookline.app.doctor import lacks_atomic_append
from hookline.log.files import LOCK_WAIT_S, durable_write, flock_within, sync_folder
from hookline.log.home import Home
from hookline.model.errors import CannotCreate, TryAgain, told

_NEW_HANDLERS: Final = ".handlers.new"
"""The folder in which the handlers lie until all of them do; one that was cut short may be left."""
_IGNORED: Final = """\
# Runtime data; only configuration and schemas are kept.
*
!/.gitignore
!/README.md
!/config/
!/config/**
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
# What `hookline up` runs beside the dispatcher. A relative program lies in the home. One that ends
# is started again: with growing pauses, or so long after it ended well as `every` says.

[program.archiver]
about = "closes, compresses and deletes old segments, as [archive] in hookline.toml says"
command = ["scripts/events/event-archiver.sh"]
every = "10m"
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

    Raises CannotCreate when the folder cannot be written to, TryAgain while another is slow at it.
    """
    try:
        yield from make_folders(home)
        yield from _texts(home)
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
    for path, text in (
        (home.coordination / ".gitignore", _IGNORED),
        (home.coordination / "README.md", _README),
        (home.config / "hookline.toml", _CONFIG),
        (home.config / "programs.toml", _PROGRAMS),
    ):
        if not path.exists():
            durable_write(path, text.encode())
            yield f"made {path}"


def _scripts(home: Home) -> Iterator[str]:
    source, target = shipped_scripts(), home.root / "scripts"
    made = 0
    if source.resolve() != target.resolve():
        for path in _files(source / "events"):
            aim = target / path.relative_to(source)
            if aim.exists():
                if not filecmp.cmp(path, aim, shallow=False):
                    yield f"kept {aim}: it differs from the one that comes with this version"
            elif aim.parent != home.handlers:
                make_folder(aim.parent)
                _copy(path, aim)
                made += 1
    # After the library that they source: from their rename on, they are run.
    if laid := _lay_handlers(home, source / "events" / "handlers"):
        made += laid
        yield f"made {home.handlers}"
    if made:
        yield f"made {made} script{'s' if made > 1 else ''} in {target / 'events'}"


def _lay_handlers(home: Home, source: Path) -> int:
    """Where there is no folder of handlers, put it in place with all of ours in it; how many they
    are."""
    with _alone_in(home.handlers.parent):
        if home.handlers.is_dir():
            return 0
        if os.path.lexists(home.handlers):
            raise CannotCreate(f"{home.handlers} is not a folder: remove it")
        new = home.handlers.with_name(_NEW_HANDLERS)
        if os.path.lexists(new):
            shutil.rmtree(new)
        make_folder(new)
        shipped = _files(source)
        for path in shipped:
            _copy(path, new / path.name)
        new.rename(home.handlers)
        sync_folder(home.handlers.parent)
        return len(shipped)


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
    return [path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix != ".pyc"]


def _copy(path: Path, aim: Path) -> None:
    """Whole or not at all: a part of it would be kept as somebody's own."""
    mode = 0o750 if path.stat().st_mode & 0o100 else 0o640
    durable_write(aim, path.read_bytes(), mode)


def shipped_scripts() -> Path:
    """The scripts of the checkout, or those that were installed with the package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1] / "scripts", package / "tree" / "scripts"):
        if (folder / "events" / "lib" / "event-logger.sh").is_file():
            return folder
    raise CannotCreate(f"the scripts are not where they should be, beside {package}: install again")
