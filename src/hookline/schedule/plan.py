"""What would fire, and when: the kernel run ahead of the clock. Pure."""

import heapq
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from hookline.schedule import kernel
from hookline.schedule.kernel import Memory
from hookline.schedule.recurrence import SECOND_US, local_time
from hookline.schedule.schedule import Schedule
from hookline.schedule.zoned import Zoned

_DAY: Final = timedelta(days=1)


class Planned(NamedTuple):
    """A tick to come."""

    name: str
    nominal_us: int
    fires_us: int
    notes: tuple[str, ...]


def plan(
    schedules: Mapping[str, Schedule], state: Mapping[str, Memory], now_us: int, until_us: int
) -> Iterator[Planned]:
    """What fires from now on and before `until_us`, in order, if nothing else happens: each
    decision is made when the first of its ticks is due."""
    heap: list[tuple[int, str]] = []
    memories = dict(state)
    for name, schedule in schedules.items():
        memories[name] = kernel.remembered(schedule, memories.get(name), now_us)
        _push(heap, name, memories[name], now_us)
    while heap and heap[0][0] < until_us:
        at_us, name = heapq.heappop(heap)
        schedule = schedules[name]
        ticks, after = kernel.due({name: schedule}, {name: memories[name]}, at_us)
        for tick in ticks:
            notes = _notes(schedule, memories[name], tick)
            yield Planned(name, tick.nominal_us, max(tick.fires_us, at_us), notes)
        memories[name] = after[name]
        _push(heap, name, after[name], at_us)


def _push(heap: list[tuple[int, str]], name: str, memory: Memory, now_us: int) -> None:
    if memory.fires_us is not None and not memory.paused:
        heapq.heappush(heap, (max(memory.fires_us, now_us), name))


def _notes(schedule: Schedule, memory: Memory, tick: kernel.Tick) -> tuple[str, ...]:
    notes = []
    if tick.reason != "time":
        notes.append(tick.reason)
    if tick.coalesced:
        notes.append(f"for {tick.coalesced} more that were due before")
    if tick.missed:
        notes.append(f"{tick.missed} were given up")
    if schedule.offset_us:
        notes.append(f"stagger {_span(schedule.offset_us)}")
    jitter_us = tick.fires_us - tick.nominal_us - schedule.offset_us
    if jitter_us:
        notes.append(f"jitter {_span(jitter_us)}")
    if memory.speed != 1.0:
        notes.append(f"at {memory.speed:g} times its speed: {memory.speed_reason}")
    if isinstance(schedule.when, Zoned):
        notes += _of_the_clock(schedule.when, tick.nominal_us)
    return tuple(notes)


def _of_the_clock(when: Zoned, nominal_us: int) -> list[str]:
    """What the zone's clock does about that time."""
    local = local_time(nominal_us, when.zone)
    before = local_time(nominal_us - SECOND_US, when.zone)
    if local.utcoffset() != before.utcoffset() and _is_ahead(before, local):
        return [f"the clock goes from {before + timedelta(seconds=1):%H:%M} to {local:%H:%M}"]
    if local.replace(fold=1).utcoffset() != local.replace(fold=0).utcoffset():
        return [f"{local:%H:%M} comes twice; this is the {'second' if local.fold else 'first'}"]
    return []


def _is_ahead(before: datetime, after: datetime) -> bool:
    earlier, later = before.utcoffset(), after.utcoffset()
    return earlier is not None and later is not None and later > earlier


def _span(microseconds: int) -> str:
    return f"{microseconds / SECOND_US:g}s"
