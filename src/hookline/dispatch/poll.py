"""What the dispatcher waits for: descriptors of its own, and those of runs."""

import contextlib
import select
from collections import deque
from collections.abc import Iterator
from typing import Final

from hookline.dispatch.runner import Run

YOUNG_S: Final = 0.02
"""How long nobody listens to what a run prints: most are over by then, and a pipe holds as much as
they say. Who says more waits for so long, once."""


class Poll:
    """The kernel's word on many descriptors."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._runs: dict[int, Run] = {}
        """By descriptor."""
        self._fds: dict[Run, list[int]] = {}
        self._young: deque[tuple[float, Run]] = deque()
        self._unheard: list[tuple[Run, int]] = []

    def add(self, fd: int) -> None:
        """Wait for one of ours. Raises OSError."""
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Wait no longer for one of ours."""
        self._epoll.unregister(fd)

    def watch(self, run: Run, now_s: float) -> None:
        """Wait for a run: at once for its end, a little later for what it prints."""
        self._fds[run] = []
        self._unheard += [(run, fd) for fd in run.ends()]
        self._young.append((now_s + YOUNG_S, run))

    def forget(self, run: Run) -> None:
        """A run is over, and has closed what was its own just now."""
        for fd in self._fds.pop(run, ()):
            del self._runs[fd]
            # What is closed the kernel has forgotten itself.
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def mind(self, now_s: float) -> None:
        """Have the kernel tell of what is to be heard by now. Raises OSError or MemoryError where
        it cannot: it is asked again."""
        young, unheard = self._young, self._unheard
        while young and now_s >= young[0][0]:
            _, run = young.popleft()
            unheard += [(run, fd) for fd in run.outputs() if run in self._fds]
        while unheard:
            run, fd = unheard[-1]
            if run in self._fds:
                self._epoll.register(fd, select.EPOLLIN)
                self._runs[fd] = run
                self._fds[run].append(fd)
            unheard.pop()

    def next_s(self) -> float | None:
        """When there is something to `mind`; monotonic."""
        while self._young and self._young[0][1] not in self._fds:
            self._young.popleft()
        return self._young[0][0] if self._young else None

    def wait(self, timeout_s: float) -> Iterator[tuple[int, Run | None]]:
        """Wait, and then tell what can be read and of which run it is: of none that was forgotten
        on the way."""
        found = self._epoll.poll(timeout_s)
        return ((fd, self._runs.get(fd)) for fd, _ in found)

    def mute(self, run: Run, fd: int) -> None:
        """Nothing more comes out of a run's descriptor."""
        del self._runs[fd]
        self._fds[run].remove(fd)
        self._epoll.unregister(fd)

    def close(self) -> None:
        """Let go of it."""
        self._epoll.close()
