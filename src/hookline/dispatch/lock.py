"""One dispatcher for each home."""

import fcntl
import os
from typing import Final

from hookline.log.files import flock_within
from hookline.log.home import Home
from hookline.model.errors import BadConfig, TryAgain

_PID_FILE: Final = "dispatcher.pid"
_WAIT_S: Final = 0.05
"""Who only looks (`holder`) has the lock too, for some microseconds."""


class Lock:
    """Held by the kernel for as long as the process lives: no stale lock, whatever dies.

    It is on the folder `coordination/` itself: `state/` may be deleted at any time.
    """

    def __init__(self, home: Home) -> None:
        if not home.coordination.is_dir():
            raise BadConfig(f"no home at {home.root}: hookline init {home.root}")
        self._fd = os.open(home.coordination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if not flock_within(self._fd, _WAIT_S):
            os.close(self._fd)
            raise TryAgain(
                f"a dispatcher runs already for {home.root} (process {_named(home)}): "
                "`hookline status` shows how it does"
            )
        home.state.mkdir(mode=0o750, parents=True, exist_ok=True)
        pid_file = home.state / _PID_FILE
        pid_file.touch(0o640)
        pid_file.write_text(f"{os.getpid()}\n")

    def close(self) -> None:
        """Let another dispatcher run."""
        os.close(self._fd)


def holder(home: Home) -> int | None:
    """The process that dispatches for a home (0: it cannot be told), or None when nobody does."""
    try:
        fd = os.open(home.coordination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(home)
    finally:
        os.close(fd)
    return None


def _named(home: Home) -> int:
    try:
        text = (home.state / _PID_FILE).read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
