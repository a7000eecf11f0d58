"""Which events were stored before: `source` and `id` are an event's identity, and a second one is
not delivered.

The newest identities are in memory; older ones are in sorted runs on disk, so that nothing is ever
forgotten and memory stays small. An identity is 16 bytes: those of a UUIDv7, the last eight of them
mixed with a hash of the source; of any other id, a hash. Nobody who writes events knows the key of
the hashes, so that nobody can choose an id that is taken for another's.

Nearly every id is a UUIDv7 that is newer than all that was seen of its domain. It needs no look
into anything, and a stretch of such is taken as a whole.
"""

import contextlib
import hashlib
import mmap
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from operator import lt
from pathlib import Path
from typing import Final

import msgspec

from hookline.dispatch.twins import Twins
from hookline.log.files import durable_write
from hookline.log.stretch import Stretch
from hookline.model.errors import HooklineError
from hookline.model.position import Count, Ordinal, Position

FRESH_MAX: Final = 65_536
"""So many events at most are looked at once more after a kill, which takes a tenth of a second."""
RUN_MAX: Final = 1 << 20
RUNS_MERGED: Final = 16
MERGE_STEP: Final = 4096
_BYTES: Final = 16
_HALF: Final = _BYTES // 2
_MASKS_KEPT: Final = 4096
_UUID_CHARS: Final = 36
_is_uuid7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


class Reach(msgspec.Struct, frozen=True):
    """How much of a domain was looked at: from `start` to `reached`.

    A higher `generation` begins when what was known is not true any more. The `last` event that was
    looked at, and its `identity` in hexadecimal, tell whether the log is still the one that it was.
    """

    generation: int
    start: Position
    reached: Position
    last: Position | None = None
    identity: str = ""


class _Header(msgspec.Struct, kw_only=True):
    """The first line of a run's file; its identities follow, 16 bytes each, in the order of their
    first halves."""

    key: str
    """Of all hashes, in hexadecimal."""
    newest: dict[str, str]
    """By series (`_series`): the latest UUIDv7 of the run."""
    others: int
    """How many ids of the run are no UUIDv7."""
    reached: dict[str, Reach]
    twins: dict[str, dict[Ordinal, list[Count]]]
    """For each domain, by segment: where events lie that were stored before."""


