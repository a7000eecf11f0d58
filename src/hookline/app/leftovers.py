"""What lies beside the logs and belongs to nothing any more."""

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePath

from hookline.dispatch.letters import letters
from hookline.log.home import Home
from hookline.log.read import domains, records
from hookline.log.stream import Stream
from hookline.model.errors import HooklineError
from hookline.model.event import decode


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
