"""Which events were stored before: `source` and `id` are an event's identity, and a second one is
not delivered.

The newest identities are in memory; older ones are in sorted runs of 64-bit hashes on disk, so that
nothing is ever forgotten and memory stays small. Nearly every id is a UUIDv7 that is newer than all
that a run holds, so that nearly no event needs a look into one.
"""

import contextlib
import hashlib
import mmap
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hookline.dispatch.twins import Twins
from hookline.log.files import durable_write
from hookline.model.errors import HooklineError
from hookline.model.position import Count, Ordinal, Position

FRESH_MAX: Final = 16_384
"""So many events at most are looked at once more after a kill, which takes a tenth of a second."""
RUN_MAX: Final = 1 << 20
RUNS_MERGED: Final = 16
MERGE_PARTS: Final = 64
_UUID_CHARS: Final = 36


class Reach(NamedTuple):
    """How much of a domain was looked at: from `start` to `reached`.

    A higher `generation` begins when what was known is not true any more. The `last` event that was
    looked at, a hash of its `identity`, tells whether the log is still the one that it was.
    """

    generation: int
    start: Position
    reached: Position
    last: Position | None = None
    identity: int = 0


class _Header(msgspec.Struct, kw_only=True):
    """The first line of a run's file; sorted hashes follow, 8 bytes each in the machine's order."""

    newest_ms: int
    """The latest moment in the UUIDv7s of the run."""
    others: int
    """How many ids of the run are no UUIDv7."""
    reached: dict[str, "Reach"]
    twins: dict[str, dict[Ordinal, list[Count]]]
    """For each domain, by segment: where events lie that were stored before."""


