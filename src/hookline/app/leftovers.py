"""What lies beside the logs and belongs to nothing any more."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final

from hookline.dispatch.letters import letters
from hookline.log.home import Home
from hookline.log.read import domains, records
from hookline.log.stream import Stream
from hookline.model.errors import HooklineError
from hookline.model.event import decode

THROW_AWAY: Final = "throw-away"
"""The file in a home that `hookline selftest` has made for itself and removes again. Whoever uses
the home holds a flock on its folder since before this file was there."""


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


def dead_selftests(folder: Path) -> list[Path]:
    """The throw-away homes below a folder whose test was killed."""
    return [mark.parent for mark in folder.glob(f"selftest-*/{THROW_AWAY}") if _free(mark.parent)]


def _free(folder: Path) -> bool:
    """Whether nobody has locked it; one that cannot be looked at counts as locked."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


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
