"""A throw-away home on the file system that is to be tested."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hookline.app.doctor import lacks_atomic_append
from hookline.app.init import make_folders
from hookline.app.leftovers import THROW_AWAY, dead_selftests
from hookline.dispatch.trust import distrust
from hookline.log.home import Home
from hookline.model.errors import BadConfig, CannotCreate


class Place:
    """A home below some folder. `keep`: it stays there when all is over."""

    def __init__(self, home: Home, *, keep: bool) -> None:
        self.home = home
        self.keep = keep


@contextmanager
def place_below(folder: Path, *, keep: bool = False) -> Iterator[Place]:
    """Make a home in a new folder below this one, and remove it whatever happens, unless it is to
    be kept. What a test that was killed has left there is removed first.

    Raises CannotCreate, and BadConfig where handlers would be refused.
    """
    try:
        root = Path(tempfile.mkdtemp(prefix="selftest-", dir=folder.absolute()))
    except OSError as error:
        raise CannotCreate(f"{folder}: {error.strerror}: name another with --dir") from error
    for dead in dead_selftests(folder):
        shutil.rmtree(dead, ignore_errors=True)
    place = Place(Home(root), keep=keep)
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not keep:
            (root / THROW_AWAY).touch()
        list(make_folders(place.home))
        if lacks_atomic_append(place.home.coordination):
            place.home.locked_append.touch()
        if reason := distrust(place.home.handlers):
            raise BadConfig(f"{reason}; or name another place with --dir")
        yield place
    finally:
        if place.keep:
            (root / THROW_AWAY).unlink(missing_ok=True)
        else:
            shutil.rmtree(root, ignore_errors=True)
        os.close(lock)
