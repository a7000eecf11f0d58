"""The drop box: a `*.json` file renamed into `events/queue/` becomes an event.

The event is appended with an id that the file decides before the file is removed: a crash between
the two appends it again under the same identity, and it is delivered once.
"""

import hashlib
import os
import stat
import uuid
from pathlib import Path
from typing import Final

from hookline.log.append import append_line_to_log
from hookline.log.files import durable_write
from hookline.log.home import Home
from hookline.model import envelope, jsontext
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.errors import BadData, HooklineError

FILE_BYTES_MAX: Final = 16 << 20
SOURCE: Final = "queue"


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
        line, identity, domain = _line(name, _read(path), clock)
    except FileNotFoundError:
        return None
    except BadData as error:
        _refuse(home, path, str(error), clock)
        return None
    append_line_to_log(home.root, domain, line, True)
    path.unlink(missing_ok=True)
    return identity


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


def _line(name: str, text: bytes, clock: Clock) -> tuple[bytes, str, str]:
    fields = envelope.from_outside(
        text, id=_id(name, text), source=SOURCE, time=rfc3339(clock.now())
    )
    return envelope.line(**fields), fields["id"], envelope.domain(fields)


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
    """Set the file aside with the reason beside it; a file of that name that lies there is kept
    too."""
    home.rejected.mkdir(mode=0o750, exist_ok=True)
    target = home.rejected / path.name
    if target.exists():
        target = home.rejected / f"{path.stem}.{nanoseconds(clock.now())}.json"
    note = jsontext.dumps({"reason": reason, "file": path.name, "time": rfc3339(clock.now())})
    try:
        durable_write(target.with_suffix(".reason.json"), note + b"\n")
        os.rename(path, target)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HooklineError(f"cannot set {path} aside: {error.strerror}") from error
