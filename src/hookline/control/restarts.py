"""When a program that has ended is started again: pure."""

from dataclasses import dataclass
from typing import Final

PAUSE_MAX_S: Final = 60.0
STEADY_S: Final = 30.0
"""A program that has run for so long is forgiven its earlier ends."""
END_S: Final = 30.0
"""How long a program that is told to end may take, before it is killed: a supervisor has its daemon
to wait for."""
LOOP_ENDS: Final = 5
"""So many ends in a row are a crash loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """How often a program has ended in a row, none of the runs a steady one."""

    ends: int = 0

    def after(self, ran_s: float) -> "Restarts":
        """What it comes to when it has ended again, after so long."""
        return Restarts(ends=1 if ran_s > STEADY_S else self.ends + 1)

    @property
    def pause_s(self) -> float:
        """How long to wait: twice as long each time."""
        return min(PAUSE_MAX_S, 0.5 * 2.0 ** min(self.ends, 10))

    @property
    def is_crash_loop(self) -> bool:
        """Whether one that may give up should."""
        return self.ends >= LOOP_ENDS
