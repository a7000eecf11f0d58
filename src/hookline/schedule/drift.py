"""How late ticks were, and whether their nominal times stay where they belong. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import Final

import msgspec

from hookline.model.clock import parse_rfc3339
from hookline.schedule import kernel
from hookline.schedule.kernel import Tick
from hookline.schedule.recurrence import Asked, Lapse, Recurrence, microseconds
from hookline.schedule.schedule import Schedule
from hookline.schedule.tick import Proof, proof

DELAY_US_MAX: Final = 20_000
PERCENTILES: Final = (50, 90, 99, 100)


class Drift(msgspec.Struct, kw_only=True):
    """One schedule's ticks. Lateness in milliseconds after they were due."""

    name: str
    ticks: int = 0
    manual: int = 0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    coalesced: int = 0
    missed: int = 0
    hours: float = 0.0
    """From the first nominal time to the last one."""
    drift_ms: float = 0.0
    """How far the last nominal time is behind where the recurrence has it: what has added up."""
    off_grid: int = 0
    """How many nominal times the recurrence does not have; at other speeds than 1 all may."""


def drifts(schedules: Mapping[str, Schedule], proofs: Iterable[Proof]) -> list[Drift]:
    """What the ticks say, by schedule."""
    found: dict[str, list[Proof]] = {}
    for each in proofs:
        found.setdefault(each.schedule, []).append(each)
    return [_drift(name, schedules.get(name), each) for name, each in sorted(found.items())]


def _drift(name: str, schedule: Schedule | None, proofs: list[Proof]) -> Drift:
    timed = [proof for proof in proofs if not proof.is_extra]
    drift = Drift(name=name, ticks=len(timed), manual=len(proofs) - len(timed))
    if not timed:
        return drift
    late_ms = sorted(proof.late_ms for proof in timed)
    drift.p50_ms, drift.p90_ms, drift.p99_ms, drift.max_ms = (
        percentile(late_ms, rank) for rank in PERCENTILES
    )
    drift.coalesced = sum(proof.coalesced for proof in timed)
    drift.missed = sum(proof.missed for proof in timed)
    nominals = sorted(microseconds(parse_rfc3339(proof.nominal)) for proof in timed)
    drift.hours = round((nominals[-1] - nominals[0]) / 3_600_000_000, 3)
    if schedule is not None and not isinstance(schedule.when, Lapse | Asked):
        steady = [
            microseconds(parse_rfc3339(proof.nominal)) for proof in timed if proof.factor == 1.0
        ]
        off_us = [_off(schedule.when, each) for each in sorted(steady)]
        drift.off_grid = sum(1 for each in off_us if each)
        drift.drift_ms = round(off_us[-1] / 1000, 3) if off_us else 0.0
    return drift


def _off(when: Recurrence, nominal_us: int) -> int:
    """How far a nominal time is behind the nearest one that the recurrence has; less than 0: before
    it."""
    nearest_us = when.after(nominal_us - 1)
    if nearest_us is None:
        return 0
    at_us = when.after(2 * nominal_us - nearest_us - 1)
    while at_us is not None and at_us < nominal_us:
        nearest_us, at_us = at_us, when.after(at_us)
    return nominal_us - nearest_us


def percentile(ordered: list[float], rank: int) -> float:
    """Nearest rank; `ordered` is not empty."""
    return ordered[max(0, -(-len(ordered) * rank // 100) - 1)]


def simulate(
    schedules: Mapping[str, Schedule], start_us: int, end_us: int, chance: Random
) -> Iterator[Proof]:
    """The ticks of a scheduler whose every turn comes up to DELAY_US_MAX too late, schedule by
    schedule."""
    for now_us, tick in ahead(schedules, start_us, end_us, chance):
        yield proof(tick, now_us)


def ahead(
    schedules: Mapping[str, Schedule], start_us: int, end_us: int, chance: Random
) -> Iterator[tuple[int, Tick]]:
    """When they were fired, and the ticks themselves."""
    for name, schedule in schedules.items():
        alone = {name: schedule}
        _, state = kernel.due(alone, {}, start_us)
        while (next_us := kernel.next_us(state)) is not None and next_us < end_us:
            now_us = next_us + chance.randrange(DELAY_US_MAX)
            ticks, state = kernel.due(alone, state, now_us)
            for tick in ticks:
                yield now_us, tick
