"""How busy the machine is: its load and its memory, as Linux tells them in `/proc`."""

import os
from pathlib import Path
from typing import Final

import msgspec

READ_EVERY_S: Final = 5.0
"""The kernel itself counts the load only every five seconds (`LOAD_FREQ`)."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; None where it could not be."""

    load: float | None = None
    """The load average of the last minute."""
    processors: int = 1
    """How many this process may run on."""
    memory_used: float | None = None
    """The part of the memory that could not be given to a new program, 0 to 1."""


class Gauge:
    """Measures the machine, and not more often than there is something new."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._measured_s: float | None = None
        self._machine = Machine()

    def read(self, now_s: float) -> Machine:
        """The machine now, or some seconds ago; `now_s` is of a clock that is never set."""
        if self._measured_s is None or now_s - self._measured_s >= READ_EVERY_S:
            self._measured_s = now_s
            self._machine = Machine(
                load=self._load(),
                processors=len(os.sched_getaffinity(0)),
                memory_used=self._memory_used(),
            )
        return self._machine

    def _load(self) -> float | None:
        try:
            return float((self._proc / "loadavg").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _memory_used(self) -> float | None:
        try:
            lines = (self._proc / "meminfo").read_text().splitlines()
            kib = {
                name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)
            }
            return 1 - kib["MemAvailable"] / kib["MemTotal"]
        except (OSError, ValueError, IndexError, KeyError, ZeroDivisionError):
            return None