class _Run:
    """One file of hashes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            head = file.readline()
            header = msgspec.json.decode(head, type=_Header)
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Not all of it: only the newest run says what is still true of the domains.
        self.newest_ms, self.others = header.newest_ms, header.others
        self.hashes = memoryview(text)[len(head) :].cast("Q")

    def header(self) -> _Header:
        """The first line."""
        with self.path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Header)

    def __contains__(self, wanted: int) -> bool:
        at = bisect_left(self.hashes, wanted)
        return at < len(self.hashes) and self.hashes[at] == wanted


class Identities:
    """The identities of a home's events, as far as somebody listens to them.

    Each domain is looked at in log order, from the first position that a handler began at. Events
    before it were delivered to nobody, so that a second one of those is no twin.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._runs: list[_Run] = []
        self._domains: dict[str, Reach] = {}
        self._twins: dict[str, Twins] = {}
        self._fresh: set[int] = set()
        self._newest_ms = 0
        self._others = 0
        self._number = 0
        self._begun = False
        self._flush_at = FRESH_MAX
        self._load()

    def begin(self, domain: str, position: Position) -> None:
        """Somebody listens from here on; from further back than ever before: all is looked at
        again."""
        known = self._domains.get(domain)
        if known is None or position < known.start:
            self.rewind(domain, position)

    def rewind(self, domain: str, position: Position) -> None:
        """What was known of the domain is not true any more: look at it from here on."""
        known = self._domains.get(domain)
        generation = known.generation + 1 if known else 1
        self._domains[domain] = Reach(generation, position, position)
        self._twins[domain] = Twins()
        self._begun = True

    def last(self, domain: str) -> Position | None:
        """Where the last event lies that was looked at; None when there is none."""
        return self._domains[domain].last

    def is_last(self, domain: str, source: str, id: str) -> bool:
        """Whether the last event that was looked at has this identity."""
        known = self._domains[domain]
        return known.identity == _hash((domain, known.generation, source, id))

    def reached(self, domain: str) -> Position:
        """How far the domain was looked at."""
        return self._domains[domain].reached

    def reach(self, domain: str, position: Position) -> None:
        """All before a position was looked at, events or not."""
        known = self._domains[domain]
        if position > known.reached:
            self._domains[domain] = known._replace(reached=position)

    def forget_twins(self, domain: str, before: Position) -> None:
        """The domain's log begins there by now: nobody can ask for what lay before."""
        self._twins[domain].forget_before(before)

    def is_twin(self, domain: str, position: Position, end: Position, source: str, id: str) -> bool:
        """Whether an event of the domain that lies before this one has its identity."""
        known = self._domains[domain]
        if position < known.reached:
            return position in self._twins[domain]
        identity = _hash((domain, known.generation, source, id))
        self._domains[domain] = Reach(known.generation, known.start, end, position, identity)
        moment_ms = _moment_ms(id)
        if identity in self._fresh or self._in_a_run(identity, moment_ms):
            self._twins[domain].add(position, end)
            return True
        self._fresh.add(identity)
        self._newest_ms = max(self._newest_ms, moment_ms)
        self._others += not moment_ms
        if len(self._fresh) >= self._flush_at:
            self.flush()
        return False

    def flush(self) -> None:
        """Write what is in memory to a run, and many small runs into one."""
        try:
            self._write(self._newest_ms, self._others, [array("Q", sorted(self._fresh))])
        except HooklineError:
            # A full disk: it stays in memory, and is tried again when there is some more.
            self._flush_at = len(self._fresh) + FRESH_MAX // 16
            return
        self._flush_at = FRESH_MAX
        self._fresh.clear()
        self._newest_ms = self._others = 0
        self._begun = False
        small = [run for run in self._runs if len(run.hashes) < RUN_MAX]
        if len(small) >= RUNS_MERGED:
            with contextlib.suppress(HooklineError):
                self._merge(small)

    def close(self) -> None:
        """Write down what is in memory."""
        if self._fresh:
            self.flush()

    def save_beginnings(self) -> None:
        """Write down where domains begin, if that is news: it cannot be found out again."""
        if self._begun:
            self.flush()

    def _in_a_run(self, identity: int, moment_ms: int) -> bool:
        return any(
            identity in run
            for run in self._runs
            if (run.newest_ms >= moment_ms if moment_ms else run.others)
        )

    def _merge(self, runs: list[_Run]) -> None:
        newest_ms, others = max(run.newest_ms for run in runs), sum(run.others for run in runs)
        self._write(newest_ms, others, _merged(runs))
        self._runs = [run for run in self._runs if run not in runs]
        for run in runs:
            run.path.unlink(missing_ok=True)

    def _write(self, newest_ms: int, others: int, hashes: Iterable["array[int]"]) -> None:
        """A run of these hashes, which says what is known by now."""
        header = _Header(
            newest_ms=newest_ms,
            others=others,
            reached=dict(self._domains),
            twins={name: twins.stretches() for name, twins in self._twins.items()},
        )
        self._store(header, hashes)

    def _store(self, header: _Header, hashes: Iterable["array[int]"]) -> None:
        self._number += 1
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._number:08d}.run"
        head = msgspec.json.encode(header)
        # The hashes are read as 64-bit words in place: they must begin at a multiple of eight.
        text = bytearray(head + b" " * (-(len(head) + 1) % 8) + b"\n")
        for part in hashes:
            text += part.tobytes()
        durable_write(path, text)
        self._runs.append(_Run(path))

    def _load(self) -> None:
        """The runs in the order of their making; the newest says how far all is known."""
        for name in sorted(os.listdir(self._folder)):
            if name.startswith("."):
                # Half a run, of a dispatcher that was killed over it.
                (self._folder / name).unlink(missing_ok=True)
            if name.startswith(".") or not name.endswith(".run"):
                continue
            try:
                run = _Run(self._folder / name)
            except FileNotFoundError:
                # Forgotten since the folder was listed.
                continue
            except (msgspec.MsgspecError, ValueError, TypeError):
                # Not a whole run: what it knew is looked at again, which finds the same.
                self._forget_all()
                return
            self._runs.append(run)
            self._number = int(name[:8])
        if self._runs:
            newest = self._runs[-1].header()
            self._domains = newest.reached
            self._twins = {name: Twins(found) for name, found in newest.twins.items()}

    def _forget_all(self) -> None:
        self._runs.clear()
        for path in self._folder.glob("*.run"):
            with contextlib.suppress(OSError):
                path.unlink()


def forget_before(folder: Path, moment_s: float) -> int:
    """Delete the runs that were written before that moment, the newest apart; the bytes freed.

    What comes once more later than that is delivered again. A dispatcher that runs goes on knowing
    it until it ends: it has its runs open.
    """
    freed = 0
    for path in sorted(folder.glob("*.run"))[:-1]:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if status.st_mtime < moment_s:
                path.unlink()
                freed += status.st_size
    return freed


def _merged(runs: list[_Run]) -> Iterator["array[int]"]:
    """The hashes of all runs in order, part by part: a million numbers of Python's are forty
    megabytes."""
    begins = [0] * len(runs)
    for part in range(1, MERGE_PARTS + 1):
        ends = [bisect_left(run.hashes, part * (1 << 64) // MERGE_PARTS) for run in runs]
        slices = zip(runs, begins, ends, strict=True)
        yield array("Q", sorted(chain.from_iterable(run.hashes[a:b] for run, a, b in slices)))
        begins = ends


def _hash(identity: tuple[str, int, str, str]) -> int:
    """64 bits of BLAKE2b: of ten million events, two would be taken for one with a chance of
    3e-6."""
    text = "\0".join(map(str, identity)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _moment_ms(id: str) -> int:
    """The milliseconds since 1970 in a UUIDv7, 0 for any other id."""
    if len(id) != _UUID_CHARS or id[14] != "7" or id[8] != "-" or id[13] != "-":
        return 0
    try:
        return int(id[:8] + id[9:13], 16)
    except ValueError:
        return 0
