"""At most one process of a kind for each home, such as its dispatcher."""

import fcntl
import os
from pathlib import Path
from typing import Final

from hookline.log.files import flock_within
from hookline.log.home import Home
from hookline.model.errors import FULL, BadConfig, TryAgain

_WAIT_S: Final = 0.05
"""Who only looks (`holder_of`) has the lock too, for some microseconds."""


class OnlyOne:
    """Held by the kernel for as long as the process lives: no stale lock, whatever dies.

    It is on a folder that is there for other reasons: `state/`, where the process says its number,
    may be deleted at any time.
    """

    def __init__(self, home: Home, folder: Path, kind: str) -> None:
        """Raises BadConfig where there is no home, TryAgain when another one runs."""
        if not home.coordination.is_dir():
            raise BadConfig(f"no home at {home.root}: hookline init {home.root}")
        folder.mkdir(mode=0o750, exist_ok=True)
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if not flock_within(self._fd, _WAIT_S):
            os.close(self._fd)
            raise TryAgain(
                f"a {kind} runs already for {home.root} (process {_named(home, kind)}): "
                "`hookline status` shows how it does"
            )
        try:
            home.state.mkdir(mode=0o750, parents=True, exist_ok=True)
            pid_file = pid_file_of(home, kind)
            pid_file.touch(0o640)
            pid_file.write_text(f"{os.getpid()}\n")
        except OSError as error:
            # The lock is enough: a full disk keeps nobody from making room on it.
            if error.errno not in FULL:
                os.close(self._fd)
                raise

    def close(self) -> None:
        """Let another one run."""
        os.close(self._fd)


def holder_of(home: Home, folder: Path, kind: str) -> int | None:
    """The process that has the lock (0: it cannot be told), or None when nobody has it."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(home, kind)
    finally:
        os.close(fd)
    return None


def pid_file_of(home: Home, kind: str) -> Path:
    """Where the process says its number, when it begins."""
    return home.state / f"{kind}.pid"


def _named(home: Home, kind: str) -> int:
    try:
        text = pid_file_of(home, kind).read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
