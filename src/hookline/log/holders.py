"""Who still has a closed segment open for writing, and so keeps every reader of it waiting."""

import os
from typing import NamedTuple


class Holder(NamedTuple):
    """A process, and what it is called."""

    pid: int
    name: str


def holders(path: str | os.PathLike[str]) -> list[Holder]:
    """The processes that have a file open for writing, as far as this user may see them.

    For a person who wants to know why nothing is delivered; a lease says *that* there is one, and
    sees those of other users and files that are only mapped, too.
    """
    status = os.stat(path)
    wanted = (status.st_dev, status.st_ino)
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and _writes(f"/proc/{name}", wanted):
            found.append(Holder(int(name), _name(f"/proc/{name}")))
    return found


def _writes(process: str, wanted: tuple[int, int]) -> bool:
    try:
        names = os.listdir(f"{process}/fd")
    except OSError:
        # It has ended, or it is none of ours.
        return False
    return any(_is_for_writing(process, name, wanted) for name in names)


def _is_for_writing(process: str, fd: str, wanted: tuple[int, int]) -> bool:
    try:
        status = os.stat(f"{process}/fd/{fd}")
        if (status.st_dev, status.st_ino) == wanted:
            with open(f"{process}/fdinfo/{fd}", encoding="ascii") as info:
                return _flags(info.read()) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        # Closed just now.
        pass
    return False


def _flags(info: str) -> int:
    rows = dict(row.split(":", 1) for row in info.splitlines() if ":" in row)
    return int(rows.get("flags", "0"), 8)


def _name(process: str) -> str:
    try:
        with open(f"{process}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().rstrip("\n")
    except OSError:
        return "?"
