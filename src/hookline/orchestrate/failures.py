"""What fails, and whether it fails more than it did. Pure.

The last day is compared with the seven days before it. A rate has *risen* when the intervals of
what is believed of the two (`hookline.orchestrate.beta`, nothing forgotten) do not touch: the lower
end of the one of the last day is above the upper end of the other.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hookline.orchestrate.beta import Beta
from hookline.orchestrate.evidence import End
from hookline.orchestrate.stories import Stories

RECENT_S: Final = 86_400.0
BEFORE_S: Final = 7 * 86_400.0
FAILURES_MIN: Final = 3
"""Fewer in the last day have not risen, however unlikely they are."""
ROWS_MAX: Final = 200
TAIL: Final = 0.05
"""So much of a belief lies on either side of its interval."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of failure (None: of any kind) of one expert (None: of all)."""

    error_type: str | None
    expert: str | None
    recent: int
    recent_of: int
    """Of so many tasks and parts of tasks that ended in the last day; `before_of` likewise."""
    before: int
    before_of: int
    risen: bool


class _Count:
    """How many there were in the last day and in the days before it."""

    __slots__ = ("before", "recent")

    def __init__(self) -> None:
        self.recent = self.before = 0

    def add(self, age_s: float) -> None:
        if age_s <= RECENT_S:
            self.recent += 1
        elif age_s <= RECENT_S + BEFORE_S:
            self.before += 1


def failures(ends: Sequence[End], stories: Stories, now_s: float) -> Iterator[Failure]:
    """What failed in these eight days, the most frequent first."""
    ended: dict[str | None, _Count] = defaultdict(_Count)
    failed: dict[tuple[str | None, str | None], _Count] = defaultdict(_Count)
    for end in _first_hand(ends):
        age_s, expert = now_s - end.at_s, stories.expert_of(end)
        for whose in {None, expert}:
            ended[whose].add(age_s)
            if end.has_failed:
                failed[end.error_type, whose].add(age_s)
                failed[None, whose].add(age_s)
    found = {key: count for key, count in failed.items() if count.recent or count.before}
    for error_type, whose in sorted(found, key=lambda key: _rank(found[key], *key))[:ROWS_MAX]:
        count, among = found[error_type, whose], ended[whose]
        yield Failure(
            error_type=error_type,
            expert=whose,
            recent=count.recent,
            recent_of=among.recent,
            before=count.before,
            before_of=among.before,
            risen=_has_risen(count, among),
        )


def _rank(count: _Count, error_type: str | None, whose: str | None) -> tuple[object, ...]:
    return -count.recent, -count.before, error_type or "", whose or ""


def _first_hand(ends: Sequence[End]) -> list[End]:
    """Without those that only pass another one on: a worker's failure becomes a task's."""
    ids = {end.id for end in ends}
    return [end for end in ends if end.causationid not in ids]


def _has_risen(count: _Count, among: _Count) -> bool:
    now, then = _belief(count.recent, among.recent), _belief(count.before, among.before)
    return count.recent >= FAILURES_MIN and now.quantile(TAIL) > then.quantile(1 - TAIL)


def _belief(part: int, whole: int) -> Beta:
    return Beta().after(part, whole - part)
