"""Bringing a log to disk while its owner goes on."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from hookline.log.files import sync_folder
from hookline.model.errors import TryAgain


class Sync(Protocol):
    """A log as it was at one moment, on its way to disk."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything that the disk has to be waited for."""

    def run(self) -> None:
        """Do it, in whatever thread; it takes as long as the disk does. To be called once."""

    def end(self) -> None:
        """Tell the log what came of it, in the log's own thread. Raises HooklineError."""


def sync_now(sync: Sync) -> None:
    """Wait for it. Raises HooklineError."""
    sync.run()
    sync.end()


class SegmentSync:
    """The sync of some segments of a log, and of the folders that name them.

    It has descriptors of its own: whoever reads on may close theirs.
    """

    def __init__(self, end: Callable[["SegmentSync"], None]) -> None:
        self._end: Final = end
        self._fds: list[int] = []
        self.ordinals: list[int] = []
        self.folders: list[str] = []
        self.failed: tuple[int, OSError] | None = None
        """The ordinal of a segment that the disk has lost a part of, and why."""
        self.trouble: Exception | None = TryAgain("it has not run")
        """Why not all was done."""

    def add(self, ordinal: int, fd: int) -> None:
        """A segment, by a descriptor that is the caller's. Raises OSError."""
        self._fds.append(os.dup(fd))
        self.ordinals.append(ordinal)

    @property
    def is_needed(self) -> bool:
        """See `Sync.is_needed`."""
        return bool(self.ordinals or self.folders)

    def run(self) -> None:
        """See `Sync.run`."""
        try:
            for ordinal, fd in zip(self.ordinals, self._fds, strict=True):
                try:
                    os.fdatasync(fd)
                except OSError as error:
                    self.failed = ordinal, error
                    return
            for folder in self.folders:
                sync_folder(folder)
            self.trouble = None
        except Exception as error:  # noqa: BLE001  # whatever it is, the log's own thread is told
            self.trouble = error
        finally:
            self.close()

    def end(self) -> None:
        """See `Sync.end`."""
        self._end(self)

    def close(self) -> None:
        """Give the descriptors back. What one of them is refused with tells nothing new: nobody has
        written through it."""
        while self._fds:
            with suppress(OSError):
                os.close(self._fds.pop())

    def __del__(self) -> None:
        self.close()
