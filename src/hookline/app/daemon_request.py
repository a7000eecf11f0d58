"""Asking systemd for a daemon: a file that a path unit waits for, and a pipe for the answer.

So may everybody who can write to the home, also where systemd would start nothing for them: the
units of the system, in a home that is not root's.
"""

import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from hookline.control.daemon import folder_of
from hookline.control.units import REQUEST
from hookline.log.files import durable_write, make_folder
from hookline.log.home import Home

TAKEN_UP_S: Final = 5.0
"""When nobody has come by then, the unit is not at work."""
_LOOK_S: Final = 0.02
_ANSWER: Final = "answer"
_BYTES_MAX: Final = 4096
_CAUSE: Final = ("HOOKLINE_ATTEMPT", "EVENT_ID", "EVENT_CORRELATION", "EVENT_HOPS", "TRACEPARENT")


class Request(NamedTuple):
    """What a supervisor finds that a unit has started."""

    cause: Mapping[str, str]
    """The event that asked for it, as the environment of a handler tells it."""
    answer_fd: int
    """Where a newline is waited for that says that the daemon is ready; -1: nowhere."""


def ask(home: Home, name: str, environ: Mapping[str, str]) -> int | None:
    """The read end of the answer, once a supervisor has come: a newline, or the end when it has
    failed. None where nobody comes."""
    folder = folder_of(home, name)
    make_folder(folder)
    with suppress(FileExistsError):
        os.mkfifo(folder / _ANSWER, 0o600)
    fd = os.open(folder / _ANSWER, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    cause = {each: environ[each] for each in _CAUSE if environ.get(each)}
    durable_write(folder / REQUEST, json.dumps(cause).encode())
    if _is_taken_up(folder / REQUEST):
        return fd
    os.close(fd)
    return None


def take_up(home: Home, name: str) -> Request:
    """What was asked for, if anything was; from then on, whoever asked waits for the answer."""
    folder, answer_fd = folder_of(home, name), -1
    cause = _cause_in(folder / REQUEST)
    if cause is None:
        return Request({}, answer_fd)
    with suppress(OSError):
        # Nobody may wait any more.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        answer_fd = os.open(folder / _ANSWER, flags)
    # Only now: whoever asked sees by it that there is somebody at the other end.
    (folder / REQUEST).unlink(missing_ok=True)
    return Request(cause, answer_fd)


def _cause_in(request: Path) -> Mapping[str, str] | None:
    """What the file says, as far as it may say it; None where there is none."""
    try:
        fd = os.open(request, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        said = b""
        # Anything else than a file would be waited for, or has no end.
        if stat.S_ISREG(os.fstat(fd).st_mode):
            said = file.read(_BYTES_MAX)
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in pairs if key in _CAUSE and isinstance(value, str)}


def _is_taken_up(request: Path) -> bool:
    ends_s = time.monotonic() + TAKEN_UP_S
    while request.exists():
        if time.monotonic() > ends_s:
            try:
                request.unlink()
            except FileNotFoundError:
                break
            return False
        time.sleep(_LOOK_S)
    return True
