"""Being woken at a moment of the wall clock, and at once when that clock is set."""

import ctypes
import errno
import os
from typing import Final

_CLOCK_REALTIME: Final = 0
_ABSTIME: Final = 1
_CANCEL_ON_SET: Final = 2
_NEVER_US: Final = 1 << 60

_libc = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """A timer of the kernel (timerfd_create(2)); `fd` becomes readable when it goes off.

    Set for a moment, it goes off then, also where the machine was suspended until after it; and it
    goes off when somebody sets the clock. Some kernels do not tell that (gVisor).
    """

    def __init__(self) -> None:
        """Raises OSError."""
        self.fd: Final[int] = _libc.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            _raise_errno("timerfd_create")
        self._flags = _ABSTIME | _CANCEL_ON_SET

    def set(self, at_us: int | None) -> bool:
        """Go off at that moment (None: at none) and not before; False: the clock was set since
        the last time, so that whoever reckoned with it is to do so again. Raises OSError."""
        seconds, rest_us = divmod(_NEVER_US if at_us is None else max(at_us, 1), 1_000_000)
        times = (ctypes.c_long * 4)(0, 0, seconds, rest_us * 1000)
        while _libc.timerfd_settime(self.fd, self._flags, times, None) != 0:
            number = ctypes.get_errno()
            if number == errno.ECANCELED:
                return False
            if number != errno.EINVAL or self._flags == _ABSTIME:
                _raise_errno("timerfd_settime")
            self._flags = _ABSTIME
        return True

    def close(self) -> None:
        """Give it back."""
        os.close(self.fd)


def _raise_errno(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