class _Run:
    """One file of identities."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            head = file.readline()
            header = msgspec.json.decode(head, type=_Header)
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Not all of it: only the newest run says what is still true of the domains.
        self.key, self.newest, self.others = header.key, header.newest, header.others
        self._identities = memoryview(text)[len(head) :]
        if len(self._identities) % _BYTES:
            raise ValueError(f"{path} has lost its end")

    def header(self) -> _Header:
        """The first line."""
        with self.path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Header)

    def __len__(self) -> int:
        return len(self._identities) // _BYTES

    def __getitem__(self, at: int) -> bytes:
        return self.text(at, at + 1)

    def text(self, start: int, stop: int) -> bytes:
        """The identities from number `start` up to `stop`, one behind the other."""
        return bytes(self._identities[start * _BYTES : stop * _BYTES])

    def __contains__(self, wanted: bytes) -> bool:
        # Of those that begin alike, which a few events of one moment do, the order is not known.
        before = bisect_left(self, wanted[:_HALF])
        behind = bisect_right(self, wanted[:_HALF], key=lambda each: each[:_HALF])
        text, at = self.text(before, behind), -1
        while (at := text.find(wanted, at + 1)) >= 0:
            if at % _BYTES == 0:
                return True
        return False


class Identities:
    """The identities of a home's events, as far as somebody listens to them.

    Each domain is looked at in log order, from the first position that a handler began at. Events
    before it were delivered to nobody, so that a second one of those is no twin.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._begin()
        self._load()

    def _begin(self) -> None:
        self._key = os.urandom(_BYTES)
        self._masks: dict[tuple[str, str], bytes] = {}
        self._runs: list[_Run] = []
        self._number = 0
        self._domains: dict[str, Reach] = {}
        self._twins: dict[str, Twins] = {}
        self._newest: dict[str, str] = {}
        """By series: the latest UUIDv7 that was ever seen."""
        self._in_row: list[bytes] = []
        """Identities that are in no run yet and were newer than all before when they came."""
        self._fresh: set[bytes] = set()
        """The others that are in no run yet; those in a row too, once somebody has to look."""
        self._unwritten = 0
        """How many there are of both."""
        self._fresh_newest: dict[str, str] = {}
        self._others = 0
        self._begun = False
        self._flush_at = FRESH_MAX

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
        return known.identity == self._identity(_series(domain, known), source, id).hex()

    def reached(self, domain: str) -> Position:
        """How far the domain was looked at."""
        return self._domains[domain].reached

    def reach(self, domain: str, position: Position) -> None:
        """All before a position was looked at, events or not."""
        known = self._domains[domain]
        if position > known.reached:
            self._domains[domain] = msgspec.structs.replace(known, reached=position)

    def forget_twins(self, domain: str, before: Position) -> None:
        """The domain's log begins there by now: nobody can ask for what lay before."""
        self._twins[domain].forget_before(before)

    def are_new(self, domain: str, stretch: Stretch) -> bool:
        """Whether it is plain that no event of a stretch is a twin. If it is not, nothing is
        changed: ask for one after the other."""
        known = self._domains[domain]
        if stretch.position < known.reached:
            looked_at = stretch.end <= known.reached
            return looked_at and not self._twins[domain].touch(stretch.position, stretch.end)
        ids = [event.id for event in stretch.events]
        series = _series(domain, known)
        text = self._text(series, ids, [event.source for event in stretch.events])
        if not text:
            return False
        newest = self._newest.get(series, "")
        if ids[0] > newest and all(map(lt, ids, islice(ids, 1, None))):
            self._in_row.append(text)
            newest = ids[-1]
        else:
            identities = _cut(text)
            found = set(identities)
            self._gather()
            if len(found) < len(ids) or not self._fresh.isdisjoint(found):
                return False
            if any(map(self._is_in_a_run, [series] * len(ids), ids, identities)):
                return False
            self._fresh |= found
            newest = max(newest, *ids)
        self._newest[series] = self._fresh_newest[series] = newest
        self._look_on(domain, stretch.last, stretch.end, text[-_BYTES:], len(ids))
        return True

    def is_twin(self, domain: str, position: Position, end: Position, source: str, id: str) -> bool:
        """Whether an event of the domain that lies before this one has its identity."""
        known = self._domains[domain]
        if position < known.reached:
            return position in self._twins[domain]
        series = _series(domain, known)
        identity = self._identity(series, source, id)
        is_uuid7 = bool(_is_uuid7(id))
        if not is_uuid7 or id <= self._newest.get(series, ""):
            self._gather()
            if identity in self._fresh or self._is_in_a_run(
                series, id if is_uuid7 else "", identity
            ):
                self._look_on(domain, position, end, identity, 0)
                self._twins[domain].add(position, end)
                return True
        elif is_uuid7:
            self._newest[series] = id
        if is_uuid7:
            self._fresh_newest[series] = max(self._fresh_newest.get(series, ""), id)
        self._fresh.add(identity)
        self._others += not is_uuid7
        self._look_on(domain, position, end, identity, 1)
        return False

    def _look_on(
        self, domain: str, last: Position, end: Position, identity: bytes, new: int
    ) -> None:
        """The domain was looked at up to there, and so many identities were new."""
        known = self._domains[domain]
        self._domains[domain] = Reach(known.generation, known.start, end, last, identity.hex())
        self._unwritten += new
        if self._unwritten >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory to a run, and many small runs into one."""
        text = _in_order([*self._fresh, *self._in_row])
        try:
            self._write(self._fresh_newest, self._others, [text])
        except HooklineError:
            # A full disk: it stays in memory, and is tried again when there is some more.
            self._flush_at = self._unwritten + FRESH_MAX // 16
            return
        self._flush_at = FRESH_MAX
        self._in_row.clear()
        self._fresh.clear()
        self._fresh_newest = {}
        self._unwritten = self._others = 0
        self._begun = False
        small = [run for run in self._runs if len(run) < RUN_MAX]
        if len(small) >= RUNS_MERGED:
            with contextlib.suppress(HooklineError):
                self._merge(small)

    def close(self) -> None:
        """Write down what is in memory."""
        if self._unwritten:
            self.flush()

    def save_beginnings(self) -> None:
        """Write down where domains begin, if that is news: it cannot be found out again."""
        if self._begun:
            self.flush()

    def _gather(self) -> None:
        for text in self._in_row:
            self._fresh.update(_cut(text))
        self._in_row.clear()

    def _is_in_a_run(self, series: str, id: str, identity: bytes) -> bool:
        """`id`: empty when it is no UUIDv7."""
        return any(
            identity in run
            for run in self._runs
            if (run.newest.get(series, "") >= id if id else run.others)
        )

    def _identity(self, series: str, source: str, id: str) -> bytes:
        return self._text(series, [id], [source]) or self._hash(_BYTES, series, source, id)

    def _text(self, series: str, ids: list[str], sources: list[str]) -> bytes:
        """The identities of these events, one behind the other; empty when an id is no UUIDv7."""
        count = len(ids)
        joined = "".join(ids)
        plain = joined.replace("-", "")
        dashes = "-" * count
        if (
            set(map(len, ids)) != {_UUID_CHARS}
            or joined[14::_UUID_CHARS] != "7" * count
            or any(joined[at::_UUID_CHARS] != dashes for at in (8, 13, 18, 23))
            or len(plain) != 2 * _BYTES * count
            or plain != plain.lower()
        ):
            return b""
        try:
            text = bytes.fromhex(plain)
        except ValueError:
            return b""
        if sources.count(sources[0]) == count:
            masks = self._mask(series, sources[0]) * count
        else:
            masks = b"".join([self._mask(series, source) for source in sources])
        return (int.from_bytes(text) ^ int.from_bytes(masks)).to_bytes(_BYTES * count)

    def _mask(self, series: str, source: str) -> bytes:
        mask = self._masks.get((series, source))
        if mask is None:
            if len(self._masks) >= _MASKS_KEPT:
                self._masks.clear()
            # The moment stays as it is, so that what comes in order stays in order.
            mask = bytes(_HALF) + self._hash(_HALF, series, source)
            self._masks[series, source] = mask
        return mask

    def _hash(self, size: int, *what: str) -> bytes:
        text = "\0".join(what).encode()
        return hashlib.blake2b(text, digest_size=size, key=self._key).digest()

    def _merge(self, runs: list[_Run]) -> None:
        newest: dict[str, str] = {}
        for run in runs:
            for series, id in run.newest.items():
                newest[series] = max(newest.get(series, ""), id)
        self._write(newest, sum(run.others for run in runs), _merged(runs))
        self._runs = [run for run in self._runs if run not in runs]
        for run in runs:
            run.path.unlink(missing_ok=True)

    def _write(self, newest: dict[str, str], others: int, identities: Iterable[bytes]) -> None:
        """A run of these identities, which says what is known by now."""
        header = _Header(
            key=self._key.hex(),
            newest=newest,
            others=others,
            reached=dict(self._domains),
            twins={name: twins.stretches() for name, twins in self._twins.items()},
        )
        self._store(header, identities)

    def _store(self, header: _Header, identities: Iterable[bytes]) -> None:
        self._number += 1
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._number:08d}.run"
        # Part by part: all of a merged run would be sixteen megabytes more.
        durable_write(path, chain([msgspec.json.encode(header), b"\n"], identities))
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
            if any(run.key != newest.key for run in self._runs):
                self._forget_all()
                return
            self._key = bytes.fromhex(newest.key)
            self._domains = newest.reached
            self._twins = {name: Twins(found) for name, found in newest.twins.items()}
        for run in self._runs:
            for series, id in run.newest.items():
                self._newest[series] = max(self._newest.get(series, ""), id)

    def _forget_all(self) -> None:
        self._begin()
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


def _merged(runs: list[_Run]) -> Iterator[bytes]:
    """The identities of all runs in order, part by part: a million objects of Python's are seventy
    megabytes."""
    cuts = sorted(run[at] for run in runs for at in range(0, len(run), MERGE_STEP))
    begins = [0] * len(runs)
    for cut in (*cuts, None):
        ends = [bisect_left(run, cut[:_HALF]) if cut else len(run) for run in runs]
        slices = zip(runs, begins, ends, strict=True)
        yield _in_order([run.text(a, b) for run, a, b in slices if a < b])
        begins = ends


def _in_order(texts: list[bytes]) -> bytes:
    """All identities of these texts in the order of their first halves, in which each text has its
    own. They come so from a single writer, and are not taken apart then."""
    text = b"".join(texts)
    if all(before[-_BYTES:-_HALF] <= behind[:_HALF] for before, behind in pairwise(texts)):
        return text
    return b"".join(sorted(_cut(text)))


def _cut(text: bytes) -> list[bytes]:
    return [text[at : at + _BYTES] for at in range(0, len(text), _BYTES)]


def _series(domain: str, known: Reach) -> str:
    """What tells the events of a domain, as it was looked at last, from all others."""
    return f"{domain}/{known.generation}"
