"""A thread that waits for the disk, so that nobody else has to."""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

from hookline.log.sync import Sync


class ThreadSyncer:
    """Runs syncs in a thread of its own, one lot at a time; see `commits.Syncer`."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.fd: Final = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Can be read when a lot is done."""
        self._lots: SimpleQueue[list[Sync] | None] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def start(self, syncs: Iterable[Sync]) -> None:
        """Begin to run these; where no thread is to be had, wait for them."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="hookline-syncer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._run(syncs)
                return
            self._thread = thread
        self._idle.clear()
        self._lots.put(list(syncs))

    @property
    def done(self) -> bool:
        """Whether all that was started has run."""
        return self._idle.is_set()

    def wait(self) -> None:
        """Wait until that is so."""
        self._idle.wait()

    def heard(self) -> None:
        """Somebody was told by `fd`: nothing is to be read until the next is done."""
        os.eventfd_read(self.fd)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._lots.put(None)
            self._thread.join()
        os.close(self.fd)

    def _work(self) -> None:
        while (syncs := self._lots.get()) is not None:
            self._run(syncs)

    def _run(self, syncs: Iterable[Sync]) -> None:
        for sync in syncs:
            sync.run()
        self._idle.set()
        with suppress(OSError):
            # Whoever is not told looks by itself, only later; a thread that ends would end it all.
            os.eventfd_write(self.fd, 1)
