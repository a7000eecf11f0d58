"""Telling the service manager how a program does, as systemd's sd_notify(3) has it; where there is
none, nobody is told."""

import math
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final, Self

SOCKET: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
AGAIN_S: Final = 1.0
"""A message that could not be sent is sent again."""
_TIMEOUT_S: Final = 1.0
"""A manager that takes nothing for so long holds up nobody for longer."""


class Notifier:
    """For a loop that gives it a turn in each round: the first says that the program serves, the
    others that the loop goes round. Has the methods of a companion of the dispatcher."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        """`address`: of the manager's socket, if any; it kills who is silent for `watchdog_s`, if
        that is not 0."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._pause_s = watchdog_s / 2
        self._is_ready = False
        self._next_s = 0.0

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """As the manager has asked for it. Taken out of the environment: what the program starts
        has nothing to tell the manager."""
        address = environ.pop(SOCKET, "")
        # WATCHDOG_PID is for who hands its environment on; the manager listens to its child alone.
        period, _ = (environ.pop(name, "") for name in _WATCHDOG)
        return cls(address, int(period) / 1e6 if period.isdigit() else 0.0)

    def turn(self, now_s: float) -> float:
        """A round at this monotonic time; when the next one is due at the latest."""
        if not self._address or (self._is_ready and not self._pause_s):
            return math.inf
        if now_s >= self._next_s:
            if not self._is_ready:
                self._is_ready = self.tell("READY=1", "STATUS=serving")
                done = self._is_ready
            else:
                done = self.tell("WATCHDOG=1")
            self._next_s = now_s + (self._pause_s if done else AGAIN_S)
        return self._next_s

    def exited(self, pid: int, status: int) -> bool:
        """No process is its own."""
        del pid, status
        return False

    @property
    def busy(self) -> bool:
        """Nothing is waited for."""
        return False

    def stop(self) -> None:
        """The program begins nothing more, and ends when what runs has ended."""
        self.tell("STOPPING=1", "STATUS=ending what runs")

    def close(self) -> None:
        """Nothing is held open."""

    def tell(self, *lines: str) -> bool:
        """Send such lines as `STATUS=three handlers`; whether the manager has them, or there is
        none."""
        if not self._address:
            return True
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(_TIMEOUT_S)
            out.sendto("\n".join(lines).encode(), self._address)
            return True
        return False
