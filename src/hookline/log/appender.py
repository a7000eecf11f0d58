"""Appending from a long-lived process: as `append_line_to_log` does, and quicker in a burst.

Opening and closing the log is three quarters of the cost of an append. To keep it open is safe,
since an append through a descriptor from before a rotation lands in the closed segment, but holds
up every reader there until it is closed. So a log is held open only while appends follow each
other closely, and a thread that lives as long as something is held lets go of it after HOLD_S.
"""

import contextlib
import os
import threading
import time
import weakref
from collections import Counter, defaultdict
from typing import Final

from hookline.log.append import appends_locked
from hookline.log.files import append_lines, open_append, write_lines
from hookline.log.home import Home
from hookline.model.errors import HooklineError

HOLD_S: Final = 0.02
BURST: Final = 16
"""After how many appends within HOLD_S a log is held open for the next HOLD_S."""

BUFFER_BYTES: Final = 1 << 16
"""No larger, because a kill tears large writes: 0 of 300 at this size on ext4, all at 64 MB."""


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


class _Held:
    """A log that is held open. Who writes to it has a reference, and the last one to go closes it:
    no write needs a lock."""

    __slots__ = ("__weakref__", "_identity", "fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1
        self.fd = open_append(path)
        self._identity = _identity(self.fd)
        _all_held.add(self)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def forked(self) -> None:
        """In the child: another thread may have been about to close it, so that the number is of
        nothing by now, or of somebody else's file."""
        with contextlib.suppress(OSError):
            if _identity(self.fd) == self._identity:
                os.close(self.fd)
        self.fd = -1

    def __del__(self) -> None:
        self.close()


class Appender:
    """Appends to the logs of one home; for any number of threads, and across `fork`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._coordination = os.fspath(home.coordination)
        self._paths: dict[str, str] = {}
        self._held: dict[str, _Held] = {}
        self._alone: Counter[str] = Counter()
        self._since_s = 0.0
        # A signal handler may append in the middle of an append.
        self._lock = threading.RLock()
        self._closer: threading.Thread | None = None
        self._end_closer = threading.Event()
        _appenders.add(self)

    def append(self, domain: str, lines: bytes, sync: bool = False) -> None:
        """Append one line or several, newlines and all, in one write; else as `append_lines`."""
        held = self._held.get(domain)
        if held is None or sync:
            held = None
            self._append_alone(domain, lines, sync)
            return
        try:
            write_lines(held.fd, lines, held.path)
        except BaseException:
            # Whoever keeps the exception keeps this frame, and must not keep the log open.
            held = None
            raise

    def close(self) -> None:
        """Let go of what is held; the next append opens what it needs."""
        with self._lock:
            self._held.clear()
            closer = self._closer
            if closer is not None:
                self._end_closer.set()
        if closer is not None:
            closer.join()

    def _append_alone(self, domain: str, lines: bytes, sync: bool) -> None:
        path = self._paths.get(domain)
        if path is None:
            path = self._paths[domain] = os.fspath(self._home.live(domain))
        locked = appends_locked(self._coordination)
        append_lines(path, lines, sync, locked=locked)
        if not (sync or locked) and self._is_burst(domain):
            self._hold(domain, path)

    def _is_burst(self, domain: str) -> bool:
        now_s = time.monotonic()
        if now_s - self._since_s >= HOLD_S:
            self._since_s = now_s
            self._alone.clear()
        self._alone[domain] += 1
        return self._alone[domain] >= BURST

    def _hold(self, domain: str, path: str) -> None:
        """Hold a log open, if it can be; else each append tries for itself."""
        with self._lock, contextlib.suppress(HooklineError):
            if self._has_closer():
                self._held[domain] = _Held(path)

    def _has_closer(self) -> bool:
        if self._closer is None:
            closer = threading.Thread(target=self._close_held, name="hookline-closer", daemon=True)
            try:
                closer.start()
            except RuntimeError:
                # The interpreter is ending, or the user may have no more threads.
                return False
            self._closer = closer
        return True

    def _close_held(self) -> None:
        """Let go of everything every HOLD_S; ends when nothing was held for so long, and when it is
        told to: what others hold again by then is for the next."""
        while True:
            self._end_closer.wait(HOLD_S)
            with self._lock:
                is_over = self._end_closer.is_set() or not self._held
                self._held.clear()
                if is_over:
                    self._end_closer.clear()
                    self._closer = None
                    return

    def _forked(self) -> None:
        """In the child: the thread is gone, and so is whoever has the lock."""
        self._held.clear()
        self._lock = threading.RLock()
        self._closer = None
        self._end_closer = threading.Event()


class Buffer:
    """Stands in for an Appender and gathers lines, for one write at every BUFFER_BYTES."""

    def __init__(self, appender: "Appender | Buffer") -> None:
        self._appender = appender
        self._lines: defaultdict[str, list[bytes]] = defaultdict(list)
        self._bytes = 0

    def append(self, domain: str, lines: bytes, sync: bool = False) -> None:
        """Keep the lines for the next write; `sync` writes at once what there is."""
        self._lines[domain].append(lines)
        self._bytes += len(lines)
        if sync or self._bytes >= BUFFER_BYTES:
            self.flush(sync)

    def flush(self, sync: bool = False) -> None:
        """Write what there is. Raises as `append_lines` does; what was not written stays."""
        while self._lines:
            domain = next(iter(self._lines))
            self._appender.append(domain, b"".join(self._lines[domain]), sync)
            del self._lines[domain]
        self._bytes = 0


_all_held: "weakref.WeakSet[_Held]" = weakref.WeakSet()
_appenders: "weakref.WeakSet[Appender]" = weakref.WeakSet()


def _before_fork() -> None:
    for appender in list(_appenders):
        appender.close()


def _after_fork_in_child() -> None:
    # The child's copies would hold up readers, and a thread that was writing is not there to end.
    for held in list(_all_held):
        held.forked()
    for appender in list(_appenders):
        appender._forked()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
