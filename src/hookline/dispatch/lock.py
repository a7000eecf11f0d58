"""One dispatcher for each home."""

import fcntl
import os

from hookline.log.home import Home
from hookline.model.errors import TryAgain


class Lock:
    """Held by the kernel for as long as the process lives: no stale lock, whatever dies."""

    def __init__(self, home: Home) -> None:
        home.state.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = home.state / "dispatcher.lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise TryAgain(
                f"a dispatcher runs already for {home.root} (process {holder}): "
                "`hookline status` shows how it does"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let another dispatcher run."""
        os.close(self._fd)


def holder(home: Home) -> int | None:
    """The process that dispatches for a home, or None when nobody does."""
    try:
        fd = os.open(home.state / "dispatcher.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(fd)
    return None
