"""An old timer beside its schedule: which firings belong together, and which have no other. Pure.

Moments and spans are microseconds. Two firings belong together when they are at most half an
interval apart; no choice of pairs would give more of them.
"""

import cmath
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from hookline.schedule.drift import percentile

TOLERANCE: Final = 10
"""Firings that are further apart than this part of the interval are late, or early."""
TOLERANCE_US_MIN: Final = 50_000
"""What a busy machine takes away from any timer."""

Span = tuple[int, int]
"""From, and until, both included."""


class Pair(NamedTuple):
    """Two firings that belong together."""

    old_us: int
    new_us: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison came to."""

    old: int
    new: int
    pairs: tuple[Pair, ...]
    missed: tuple[int, ...]
    """Firings of the old timer that no tick belongs to."""
    extra: tuple[int, ...]
    """Ticks that no firing of the old timer belongs to."""
    late: tuple[int, ...]
    """Ticks that came after the old timer by more than the tolerance."""
    early: tuple[int, ...]
    at_the_edge: int
    """Firings so near to where nobody watched that their other may lie there: not judged."""
    tolerance_us: int
    offset_us: int
    """How long after the old timer ticks come in the middle; 0 where times of day are compared."""
    p50_us: int = 0
    """Of the distances of pairs beyond that offset, whatever their sign."""
    p90_us: int = 0
    p99_us: int = 0
    max_us: int = 0
    old_every_us: int | None = None
    """The span between firings, in the middle."""
    new_every_us: int | None = None

    @property
    def matched(self) -> int:
        """How many firings have their tick."""
        return len(self.pairs)

    @property
    def agrees(self) -> bool:
        """Whether the schedule does what the old timer does; nobody can say so of no firing."""
        return bool(self.matched) and not (self.missed or self.extra or self.late or self.early)


def compare(
    old_us: Sequence[int],
    new_us: Sequence[int],
    interval_us: int,
    *,
    tolerance_us: int | None = None,
    any_phase: bool = False,
    spans: Sequence[Span] | None = None,
) -> Report:
    """Which firings of the old timer and which ticks belong together.

    `any_phase`: the two may be a constant span apart, as loops are that began at some moment.
    `spans`: when both were watched, in order; by default all the time.
    """
    window_us = interval_us // 2
    if tolerance_us is None:
        tolerance_us = max(interval_us // TOLERANCE, TOLERANCE_US_MIN)
    watched = [(-(1 << 62), 1 << 62)] if spans is None else spans
    old_us = sorted(each for each in old_us if _edge_us(each, watched) is not None)
    new_us = sorted(each for each in new_us if _edge_us(each, watched) is not None)
    guess_us = _offset(old_us, new_us, interval_us) if any_phase else 0
    pairs, missed, extra = _matched(old_us, new_us, window_us, guess_us)
    offset_us = _middle([pair.new_us - pair.old_us for pair in pairs]) if any_phase else 0
    apart_us = [pair.new_us - pair.old_us - offset_us for pair in pairs]
    # An unpaired one near an edge has its other perhaps beyond it.
    reach_us = window_us + abs(guess_us)
    inner = [
        [each for each in found if (_edge_us(each, watched) or 0) > reach_us]
        for found in (missed, extra)
    ]
    distances = sorted(float(abs(each)) for each in apart_us)
    ranks = (
        [int(percentile(distances, rank)) for rank in (50, 90, 99, 100)] if distances else [0] * 4
    )
    return Report(
        old=len(old_us),
        new=len(new_us),
        pairs=tuple(pairs),
        missed=tuple(inner[0]),
        extra=tuple(inner[1]),
        late=_beyond(pairs, apart_us, tolerance_us, 1),
        early=_beyond(pairs, apart_us, tolerance_us, -1),
        at_the_edge=len(missed) + len(extra) - len(inner[0]) - len(inner[1]),
        tolerance_us=tolerance_us,
        offset_us=offset_us,
        p50_us=ranks[0],
        p90_us=ranks[1],
        p99_us=ranks[2],
        max_us=ranks[3],
        old_every_us=_every(old_us),
        new_every_us=_every(new_us),
    )


def _matched(
    old_us: Sequence[int], new_us: Sequence[int], window_us: int, offset_us: int
) -> tuple[list[Pair], list[int], list[int]]:
    """Pairs in order, and who is left alone.

    Whoever is first and too far from the first of the others is too far from all of them; so this
    makes as many pairs as there can be, each with the first that will do. Then each takes the
    nearest that nobody has.
    """
    pairs: list[tuple[int, int]] = []
    i = k = 0
    while i < len(old_us) and k < len(new_us):
        apart_us = new_us[k] - offset_us - old_us[i]
        if abs(apart_us) <= window_us:
            pairs.append((i, k))
        i += apart_us >= -window_us
        k += apart_us <= window_us
    aims_us = [each - offset_us for each in new_us]
    pairs = [(i, k) for k, i in _nearer([(k, i) for i, k in pairs], aims_us, old_us)]
    pairs = _nearer(pairs, old_us, aims_us)
    paired_old, paired_new = {i for i, _ in pairs}, {k for _, k in pairs}
    return (
        [Pair(old_us[i], new_us[k]) for i, k in pairs],
        [each for i, each in enumerate(old_us) if i not in paired_old],
        [each for k, each in enumerate(new_us) if k not in paired_new],
    )


def _nearer(
    pairs: Sequence[tuple[int, int]], mine_us: Sequence[int], others_us: Sequence[int]
) -> list[tuple[int, int]]:
    """The pairs with, from the last one on, the nearest of the others that is free."""
    found: list[tuple[int, int]] = []
    free = len(others_us)
    for i, first in reversed(pairs):
        k = min(range(first, free), key=lambda k: abs(others_us[k] - mine_us[i]))
        found.append((i, k))
        free = k
    return found[::-1]


def _offset(old_us: Sequence[int], new_us: Sequence[int], interval_us: int) -> int:
    """How long after the old timer the new one fires, at most half an interval: the mean of both
    phases as angles (Mardia and Jupp, "Directional Statistics", 2000, 2.2)."""
    if not old_us or not new_us:
        return 0
    turn = math.tau / interval_us
    old, new = (
        sum((cmath.exp(1j * turn * (each % interval_us)) for each in found), start=0j)
        for found in (old_us, new_us)
    )
    return round(cmath.phase(new * old.conjugate()) / turn)


def _edge_us(moment_us: int, spans: Sequence[Span]) -> int | None:
    """How far a moment is from the next edge of what was watched; None: it was not."""
    for since_us, until_us in spans:
        if since_us <= moment_us <= until_us:
            return min(moment_us - since_us, until_us - moment_us)
    return None


def _beyond(
    pairs: Sequence[Pair], apart_us: Sequence[int], tolerance_us: int, sign: int
) -> tuple[int, ...]:
    return tuple(
        pair.new_us
        for pair, each in zip(pairs, apart_us, strict=True)
        if sign * each > tolerance_us
    )


def _middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2] if values else 0


def _every(moments_us: Sequence[int]) -> int | None:
    spans_us = [b - a for a, b in pairwise(moments_us)]
    return _middle(spans_us) if spans_us else None
