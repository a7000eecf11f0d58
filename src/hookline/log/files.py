"""Writing to files so that neither other writers nor a power cut can spoil them."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable
from typing import Final, NoReturn

from hookline.model.errors import FULL, CannotCreate, HooklineError, TryAgain, WriteFailed

MODE: Final = 0o640
FOLDER_MODE: Final = 0o750
LOCK_WAIT_S: Final = 5.0

_APPEND = os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_TRIES = 200
_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ETXTBSY})
_DISK = FULL | {errno.EIO}


class LogFull(WriteFailed):
    """The disk took only a part of the line; it may or may not count as stored."""


def durable_write(
    path: str | os.PathLike[str],
    data: bytes | bytearray | Iterable[bytes],
    mode: int = MODE,
    *,
    sync_name: bool = True,
) -> None:
    """Put a file with these bytes, or parts, in place, whole and on disk when this returns.

    Without `sync_name` its name is so when the caller has synced the folder: once, for many files.
    Raises CannotCreate, TryAgain or WriteFailed, and then the path has what it had before.
    """
    target = os.fspath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:64]}.{os.getpid()}.{os.urandom(6).hex()}.tmp")
    try:
        fd = os.open(temporary, _NEW, mode)
    except OSError as error:
        _raise(error, target)
    try:
        with open(fd, "wb") as file:
            file.writelines([data] if isinstance(data, bytes | bytearray) else data)
            file.flush()
            os.fsync(fd)
        os.replace(temporary, target)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError):
            _raise(error, target)
        raise
    if sync_name:
        sync_folder(folder or ".")


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it, when missing; their names are on disk when this returns.

    Raises CannotCreate or WriteFailed.
    """
    path = os.fspath(folder)
    if os.path.isdir(path):
        return
    above = os.path.dirname(path) or "."
    make_folder(above)
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise CannotCreate(f"{path} is not a folder: remove it") from None
    except OSError as error:
        _raise(error, path)
    sync_folder(above)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable. Raises WriteFailed or TryAgain."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        # Some network file systems cannot sync a folder and keep its names in order by themselves.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            message = f"{os.fspath(folder)} cannot be synced: {error.strerror}"
            raise (TryAgain if error.errno in _SCARCE else WriteFailed)(message) from error


def open_append(path: str | os.PathLike[str], access: int = os.O_WRONLY) -> int:
    """A descriptor to append lines to, close-on-exec; the file is made when there is none.

    Raises CannotCreate for what is no regular file of its own (a link, a pipe, a folder, a device,
    a second name of another file) or cannot be made; TryAgain when descriptors or memory are short.
    """
    return _open(os.fspath(path), access)[0]


def append_line(
    file: int | str | os.PathLike[str],
    line: bytes,
    sync: bool = False,
    *,
    locked: bool = False,
    whole: bool = False,
) -> None:
    """Append a line (given without its newline) in one write; `file` is a path or an open log.

    `sync`: on disk when this returns, the new file's name included when `file` is a path. `locked`:
    take `flock` around the write, for file systems without atomic append. Several lines with
    newlines between them are one write too. `whole`, of a path: never glued to what a crash or a
    full disk has torn, where readers would not part them; it may be there twice then. Raises
    WriteFailed, and the line may then count as stored or not; CannotCreate and TryAgain, and then
    nothing was stored.
    """
    append_lines(file, line + b"\n", sync, locked=locked, whole=whole)


def append_lines(
    file: int | str | os.PathLike[str],
    lines: bytes,
    sync: bool = False,
    *,
    locked: bool = False,
    whole: bool = False,
) -> None:
    """The same for lines that have their newlines."""
    if isinstance(file, int):
        _append(file, lines, sync, locked, f"descriptor {file}")
        return
    path = os.fspath(file)
    fd, made = _open(path, os.O_RDWR if whole else os.O_WRONLY)
    try:
        _append(fd, lines, sync, locked, path, whole=whole)
    finally:
        close_written(fd, path)
    if made and sync:
        try:
            sync_folder(os.path.dirname(path) or ".")
        except TryAgain as shortage:
            # The line is written: it may count as stored.
            raise WriteFailed(str(shortage)) from shortage


