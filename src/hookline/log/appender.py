"""Appending from a long-lived process: as `append_line_to_log` does, and quicker in a burst.

Opening and closing the log is three quarters of the cost of an append. To keep it open is safe,
since an append through a descriptor from before a rotation lands in the closed segment, but holds
up every reader there until it is closed. So a log stays open only while appends follow each other
closely, never longer than HOLD_S, and a thread that lives as long as something is held closes
what a burst leaves behind.
"""

import os
import threading
import time
import weakref
from typing import Final

from hookline.log.append import appends_locked
from hookline.log.files import append_line, open_append, write_line
from hookline.log.home import Home

HOLD_S: Final = 0.02
BURST: Final = 16
"""After how many appends within HOLD_S a log is held open for the rest of it."""

BUFFER_BYTES: Final = 1 << 16
"""No larger, because a kill tears large writes: 0 of 300 at this size on ext4, all at 64 MB."""

_HOLD_NS = int(HOLD_S * 1e9)


class _Log:
    """One domain's log: the descriptor that is held, and the appends since `since_ns`."""

    __slots__ = ("appends", "fd", "path", "since_ns")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1
        self.since_ns = 0
        self.appends = 0

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Appender:
    """Appends to the logs of one home; for any number of threads, and across `fork`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._coordination = os.fspath(home.coordination)
        self._logs: dict[str, _Log] = {}
        self._lock = threading.Lock()
        self._closer: threading.Thread | None = None
        self._end_closer = threading.Event()
        _appenders.add(self)

    def append(self, domain: str, lines: bytes, sync: bool = False) -> None:
        """Append one line or several, without the last newline, in one write; see `append_line`."""
        if sync:
            locked = appends_locked(self._coordination)
            append_line(self._home.live(domain), lines, sync=True, locked=locked)
            return
        now_ns = time.monotonic_ns()
        with self._lock:
            log = self._logs.get(domain)
            if log is None:
                log = self._logs[domain] = _Log(os.fspath(self._home.live(domain)))
            if log.fd < 0 or now_ns - log.since_ns >= _HOLD_NS:
                self._begin(log, now_ns)
            log.appends += 1
            if log.fd >= 0:
                write_line(log.fd, lines, log.path)
            else:
                append_line(log.path, lines, locked=appends_locked(self._coordination))

    def close(self) -> None:
        """Close what is held; the next append opens what it needs."""
        with self._lock:
            for log in self._logs.values():
                log.close()
            closer = self._closer
            self._end_closer.set()
        if closer is not None:
            closer.join()

    def _begin(self, log: _Log, now_ns: int) -> None:
        """Decide whether to hold the log open for the appends that follow."""
        log.close()
        busy = log.appends >= BURST
        if now_ns - log.since_ns >= _HOLD_NS:
            log.since_ns = now_ns
            log.appends = 0
        if busy and not appends_locked(self._coordination) and self._has_closer():
            log.fd = open_append(log.path)

    def _has_closer(self) -> bool:
        if self._closer is None:
            closer = threading.Thread(target=self._close_idle, name="hookline-closer", daemon=True)
            try:
                closer.start()
            except RuntimeError:
                # The interpreter is ending, or the user may have no more threads.
                return False
            self._closer = closer
        return True

    def _close_idle(self) -> None:
        """Close what has been held for long enough; ends when nothing is held any more."""
        while True:
            self._end_closer.wait(HOLD_S)
            self._end_closer.clear()
            with self._lock:
                oldest_ns = time.monotonic_ns() - _HOLD_NS
                for log in self._logs.values():
                    if log.since_ns <= oldest_ns:
                        log.close()
                if all(log.fd < 0 for log in self._logs.values()):
                    self._closer = None
                    return

    def _forked(self) -> None:
        """In the child: its copies of the descriptors would hold up readers; the thread is gone."""
        self._lock = threading.Lock()
        self._closer = None
        self._end_closer = threading.Event()
        for log in self._logs.values():
            log.close()


class Buffer:
    """Stands in for an Appender and gathers lines, for one write at every BUFFER_BYTES."""

    def __init__(self, appender: "Appender | Buffer") -> None:
        self._appender = appender
        self._lines: dict[str, list[bytes]] = {}
        self._bytes = 0

    def append(self, domain: str, lines: bytes, sync: bool = False) -> None:
        """Keep the lines for the next write; `sync` writes at once what there is."""
        self._lines.setdefault(domain, []).append(lines)
        self._bytes += len(lines) + 1
        if sync or self._bytes >= BUFFER_BYTES:
            self.flush(sync)

    def flush(self, sync: bool = False) -> None:
        """Write what there is. Raises as `append_line` does; what was not written stays."""
        while self._lines:
            domain = next(iter(self._lines))
            self._appender.append(domain, b"\n".join(self._lines[domain]), sync)
            del self._lines[domain]
        self._bytes = 0


_appenders: "weakref.WeakSet[Appender]" = weakref.WeakSet()


def _before_fork() -> None:
    for appender in list(_appenders):
        appender.close()


def _after_fork_in_child() -> None:
    for appender in list(_appenders):
        appender._forked()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
