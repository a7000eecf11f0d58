"""The errors that Hookline knows by name, and the exit status of each (sysexits.h)."""

import errno
import os
import re

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def shown(value: str | bytes, limit: int = 64) -> str:
    """A value from outside, fit for a message: quoted, printable, at most `limit` characters.

    What a terminal would obey instead of showing (controls, bidi marks, zero width) is escaped.
    """
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    cut = text[:limit] + ("…" if len(text) > limit else "")
    return "'" + printable(cut) + "'"


def printable(text: str) -> str:
    """The text with every character that a terminal would obey written as an escape."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the kernel says when there is no room on a disk, or no more for this user or file."""
SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""What the kernel says when it is short of descriptors, memory or processes (errno(3))."""


class HooklineError(Exception):
    """Something went wrong that Hookline has a name for."""

    exit_code: int = os.EX_SOFTWARE

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__ or type(self).__name__)


class Usage(HooklineError):
    """The command was called in a way it does not know; see --help."""

    exit_code = os.EX_USAGE


class BadData(HooklineError):
    """The data is not an event that a log may hold."""

    exit_code = os.EX_DATAERR


class OwnBug(HooklineError):
    """Hookline met a case that it was not made for; please report it."""

    exit_code = os.EX_SOFTWARE


class CannotCreate(HooklineError):
    """A file or folder that is needed cannot be made."""

    exit_code = os.EX_CANTCREAT


class WriteFailed(HooklineError):
    """The write failed; the event may or may not count as stored: try again with the same id."""

    exit_code = os.EX_IOERR


class TryAgain(HooklineError):
    """Not possible just now; try again."""

    exit_code = os.EX_TEMPFAIL


class NotAllowed(HooklineError):
    """This user may not do that."""

    exit_code = os.EX_NOPERM


class BadConfig(HooklineError):
    """The configuration says something that cannot be."""

    exit_code = os.EX_CONFIG


def is_shortage(error: BaseException) -> bool:
    """Whether nothing is wrong but that the machine is short of something just now."""
    if isinstance(error, OSError):
        return error.errno in SCARCE
    return isinstance(error, (MemoryError, TryAgain))


def told(error: BaseException) -> str:
    """What went wrong, in words: for what, if that is known."""
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return f"{where}{error.strerror}"
    return str(error) or "there is not enough memory"
