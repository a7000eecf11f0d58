"""The drop box: a `*.json` file in `events/queue/` becomes an event.

The event is appended with an id that the file decides before the file is removed: a crash between
the two appends it again under the same identity, and it is delivered once.

A file should be renamed into the box. One that is written in place is not judged by its first half:
while it cannot be an event, it stays for as long as somebody has it open for writing.
"""

import contextlib
import hashlib
import os
import stat
import uuid
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hookline.log.append import append_event
from hookline.log.files import durable_write, make_folder
from hookline.log.home import Home
from hookline.log.lease import is_open_for_writing
from hookline.model import envelope, jsontext
from hookline.model.attributes import Fields
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.errors import BadData, HooklineError, printable

FILE_BYTES_MAX: Final = 16 << 20
SOURCE: Final = "queue"
QUIET_S: Final = 5.0
"""How long what is no JSON stays after its last change: writers may close it in between."""
_STEM_CHARS_MAX: Final = 100
_TAKEN: Final = ".taken"


class Unfinished(HooklineError):
    """Its writer may not have come to its end yet."""


class _Read(NamedTuple):
    text: bytes
    is_open: bool | None
    """For writing, when the reading began; None: that cannot be told."""
    age_s: float
    """How long ago it was changed or put there, then."""
    inode: int


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
        Unfinished: it is no event so far, and may become one; the file stays.
        WriteFailed, CannotCreate: the log would not take it; the file stays.
    """
    path = home.queue / name
    read = None
    try:
        read = _read(path, clock)
        fields = _fields(name, read.text, clock)
        append_event(home.root, fields, sync=True)
    except FileNotFoundError:
        return None
    except BadData as error:
        if read is not None and _may_go_on(read):
            raise Unfinished(str(error)) from error
        _refuse(home, path, str(error), clock)
        return None
    _remove(path, read)
    return fields["id"]


def _remove(path: Path, read: _Read) -> None:
    """Remove the file that was read. Another one may have been renamed over it meanwhile: that one
    is another event, and stays."""
    taken = path.with_name(_TAKEN)
    with contextlib.suppress(FileNotFoundError):
        path.rename(taken)
        if taken.stat().st_ino == read.inode or path.exists():
            taken.unlink()
        else:
            taken.rename(path)


def _read(path: Path, clock: Clock) -> _Read:
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
        # Before the reading: who has closed it since then would have left us half of it.
        is_open = is_open_for_writing(fd)
        age_s = clock.now().timestamp() - status.st_ctime
        return _Read(file.read(FILE_BYTES_MAX + 1), is_open, age_s, status.st_ino)


def _may_go_on(read: _Read) -> bool:
    """Whether more may come of a text that is no event."""
    if read.is_open:
        return True
    if read.age_s >= QUIET_S:
        return False
    try:
        msgspec.json.decode(read.text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return True
    return read.is_open is None


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
