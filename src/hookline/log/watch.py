"""Being told when something changes in a folder: by inotify, or by the clock where it is silent."""

import ctypes
import errno
import os
import select
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

POLL_S: Final = 0.1
"""How often to look where nobody tells."""

_IN_MODIFY = 0x2
_IN_CLOSE_WRITE = 0x8
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_UNMOUNT = 0x2000
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x01000000
_MASK = (
    _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
    | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
)  # fmt: skip
_FOLDER_LOST = _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_UNMOUNT | _IN_IGNORED
_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 16
_EVENT_BYTES_MAX = _EVENT.size + 256

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """The names of files that were made, changed, renamed or removed in some folders.

    `fd` becomes readable when there is something, or may be; it serves `poll` and the like. A
    folder that inotify cannot watch (none left, moved away, not there yet) is looked at every
    tenth of a second instead until it can: then `read` says None, look at everything.
    Make the Watch first and then look at the folders, and nothing is missed.
    """

    def __init__(
        self, folders: Iterable[str | os.PathLike[str]], *, poll_only: bool = False
    ) -> None:
        """`poll_only`: for file systems where others' changes are not told, such as NFS."""
        self._missing = {os.fspath(folder) for folder in folders}
        self._watched: dict[int, str] = {}
        self._epoll = select.epoll()
        self._inotify = -1 if poll_only else _inotify()
        self._timer = -1
        if self._inotify >= 0:
            self._epoll.register(self._inotify, select.EPOLLIN)
        self._watch_missing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def fd(self) -> int:
        """What to wait for."""
        return self._epoll.fileno()

    @property
    def polling(self) -> bool:
        """Whether some folder is looked at by the clock, because nobody tells of its changes."""
        return bool(self._missing)

    @property
    def unwatched(self) -> list[str]:
        """The folders that are looked at by the clock."""
        return sorted(self._missing)

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until there is something to read, at most so long; whether there is."""
        return bool(self._epoll.poll(timeout_s))

    def read(self) -> set[str] | None:
        """The names since the last call, without waiting; None: anything may have changed."""
        names: set[str] | None = set()
        if self._missing:
            names = None
            self._drain_timer()
        if self._inotify >= 0:
            names = self._read_inotify(names)
        if self._missing:
            self._watch_missing()
        return names

    def close(self) -> None:
        """Give all descriptors back."""
        self._epoll.close()
        for fd in (self._inotify, self._timer):
            if fd >= 0:
                os.close(fd)
        self._inotify = self._timer = -1

    def __del__(self) -> None:
        self.close()

    def _read_inotify(self, names: set[str] | None) -> set[str] | None:
        while True:
            try:
                data = os.read(self._inotify, _READ_BYTES)
            except BlockingIOError:
                return names
            names = self._decode(data, names)
            if len(data) < _READ_BYTES - _EVENT_BYTES_MAX:
                return names

    def _decode(self, data: bytes, names: set[str] | None) -> set[str] | None:
        at = 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            if length and names is not None:
                names.add(os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length
            if mask & _IN_Q_OVERFLOW:
                names = None
            elif mask & _FOLDER_LOST:
                names = None
                self._lose(number, mask)
        return names

    def _lose(self, number: int, mask: int) -> None:
        folder = self._watched.pop(number, None)
        if folder is None:
            return
        self._missing.add(folder)
        if not mask & _IN_IGNORED:
            # Moved away: it would go on telling what happens there.
            _libc.inotify_rm_watch(self._inotify, number)

    def _watch_missing(self) -> None:
        for folder in sorted(self._missing):
            number = -1
            if self._inotify >= 0:
                number = _libc.inotify_add_watch(self._inotify, os.fsencode(folder), _MASK)
            if number >= 0:
                self._watched[number] = folder
                self._missing.discard(folder)
        self._set_timer(POLL_S if self._missing else 0.0)

    def _set_timer(self, every_s: float) -> None:
        if self._timer < 0:
            if not every_s:
                return
            self._timer = _timer()
            self._epoll.register(self._timer, select.EPOLLIN)
        nanoseconds = int(every_s * 1e9)
        times = (ctypes.c_long * 4)(0, nanoseconds, 0, nanoseconds)
        if _libc.timerfd_settime(self._timer, 0, times, None) != 0:
            _raise_errno("timerfd_settime")

    def _drain_timer(self) -> None:
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            pass


def _inotify() -> int:
    """A descriptor, or -1 when the user has no more instances or there is no inotify at all."""
    fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0 and ctypes.get_errno() not in {errno.EMFILE, errno.ENFILE, errno.ENOSYS}:
        _raise_errno("inotify_init1")
    return fd


def _timer() -> int:
    clock_monotonic = 1
    fd: int = _libc.timerfd_create(clock_monotonic, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        _raise_errno("timerfd_create")
    return fd


def _raise_errno(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