def _open(path: str, access: int = os.O_WRONLY) -> tuple[int, bool]:
    """The descriptor, and whether the file was made just now."""
    for _ in range(_OPEN_TRIES):
        try:
            fd = os.open(path, _APPEND | access)
            if _is_named_regular(fd, path):
                return fd, False
        except FileNotFoundError:
            made = _make(path, access)
            if made is not None:
                return made, True
        except BlockingIOError:
            # The name was looked up before a rotation and opened behind it, just while a reader
            # tests the closed segment with a lease: the next look-up finds the new log.
            time.sleep(0.001)
        except OSError as error:
            _raise(error, path)
    raise TryAgain(f"{path} comes and goes: try again")


def _make(path: str, access: int) -> int | None:
    """A new file, or None when somebody else has just made it."""
    try:
        return os.open(path, _APPEND | access | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        return None
    except OSError as error:
        _raise(error, path)


def _is_named_regular(fd: int, path: str) -> bool:
    """False when the file was removed meanwhile: what is appended to it, nobody would read."""
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return True
    os.close(fd)
    if not stat.S_ISREG(status.st_mode):
        raise CannotCreate(f"{path} is not a regular file: remove it")
    if status.st_nlink > 1:
        raise CannotCreate(f"{path} is a hard link to another file: remove it")
    return False


def write_line(fd: int, line: bytes, path: str) -> None:
    """The one write: a line, and its newline, to an open log. Raises WriteFailed."""
    write_lines(fd, line + b"\n", path)


def write_lines(fd: int, lines: bytes, path: str) -> None:
    """The same for lines that have their newlines."""
    try:
        written = os.write(fd, lines)
    except OSError as error:
        raise WriteFailed(f"{path}: {error.strerror}") from error
    if written != len(lines):
        _end_torn_line(fd)
        raise LogFull(f"{path}: only {written} of {len(lines)} bytes were written")


def close_written(fd: int, path: str) -> None:
    """Give a log's descriptor back. Raises WriteFailed: a network file system may not say before
    this that it did not keep what was written."""
    try:
        os.close(fd)
    except OSError as error:
        raise WriteFailed(f"{path}: {error.strerror}") from error


def _append(
    fd: int, lines: bytes, sync: bool, locked: bool, path: str, *, whole: bool = False
) -> None:
    if locked:
        _lock(fd, path)
    try:
        if whole and is_torn(fd, os.fstat(fd).st_size):
            lines = b"\n" + lines
        write_lines(fd, lines, path)
        begins = os.lseek(fd, 0, os.SEEK_CUR) - len(lines) if whole else 0
        if not lines.startswith(b"\n") and is_torn(fd, begins):
            # Somebody's write came short between the look and ours: once more, behind our own.
            write_lines(fd, lines, path)
        if sync:
            os.fdatasync(fd)
    except OSError as error:
        raise WriteFailed(f"{path} cannot be synced: {error.strerror}") from error
    finally:
        if locked:
            fcntl.flock(fd, fcntl.LOCK_UN)


def is_torn(fd: int, end: int) -> bool:
    """Whether the line that ends there has no newline."""
    return end > 0 and os.pread(fd, 1, end - 1) != b"\n"


def _lock(fd: int, path: str) -> None:
    try:
        had = flock_within(fd, LOCK_WAIT_S)
    except OSError as error:
        raise TryAgain(f"{path} cannot be locked: {error.strerror}") from error
    if not had:
        raise TryAgain(f"{path} has been locked by somebody for {LOCK_WAIT_S:.0f} s: try again")


def _end_torn_line(fd: int) -> None:
    try:
        os.write(fd, b"\n")
    except OSError:
        # The disk is full to the byte: whoever reads the tail a second later ends the line.
        pass


def flock_within(fd: int, wait_s: float, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether a `flock` was had in that time: one never given back must not hang us."""
    deadline_s = time.monotonic() + wait_s
    pause_s = 0.0005
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.02)
        else:
            return True


def _raise(error: OSError, path: str) -> NoReturn:
    raise _named(error, path) from error


def _named(error: OSError, path: str) -> HooklineError:
    if error.errno in _SCARCE:
        return TryAgain(f"{path}: {error.strerror}")
    if error.errno in _DISK:
        return WriteFailed(f"{path}: {error.strerror}")
    if error.errno == errno.ELOOP:
        return CannotCreate(f"{path} is a symbolic link: remove it")
    if error.errno in {errno.EISDIR, errno.ENXIO, errno.ENODEV}:
        return CannotCreate(f"{path} is not a regular file: remove it")
    if error.errno == errno.ENOENT:
        folder = os.path.dirname(path) or "."
        return CannotCreate(f"there is no folder {folder}: `hookline init` makes a home")
    return CannotCreate(f"{path}: {error.strerror}")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
