"""The history checker: one oracle for every test that kills something.

Writers note what the bus has acknowledged, handlers note what they began and ended, the files say
the rest. A home passes when every acknowledged event was delivered or became a dead letter, nothing
else was delivered, attempts are bounded, and the runs of a key neither overlap nor change their
order.
"""

import json
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hookline.log.home import Home
from hookline.log.read import Record, records
from hookline.log.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a handler, as it told of itself: begun and ended on the monotonic clock, in ns; 0:
    never ended."""

    event: str
    key: str
    attempt: int
    begun_ns: int
    ended_ns: int
    exit: int


@dataclass(slots=True, kw_only=True)
class History:
    """What happened in a home. `acknowledged` and `order` are by the writers, `runs` by the
    handlers."""

    acknowledged: set[str]
    runs: list[Run]
    letters: set[str]
    known: set[str]
    order: dict[str, list[str]] = field(default_factory=dict)
    attempts_max: int
    kills: list[int] | None = None
    """When dispatchers were killed, on the clock of the runs; None: nobody has noted it."""
    orphan: int = 0
    """How long after that a run may still tell of its beginning."""
    replayed: set[str] = field(default_factory=set)
    """Events whose dead letters were replayed: they have their attempts again."""

    def problems(self) -> list[str]:
        """Everything that should not be; empty when the promises were kept."""
        return [
            *(f"lost: {event}" for event in sorted(self.lost())),
            *self._invented(),
            *self._unbounded(),
            *self._unexplained(),
            *self.disorder(),
        ]

    def delivered(self) -> set[str]:
        """The events that a run took well."""
        return {run.event for run in self.runs if run.ended_ns and run.exit == 0}

    def lost(self) -> set[str]:
        """The events that were acknowledged, and neither delivered nor given up."""
        return self.acknowledged - self.delivered() - self.letters

    def doubled(self) -> dict[str, list[Run]]:
        """The events that more than one run took well, and these runs."""
        runs: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: run.begun_ns):
            if run.ended_ns and run.exit == 0:
                runs[run.event].append(run)
        return {event: found for event, found in runs.items() if len(found) > 1}

    def disorder(self) -> list[str]:
        """Where runs of a key overlap, or its events did not begin in the order of the log."""
        return [*self._overlaps(), *self._misplaced()]

    def _unexplained(self) -> list[str]:
        """At least once: an event runs again only when its dispatcher was killed before it could
        write down how the run before had ended."""
        if self.kills is None:
            return []
        kills = sorted(self.kills)
        return [
            f"{event} ran again, and nobody had been killed"
            for event, runs in self.doubled().items()
            for earlier, later in pairwise(runs)
            if bisect(kills, earlier.begun_ns - self.orphan) == bisect(kills, later.begun_ns)
        ]

    def _invented(self) -> list[str]:
        return [f"never logged: {run.event}" for run in self.runs if run.event not in self.known]

    def _unbounded(self) -> list[str]:
        """A run that the dispatcher's own death kept from being counted may carry its number twice,
        no more."""
        problems = []
        numbers: dict[str, list[int]] = defaultdict(list)
        for run in self.runs:
            numbers[run.event].append(run.attempt)
            if run.attempt > self.attempts_max:
                problems.append(f"attempt {run.attempt} of {run.event}")
        for event, attempts in numbers.items():
            rounds = 2 if event in self.replayed else 1
            if len(attempts) > 2 * rounds * self.attempts_max:
                problems.append(f"{len(attempts)} runs of {event}: {attempts}")
        return problems

    def _overlaps(self) -> list[str]:
        problems = []
        by_key: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs:
            by_key[run.key].append(run)
        for key, runs in by_key.items():
            runs.sort(key=lambda run: run.begun_ns)
            for earlier, later in pairwise(runs):
                if earlier.ended_ns > later.begun_ns:
                    problems.append(f"key {key}: {earlier.event} and {later.event} at once")
        return problems

    def _misplaced(self) -> list[str]:
        """The last successful run of each event, in the order of its key's events in the log."""
        problems = []
        first_begun: dict[str, int] = {}
        for run in sorted(self.runs, key=lambda run: run.begun_ns):
            first_begun.setdefault(run.event, run.begun_ns)
        for key, events in self.order.items():
            begun = [first_begun[event] for event in events if event in first_begun]
            if begun != sorted(begun):
                problems.append(f"key {key}: events began out of order")
        return problems


def read_runs(path: Path) -> list[Run]:
    """The runs that handlers noted: `begin|end EVENT KEY ATTEMPT NS [EXIT]`, a line each."""
    begun: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    runs = []
    for line in path.read_text().splitlines() if path.exists() else []:
        what, event, key, attempt, moment, *status = line.split()
        number = int(attempt)
        if what == "begin":
            begun[event, number].append((key, int(moment)))
            continue
        key, since = begun[event, number].pop()
        runs.append(
            Run(
                event=event,
                key=key,
                attempt=number,
                begun_ns=since,
                ended_ns=int(moment),
                exit=int(status[0]),
            )
        )
    for (event, number), open_runs in begun.items():
        runs += [
            Run(event=event, key=key, attempt=number, begun_ns=since, ended_ns=0, exit=-1)
            for key, since in open_runs
        ]
    return runs


def read_log(paths: list[Path]) -> list[dict[str, Any]]:
    """Every event in these logs, in order."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines() if line]


def read_domain(home: Home, domain: str) -> Iterator[Record]:
    """Every record of a domain in order, whatever its segments are packed in."""
    with Stream.of_domain(home, domain) as stream:
        position = stream.first()
        while True:
            chunk = stream.read(position)
            yield from records(chunk)
            if chunk.next == position:
                if chunk.again_s is None:
                    return
                time.sleep(chunk.again_s)
            position = chunk.next


def read_letters(path: Path, handler: str = "") -> set[str]:
    """The events in the dead letters, of one handler or of all."""
    if not path.exists():
        return set()
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    return {each["event"]["id"] for each in letters if handler in ("", each["handler"])}
