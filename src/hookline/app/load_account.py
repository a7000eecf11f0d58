"""What has become of each heartbeat of a load test: said, logged, delivered.

The shell starts the workers and keeps a folder about the run: `plan.json`; `tally`, what the
workers say that they have said; `stopped`, whom it has stopped on purpose; `ended`, once it has
told all to end. The rest is in the home: the logs, and the journal of its deliveries.
"""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hookline.dispatch.journal import open_journal
from hookline.dispatch.ledger import Entry
from hookline.dispatch.lock import holder
from hookline.dispatch.paper import entries
from hookline.log.home import Home
from hookline.log.read import records
from hookline.log.stream import BEGINNING, Stream
from hookline.model.clock import stored_s
from hookline.model.errors import BadData
from hookline.model.event import Event
from hookline.model.position import Position

HEARTBEAT: Final = "worker.heartbeat"
ALERT: Final = "system.health_alert"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell was asked for. The workers are called `<run>-<number>`."""

    run: str
    workers: int
    interval_ms: int
    duration_s: float
    threshold_s: float


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Where logs and journal ended before the first worker began, and whether a dispatcher was
    there."""

    served: bool
    worker: Position = BEGINNING
    system: Position = BEGINNING
    journal: Position = BEGINNING


class Said(NamedTuple):
    """A line of the tally."""

    worker: str
    event: str
    us: int
    how: str
    """`logged`, `dropped` into the drop box, or `failed`."""


class Beat(NamedTuple):
    """A heartbeat in the log."""

    worker: str
    event: str
    number: int
    time_s: float


class Delivered(NamedTuple):
    """The end of a delivery."""

    beat: int
    """Its index among the heartbeats."""
    time_s: float
    well: bool


class Told(NamedTuple):
    """A worker was said to be silent."""

    worker: str
    time_s: float


class Account:
    """Reads what is new, whenever it is asked to."""

    def __init__(self, home: Home, folder: Path) -> None:
        """Raises BadData when the folder is not that of a run."""
        self.home, self._folder = home, folder
        try:
            self.plan = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Plan)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadData(f"{folder} is not the folder of a load test: {error}") from error
        begin = self._begin()
        self.served = begin.served
        self._worker, self._at_worker = Stream.of_domain(home, "worker"), begin.worker
        self._system, self._at_system = Stream.of_domain(home, "system"), begin.system
        self._journal, self._at_journal = open_journal(home), begin.journal
        self._tally_bytes = 0
        self.said: list[Said] = []
        self.beats: list[Beat] = []
        self._positions: list[Position] = []
        self.delivered: dict[str, list[Delivered]] = {}
        """By handler, in the order of the journal."""
        self.told: list[Told] = []

    def tick(self) -> None:
        """Take in all that there is by now."""
        # Whatever an entry of the journal is about is in the log before the entry is written.
        found = list(self._entries())
        self._read_log()
        for entry in found:
            self._deliver(entry)
        self._read_alerts()
        self._read_tally()

    def stopped(self) -> dict[str, float]:
        """The workers that were stopped on purpose, and when."""
        rows = self._lines("stopped")
        return {worker: int(us) / 1e6 for worker, us in map(str.split, rows)}

    def ended_s(self) -> float:
        """When all were told to end; endless while they have not been."""
        rows = self._lines("ended")
        return int(rows[0]) / 1e6 if rows else float("inf")

    def usage(self) -> list[list[float]]:
        """What the watcher has written down of processors and memory."""
        return [[float(each) for each in row.split()] for row in self._lines("usage")]

    def _begin(self) -> Begin:
        """Where to read from: written down by the first who looks, which is before all begins."""
        path = self._folder / "begin.json"
        if not path.exists():
            served = holder(self.home) is not None
            with (
                Stream.of_domain(self.home, "worker") as worker,
                Stream.of_domain(self.home, "system") as system,
                open_journal(self.home) as journal,
            ):
                begin = Begin(
                    served=served, worker=worker.end(), system=system.end(), journal=journal.end()
                )
            path.write_bytes(msgspec.json.encode(begin))
        return msgspec.json.decode(path.read_bytes(), type=Begin)

    def _lines(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []

    def _entries(self) -> Iterator[Entry]:
        for chunk in self._journal.look(self._at_journal):
            self._at_journal = chunk.next
            for entry in entries(line.raw for line in chunk.lines):
                if entry.domain == "worker" and entry.action in ("attempt", "batch"):
                    yield entry

    def _read_log(self) -> None:
        for chunk in self._worker.look(self._at_worker):
            self._at_worker = chunk.next
            for record in records(chunk):
                event = record.event
                if event is not None and event.type == HEARTBEAT and self._is_ours(event.source):
                    self._positions.append(record.position)
                    self.beats.append(_beat(event))

    def _read_alerts(self) -> None:
        for chunk in self._system.look(self._at_system):
            self._at_system = chunk.next
            for record in records(chunk):
                if record.event is not None and record.event.type == ALERT:
                    self.told += self._silent(record.event)

    def _silent(self, alert: Event) -> Iterator[Told]:
        data = alert.value()
        if isinstance(data, dict) and data.get("alert_type") == "stale_workers":
            workers = data.get("workers")
            for worker in workers if isinstance(workers, list) else []:
                if isinstance(worker, str) and self._is_ours(worker):
                    yield Told(worker, stored_s(alert.time))

    def _read_tally(self) -> None:
        path = self._folder / "tally"
        if not path.exists():
            return
        with path.open("rb") as tally:
            tally.seek(self._tally_bytes)
            whole = tally.read().rpartition(b"\n")[0]
        if whole:
            self._tally_bytes += len(whole) + 1
            rows = (row.split() for row in whole.decode().split("\n"))
            self.said += [Said(worker, event, int(us), how) for worker, event, us, how in rows]

    def _deliver(self, entry: Entry) -> None:
        if entry.then not in ("settled", "dead-letter") or entry.replay:
            return
        end = entry.end if entry.action == "batch" else None
        first = bisect_left(self._positions, entry.position)
        behind = bisect_left(
            self._positions, end or entry.position._replace(offset=entry.position.offset + 1)
        )
        time_s, well = stored_s(entry.time), entry.then == "settled"
        self.delivered.setdefault(entry.handler, []).extend(
            Delivered(beat, time_s, well) for beat in range(first, behind)
        )

    def _is_ours(self, worker: str) -> bool:
        return worker.startswith(f"{self.plan.run}-")


def _beat(event: Event) -> Beat:
    data = event.value()
    count = data.get("heartbeat_count") if isinstance(data, dict) else None
    return Beat(
        event.source, event.id, count if isinstance(count, int) else 0, stored_s(event.time)
    )
