"""Whoever can write to a handler, its folder or a folder above can run code as the dispatcher:
refuse such a place.

The rule is cron's and sshd's: owned by root or by us, writable for nobody else, all the way up. A
sticky folder (such as /tmp) may stand above, since nobody can rename there what is not theirs.
"""

import os
import shlex
import stat
from pathlib import Path


def distrust(path: Path) -> str | None:
    """Why `path` or a folder above it must not be trusted, with the command that mends it; None
    when it may."""
    path = path.resolve()
    reason = _of_one(path, sticky_is_fine=False)
    for parent in path.parents:
        if reason:
            return reason
        reason = _of_one(parent, sticky_is_fine=True)
    return reason


def distrust_handler(path: Path) -> str | None:
    """As `distrust`, for a handler file whose folder has been looked at already."""
    status = path.lstat()
    name = shlex.quote(str(path))
    if stat.S_ISLNK(status.st_mode):
        return f"{path} is a symbolic link: rm {name}, and copy the file itself there"
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is not a regular file: move it out of the handlers folder"
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return f"{path} is set-user-id or set-group-id: chmod ug-s {name}"
    return _of_one(path, sticky_is_fine=False)


def _of_one(path: Path, *, sticky_is_fine: bool) -> str | None:
    status = path.stat()
    name = shlex.quote(str(path))
    if status.st_uid not in (0, os.geteuid()):
        owner = "root" if os.geteuid() == 0 else str(os.geteuid())
        return f"{path} belongs to user {status.st_uid}, who could change it: chown {owner} {name}"
    if not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    if sticky_is_fine and status.st_mode & stat.S_ISVTX:
        return None
    mode = status.st_mode & 0o7777
    return f"{path} can be written to by others (mode {mode:04o}): chmod go-w {name}"
