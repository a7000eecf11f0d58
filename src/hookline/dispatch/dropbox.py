"""The drop box: a `*.json` file renamed into `events/queue/` becomes an event.

The event is appended with an id that the file decides before the file is removed: a crash between
the two appends it again under the same identity, and it is delivered once.
"""

import contextlib
import hashlib
import os
import stat
import uuid
from pathlib import Path
from typing import Final

from hookline.log.append import append_event
from hookline.log.files import durable_write, make_folder
from hookline.log.home import Home
from hookline.model import envelope, jsontext
from hookline.model.attributes import Fields
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.errors import BadData, printable

FILE_BYTES_MAX: Final = 16 << 20
SOURCE: Final = "queue"
_STEM_CHARS_MAX: Final = 100


def waiting(home: Home) -> list[str]:
    """The names of the files to take, oldest first."""
    try:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
            for entry in os.scandir(home.queue)
            if entry.name.endswith(".json") and not entry.name.startswith(".")
        ]
    except FileNotFoundError:
        return []
    return [name for _, name in sorted(found)]


def take(home: Home, name: str, clock: Clock) -> str | None:
    """Make an event of a file; its id, or None when it went to `rejected/` instead.

    Raises:
        WriteFailed, CannotCreate: the log would not take it; the file stays.
    """
    path = home.queue / name
    try:
        fields = _fields(name, _read(path), clock)
        append_event(home.root, fields, sync=True)
    except FileNotFoundError:
        return None
    except BadData as error:
        _refuse(home, path, str(error), clock)
        return None
    path.unlink(missing_ok=True)
    return fields["id"]


def _read(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadData(f"cannot be read: {error.strerror}") from error
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise BadData("is not a regular file")
        if status.st_size > FILE_BYTES_MAX:
            raise BadData(f"is larger than {FILE_BYTES_MAX} bytes")
        return file.read(FILE_BYTES_MAX + 1)


def _fields(name: str, text: bytes, clock: Clock) -> Fields:
    return envelope.from_outside(text, id=_id(name, text), source=SOURCE, time=rfc3339(clock.now()))


def _id(name: str, text: bytes) -> str:
    """A UUIDv8 (RFC 9562: custom) of the file's name and content: the same file, the same event."""
    seed = name.encode("utf-8", "surrogateescape") + b"\0" + text
    digest = hashlib.blake2b(seed, digest_size=16).digest()
    return str(
        uuid.UUID(
            int=int.from_bytes(digest) & ~(0xF000 << 64) & ~(3 << 62) | 0x8000 << 64 | 2 << 62
        )
    )


def _refuse(home: Home, path: Path, reason: str, clock: Clock) -> None:
    """Set the file aside with the reason beside it; a file of that name that lies there is kept."""
    make_folder(home.rejected)
    stem = os.fsencode(path.stem).decode("utf-8", "backslashreplace")[:_STEM_CHARS_MAX]
    target = home.rejected / f"{stem}.json"
    if target.exists():
        target = home.rejected / f"{stem}.{nanoseconds(clock.now())}.json"
    file = printable(os.fsencode(path.name).decode("utf-8", "backslashreplace"))
    note = jsontext.dumps({"reason": reason, "file": file, "time": rfc3339(clock.now())})
    durable_write(target.with_suffix(".reason.json"), note + b"\n")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, target)
