"""What lies beside the logs and belongs to nothing any more."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final

from hookline.app.selftest.leaks import end_all
from hookline.dispatch.journal import open_journal, open_letters_log
from hookline.dispatch.letters import letters
from hookline.dispatch.process import remove_tree
from hookline.log.home import Home
from hookline.log.read import domains, records
from hookline.log.segments import after
from hookline.log.stream import Stream
from hookline.model.errors import CannotCreate, HooklineError
from hookline.model.event import decode

THROW_AWAY: Final = "throw-away"
"""The file in a folder that a command has made for itself and removes again. Whoever uses the
folder holds a flock on it since before this file was there."""
SELFTEST: Final = "selftest-"
"""How the names of the homes of `hookline selftest` begin."""


class ThrowAway:
    """A folder that is removed when its use is over. `keep`: it is not."""

    def __init__(self, path: Path, *, keep: bool) -> None:
        self.path = path
        self.keep = keep


@contextlib.contextmanager
def throw_away(
    parent: Path, prefix: str, *, named_by: str, keep: bool = False
) -> Iterator[ThrowAway]:
    """Make a folder in another, and remove it whatever happens, unless it is to be kept. What a
    kill has left there of folders with this prefix is removed first.

    Raises CannotCreate; `named_by` is what names another place.
    """
    try:
        folder = ThrowAway(Path(tempfile.mkdtemp(prefix=prefix, dir=parent)), keep=keep)
    except OSError as error:
        raise CannotCreate(f"{parent}: {error.strerror}: name another with {named_by}") from error
    mark = folder.path / THROW_AWAY
    lock = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for dead in dead_folders(parent, prefix):
            _discard(dead)
        if not keep:
            mark.touch()
        yield folder
    finally:
        if folder.keep:
            mark.unlink(missing_ok=True)
        else:
            _discard(folder.path)
        os.close(lock)


def unused_payloads(home: Home, before_s: float) -> Iterator[Path]:
    """Data beside the logs, written before that moment, that no line and no dead letter refers to.

    Raises HooklineError when a log cannot be read: nothing is unused then.
    """
    old = {path.name: path for path in older(home.data, before_s)}
    if not old:
        return
    for letter in letters(home):
        with contextlib.suppress(HooklineError):
            old.pop(_name_of(decode(bytes(letter.event)).dataref), None)
    for domain in domains(home):
        with Stream.of_domain(home, domain) as stream:
            for name in _references(stream):
                old.pop(name, None)
    yield from old.values()


def spent_notes(home: Home, before_s: float) -> Iterator[Path]:
    """What `rejected/` has from before that moment and is of no segment that is still there:
    without it, a dispatcher or a person would be told of the same damage anew."""
    old = older(home.rejected, before_s)
    if not old:
        return
    there: set[str] = set()
    logs = (Stream.of_domain(home, domain) for domain in domains(home))
    for log in (*logs, open_journal(home), open_letters_log(home)):
        with log:
            ordinals = log.ordinals()
            there |= {f"{log.segments.stem}.{each:08d}" for each in (*ordinals, after(ordinals))}
    yield from (path for path in old if path.name.rsplit(".", 2)[0] not in there)


def older(folder: Path, moment_s: float) -> list[Path]:
    """The files of a folder that were written before that moment."""
    found = []
    for path in _files_of(folder):
        # A temporary file gets its name at any moment.
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime < moment_s:
                found.append(path)
    return found


def litter(folder: Path, moment_s: float) -> list[Path]:
    """What a death before that moment left of files that were to be put in place whole."""
    return [
        path
        for path in older(folder, moment_s)
        if path.name.startswith(".") and path.name.endswith(".tmp")
    ]


def dead_folders(parent: Path, prefix: str) -> list[Path]:
    """The folders in another that were made to be thrown away, by this user, and whose maker was
    killed."""
    marks = parent.glob(f"{prefix}*/{THROW_AWAY}")
    return [mark.parent for mark in marks if _is_dead(mark.parent)]


def _is_dead(folder: Path) -> bool:
    """Whether it is ours and nobody has locked it; one that cannot be looked at counts as
    locked."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return os.fstat(fd).st_uid == os.geteuid()
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


def _discard(folder: Path) -> None:
    """End what handlers have begun in a folder, and remove it."""
    end_all(folder)
    remove_tree(folder)


def _references(stream: Stream) -> Iterator[str]:
    """The names of the payload files that the lines of a log refer to."""
    position = stream.first()
    while True:
        chunk = stream.read(position, patient=False)
        if not chunk.is_plain or b'"dataref"' in chunk.data:
            for record in records(chunk):
                if record.event is not None and record.event.dataref is not None:
                    yield _name_of(record.event.dataref)
        if chunk.at_end:
            return
        position = chunk.next


def _name_of(dataref: str | None) -> str:
    return PurePath(dataref or "").name


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except FileNotFoundError:
        return []
