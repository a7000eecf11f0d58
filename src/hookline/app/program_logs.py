"""Keeping what programs print small: `coordination/logs/*.log`.

Whoever prints has the file open for as long as it lives, and a file that is renamed would grow on
under its other name. So the file stays and is emptied: who appends (O_APPEND, as `hookline up` and
`>>` do) goes on at its new end. What is printed in the moment between the last look and that is
lost; these are for people, and the truth is in the logs of events.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from hookline.log.files import durable_write
from hookline.log.home import Home

BYTES_MAX: Final = 10 << 20


class Shortened(NamedTuple):
    """One that was too long."""

    path: Path
    bytes: int
    """How long it was."""
    kept: int
    """How much of it is in the file beside it."""


def shorten(home: Home, *, dry_run: bool) -> Iterator[Shortened]:
    """Move the end of each that is longer than `BYTES_MAX` to `NAME.log.1`, and empty it."""
    for path in sorted((home.coordination / "logs").glob("*.log")):
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, IsADirectoryError):
            continue
        try:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode) and status.st_size > BYTES_MAX:
                kept = BYTES_MAX if dry_run else _empty(fd, status.st_size, path)
                yield Shortened(path, status.st_size, kept)
        finally:
            os.close(fd)


def _empty(fd: int, size: int, path: Path) -> int:
    """How much of it was kept."""
    beside = path.with_name(f"{path.name}.1")
    # First: on a full disk, that is the room for the new one.
    beside.unlink(missing_ok=True)
    text = os.pread(fd, BYTES_MAX, size - BYTES_MAX)
    kept = text[text.find(b"\n") + 1 :]
    durable_write(beside, kept, 0o640)
    with beside.open("ab") as file:
        # What was printed meanwhile.
        more = file.write(os.pread(fd, BYTES_MAX, size))
    os.ftruncate(fd, 0)
    return len(kept) + more
