"""The private working folders of runs.

To make and to remove one are two changes of the file system's journal, and wait for each other's
disk: more than all else that a run costs. So one that a run has left as it found it is used again,
by the same handler only.
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from hookline.dispatch.process import remove_tree, scratch

_MODE = stat.S_IFDIR | 0o700


class Folder(NamedTuple):
    """One of them, and what tells it from every other."""

    path: str
    inode: tuple[int, int]


class Folders:
    """Gives them out and takes them back."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._free: dict[str, list[Folder]] = {}
        self._count = 0

    def take(self, handler: str) -> Folder:
        """An empty folder for a run of this handler. Raises OSError."""
        free = self._free.get(handler)
        while free:
            folder = free.pop()
            if _is_as_made(folder):
                return folder
            remove_tree(folder.path)
        self._count += 1
        path = scratch(self._work, f"{handler}.{os.getpid()}.{self._count}")
        status = path.lstat()
        return Folder(str(path), (status.st_dev, status.st_ino))

    def give_back(self, handler: str, folder: Folder, *, deserted: bool) -> None:
        """A run is over; `deserted`: nothing that it has started seems to be left."""
        if deserted and _is_as_made(folder) and _is_empty(folder):
            self._free.setdefault(handler, []).append(folder)
        else:
            remove_tree(folder.path)

    def forget(self, handler: str) -> None:
        """No run of this handler is to come for now."""
        for folder in self._free.pop(handler, ()):
            remove_tree(folder.path)

    def close(self) -> None:
        """Remove those that wait."""
        for handler in list(self._free):
            self.forget(handler)


def _is_empty(folder: Folder) -> bool:
    """Whether there is nothing in it; False where a shortage keeps that from being seen."""
    try:
        return not os.listdir(folder.path)
    except (OSError, MemoryError):
        return False


def _is_as_made(folder: Folder) -> bool:
    """Whether it is there, and nobody has put another in its place or locked it up."""
    try:
        status = os.lstat(folder.path)
    except OSError:
        return False
    return status.st_mode == _MODE and (status.st_dev, status.st_ino) == folder.inode
