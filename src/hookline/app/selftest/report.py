"""What a storm has come to: the oracle's verdict on each handler, in figures."""

from bisect import bisect_left
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from hookline.app.selftest.handlers import ATTEMPTS_MAX, DOMAIN, HANDLERS
from hookline.app.selftest.history import History, Run, read_domain, read_letters, read_runs
from hookline.app.selftest.storm import Plan, Tally, notes_folder
from hookline.log.home import Home


class Report(msgspec.Struct, kw_only=True):
    """The figures of one storm. Events are counted once for each handler that wants them, where it
    is about deliveries."""

    seed: int
    folder: str
    file_system: str
    raged_s: float
    drained_s: float
    acknowledged: int
    logged: int
    delivered: int
    dead_lettered: int
    replayed: int
    lost: int
    doubled: int
    """Handled well more than once: only where a dispatcher was killed before it could write down
    that the run had ended."""
    order_violations: int
    torn: int
    quarantined: int
    dispatcher_kills: int
    dispatcher_stops: int
    dispatcher_terms: int
    writer_kills: int
    rotations: int
    sealed: int
    recovery_s_max: float
    """From the start of a dispatcher to its first run."""
    recovery_s_median: float
    disk_bytes: int
    problems: list[str]


def judge(home: Home, plan: Plan, tally: Tally) -> Report:
    """Ask the oracle, for each handler by itself."""
    events, damaged = _logged(home)
    acknowledged = _acknowledged(home)
    histories = {name: _history(home, name, tally, events, acknowledged) for name in HANDLERS}
    quarantined = sum(1 for path in home.rejected.glob("*.json"))
    problems = list(tally.problems)
    if not quarantined == damaged == tally.torn:
        problems.append(
            f"{tally.torn} lines were torn, {damaged} are read so, {quarantined} are set aside"
        )
    problems += [
        f"{name}: {problem}"
        for name, history in histories.items()
        for problem in history.problems()
    ]
    recoveries = _recoveries_s(tally, [run for each in histories.values() for run in each.runs])
    return Report(
        seed=plan.seed,
        folder=str(home.root),
        file_system=file_system(home.root),
        raged_s=round(tally.raged_s, 1),
        drained_s=round(tally.drained_s, 1),
        acknowledged=len(acknowledged),
        logged=len(events),
        delivered=sum(len(each.delivered()) for each in histories.values()),
        dead_lettered=sum(len(each.letters) for each in histories.values()),
        replayed=len(tally.replayed),
        lost=sum(len(each.lost()) for each in histories.values()),
        doubled=sum(len(each.doubled()) for each in histories.values()),
        order_violations=sum(len(each.disorder()) for each in histories.values()),
        torn=tally.torn,
        quarantined=quarantined,
        dispatcher_kills=len(tally.kills),
        dispatcher_stops=len(tally.held_up),
        dispatcher_terms=tally.terms,
        writer_kills=tally.writer_kills,
        rotations=tally.rotations,
        sealed=tally.sealed,
        recovery_s_max=round(max(recoveries, default=0.0), 2),
        recovery_s_median=round(median(recoveries or [0.0]), 2),
        disk_bytes=tally.disk_bytes,
        problems=problems,
    )


def file_system(path: Path) -> str:
    """The type of the file system that a path is on, by its mount point (proc(5), mountinfo)."""
    found, kind = "", "?"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(found):
            found, kind = point, right.split()[0]
    return kind


class _Logged(NamedTuple):
    """What of an event tells which runs it has, and in which order."""

    type: str
    key: str


def _logged(home: Home) -> tuple[dict[str, _Logged], int]:
    """The events of the log in order, a second one of an identity left out; how many lines are
    damaged."""
    events: dict[str, _Logged] = {}
    damaged = 0
    for record in read_domain(home, DOMAIN):
        if record.event is None:
            damaged += 1
            continue
        data = record.event.value()
        key = str(data["k"]) if isinstance(data, dict) else ""
        events.setdefault(record.event.id, _Logged(record.event.type, key))
    return events, damaged


def _acknowledged(home: Home) -> dict[str, str]:
    """What was acknowledged, and its type."""
    found = {}
    for path in notes_folder(home).iterdir():
        for line in path.read_text().splitlines():
            identity, type, *rest = line.split()
            if not rest:
                found[identity] = type
    return found


def _history(
    home: Home,
    name: str,
    tally: Tally,
    events: dict[str, _Logged],
    acknowledged: dict[str, str],
) -> History:
    only = "storm.task" if name.endswith(".sh") else ""
    order: dict[str, list[str]] = {}
    for identity, event in events.items():
        if only in ("", event.type):
            order.setdefault(event.key if only else "all", []).append(identity)
    return History(
        acknowledged={each for each, type in acknowledged.items() if only in ("", type)},
        runs=read_runs(home.root / f"{name}.runs"),
        letters=read_letters(home.dead_letters, name),
        known=set(events),
        order=order,
        attempts_max=ATTEMPTS_MAX,
        kills=tally.kills,
        orphan=1_000_000,
        replayed={event for handler, event in tally.replayed if handler == name},
    )


def _recoveries_s(tally: Tally, runs: list[Run]) -> list[float]:
    """How long each dispatcher took to its first run, if it lived to begin one."""
    begun = sorted(run.begun_ns for run in runs)
    found = []
    for start, end in pairwise([*tally.starts, 1 << 63]):
        at = bisect_left(begun, start)
        if at < len(begun) and begun[at] < end and start not in tally.held_up:
            found.append((begun[at] - start) / 1e6)
    return found
