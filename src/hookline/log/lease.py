"""Whether anybody can still write to a closed segment."""

import errno
import fcntl
import os
import signal
from typing import Final

from hookline.model.clock import Clock

GRACE_S: Final = 0.1
"""How long after the rename a writer may still be between looking the name up and opening the file.

The kernel counts a file as open for writing only after the look-up, so a lease alone leaves a gap
of some instructions; a tenth of a second covers a task that lost the processor in it.
"""

QUIET_S: Final = 300.0
"""Without leases: a segment that has not grown for so long is taken as closed by all."""

AGAIN_S: Final = 0.05
"""How soon to look again while somebody has it open: nothing wakes us when that ends."""

_NO_LEASES = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP})


def is_open_for_writing(fd: int) -> bool | None:
    """Whether any process has the file open (or mapped) for writing; None when that cannot be told.

    `fd` is open for reading only. A *read* lease is granted exactly when nobody has the file open
    for writing, however many others read it; a write lease would need us to be the only reader.
    Leases want the file's owner (or CAP_LEASE) and a local file system.
    """
    try:
        # A writer who opens the file while we hold the lease makes the kernel send us SIGIO, which
        # would end the process; nobody dies of SIGURG.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        if error.errno in _NO_LEASES:
            return None
        raise
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


class Quiescence:
    """Watches one closed segment until nothing can be written to it any more."""

    __slots__ = ("_clock", "_seen")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: tuple[int, float] | None = None

    def wait_s(self, fd: int) -> float:
        """0.0 once nobody can write any more, for good; else seconds after which to ask again."""
        age_s = self._age_s(os.fstat(fd))
        if age_s < GRACE_S:
            return GRACE_S - age_s
        open_for_writing = is_open_for_writing(fd)
        if open_for_writing is None:
            return max(0.0, min(QUIET_S - age_s, 5.0))
        return AGAIN_S if open_for_writing else 0.0

    def _age_s(self, status: os.stat_result) -> float:
        """How long ago the file was renamed or written to, as far as that is known.

        Both move ctime on. A wall clock that was set back makes that age too small, and then what
        we have watched ourselves counts.
        """
        now_s = self._clock.monotonic_s()
        if self._seen is None or self._seen[0] != status.st_ctime_ns:
            self._seen = (status.st_ctime_ns, now_s)
        return max(now_s - self._seen[1], self._clock.now().timestamp() - status.st_ctime)
