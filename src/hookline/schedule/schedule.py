"""A schedule: what is due, when, and what becomes of a time that nobody was there for."""

from typing import Literal

import msgspec

from hookline.schedule.recurrence import Recurrence

CatchUp = Literal["none", "last", "all"]
Overlap = Literal["skip", "queue", "allow"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One plan in time. Spans are microseconds, moments microseconds since 1970."""

    name: str
    when: Recurrence
    event: str
    """The type of the events that it appends."""
    data: dict[str, object] = {}
    """What they say besides the proof."""
    about: str = ""
    priority: str | None = None
    offset_us: int = 0
    """How long after its nominal time each tick is due: its part of the stagger."""
    jitter_us: int = 0
    """Each tick is due up to so much later, by the hash of its name and nominal time."""
    grace_us: int | None = None
    """A tick later than that is a misfire; None: a minute, or as long as until the next one."""
    catch_up: CatchUp = "last"
    """What becomes of misfires: nothing, one tick for all of them, or each its tick."""
    overlap: Overlap = "allow"
    """What becomes of a tick while handlers still work on the one before."""
    adaptive: bool = False
    """Whether affect, load and backlog may change its speed."""
    expires_us: int | None = None
    """No tick has this nominal time or a later one."""
    of: str = ""
    """For `after`, `silence` and `moment`: which events, or whose successes, count."""
    after: int = 0
    """Due once so many of them have come since the last tick; 0: due by time."""
    moment: str = ""
    """Due at the time that the last one of them names under this key of its data."""
    layer: str = ""
    """Which layer its ticks are to run."""

    def __post_init__(self) -> None:
        if self.adaptive and self.interval_us is None:
            raise ValueError("adaptive is for schedules with `every`")

    @property
    def interval_us(self) -> int | None:
        """The span of `every`; None for all others."""
        return getattr(self.when, "interval_us", None)

    @property
    def aim(self) -> tuple[int, int, int | None]:
        """What says besides the recurrence which ticks there are and when they are due."""
        return self.offset_us, self.jitter_us, self.expires_us

    @property
    def is_asked(self) -> bool:
        """Whether events make it due, and not the clock alone."""
        return bool(self.after or self.moment)

    @property
    def watches_handler(self) -> bool:
        """Whether `of` names a handler, whose successes count."""
        return self.of.startswith("on-")
