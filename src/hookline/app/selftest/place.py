"""A throw-away home on the file system that is to be tested."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hookline.app.doctor import lacks_atomic_append
from hookline.app.init import make_folder, make_folders
from hookline.app.leftovers import SELFTEST, throw_away
from hookline.dispatch.trust import distrust
from hookline.log.home import Home
from hookline.model.errors import BadConfig, WriteFailed, is_shortage

ROOM_BYTES_MIN: Final = 8 << 20
"""With less, a test tells nothing but that the disk is full."""
_INSTEAD: Final = "mend that, or name another place with --dir"


class Place:
    """A home below some folder. `keep`: it stays there when all is over."""

    def __init__(self, home: Home, *, keep: bool) -> None:
        self.home = home
        self.keep = keep


@contextmanager
def place_below(folder: Path, *, keep: bool = False) -> Iterator[Place]:
    """Make a home in a new folder below this one, and remove it whatever happens, unless it is to
    be kept. What a test that was killed has left there is removed first.

    Raises CannotCreate, BadConfig where handlers would be refused, and WriteFailed.
    """
    with throw_away(folder.absolute(), SELFTEST, named_by="--dir", keep=keep) as made:
        place = Place(Home(made.path), keep=keep)
        try:
            see_to_room(place.home)
            with blamed(place.home):
                list(make_folders(place.home))
                make_folder(place.home.handlers)
                if lacks_atomic_append(place.home.coordination):
                    place.home.locked_append.touch()
            if reason := distrust(place.home.handlers):
                raise BadConfig(f"{reason}; or name another place with --dir")
            yield place
        finally:
            made.keep = place.keep


@contextmanager
def blamed(home: Home) -> Iterator[None]:
    """What fails meanwhile is the fault of this home's disk: WriteFailed says so. What any program
    may be short of stays what it is."""
    try:
        yield
    except OSError as error:
        if is_shortage(error):
            raise
        where = home.root if error.filename is None else os.fsdecode(error.filename)
        raise WriteFailed(f"{where}: {error.strerror}: {_INSTEAD}") from error


def see_to_room(home: Home) -> None:
    """Raises WriteFailed where there is not enough of it to tell anything."""
    status = os.statvfs(home.root)
    free = status.f_bavail * status.f_frsize
    if free < ROOM_BYTES_MIN:
        full = os.strerror(errno.ENOSPC)
        raise WriteFailed(f"{home.root}: {full} ({free >> 10} KiB are free): {_INSTEAD}")
