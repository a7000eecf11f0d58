"""A disk in memory, with the ports of the core on it.

A killed process loses nothing that was written. A power cut keeps what was synced and any part of
the rest, torn at any byte; of the index, what it was at some commit or nothing.
"""

import copy
import hashlib
from contextlib import contextmanager
from types import SimpleNamespace

from hookline.dispatch import ledger as journal
from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.identities import Identities
from hookline.dispatch.journal import newest_snapshot
from hookline.dispatch.ledger import Ledger, Pending, Standing
from hookline.dispatch.snapshot import entries_of
from hookline.dispatch.subscription import Cursor
from hookline.log.errors import LogReplaced
from hookline.log.read import records
from hookline.log.stream import CHUNK_BYTES, Chunk
from hookline.model.errors import WriteFailed
from hookline.model.position import Position

JOURNAL_BYTES_MAX = 50_000
"""So small that the journal of a world turns over again and again."""


class Crash(BaseException):
    """The dispatcher is gone, between two steps."""


class SimFile:
    """Bytes, of which the first `synced` survive a power cut."""

    def __init__(self):
        self.data = bytearray()
        self.synced = 0

    def cut(self, random):
        keeps = random.randint(self.synced, len(self.data))
        del self.data[keeps:]


class SimLog:
    """A log of segments: what a feed reads, and the journal."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.segments = [SimFile()]
        self.rejected = set()

    @property
    def live(self):
        return self.segments[-1]

    def append(self, lines):
        """One write; on a full disk nothing or a part of it is written."""
        self.world.step(f"append {self.name}")
        data = lines + b"\n"
        if self.world.full:
            part = self.world.random.choice((0, self.world.random.randrange(len(data))))
            if part:
                self.live.data += data[:part] + b"\n"
            raise WriteFailed(f"{self.name}: no space left")
        self.live.data += data
        self.world.step(f"appended {self.name}")

    def rotate(self):
        self.segments.append(SimFile())

    def heal(self):
        if self.live.data and not self.live.data.endswith(b"\n"):
            self.live.data += b"\n"

    def read(self, position, limit_bytes=CHUNK_BYTES, *, patient=True):
        del patient
        while True:
            if position.segment > len(self.segments):
                raise LogReplaced(f"{self.name} was cut", Position(len(self.segments), 0))
            data = self.segments[position.segment - 1].data
            if position.offset > len(data):
                raise LogReplaced(f"{self.name} was cut", Position(position.segment, 0))
            is_live = position.segment == len(self.segments)
            stop = len(data)
            if is_live:
                stop = data.rfind(b"\n", position.offset) + 1 or position.offset
            if stop - position.offset > limit_bytes:
                stop = data.find(b"\n", position.offset + limit_bytes - 1) + 1 or stop
            chunk = Chunk(position, bytes(data[position.offset : stop]))
            chunk.next = Position(position.segment, stop)
            if chunk.data or is_live:
                chunk.at_end = is_live and b"\n" not in data[stop:]
                return chunk
            position = Position(position.segment + 1, 0)

    def first(self):
        """The oldest segment is never deleted here."""
        return Position(1, 0)

    def end(self):
        return Position(len(self.segments), self.live.data.rfind(b"\n") + 1)

    def start(self, _handler):
        """All handlers of the simulation say `from: beginning`."""
        return Position(1, 0)

    def reject(self, record):
        self.rejected.add(record.position)

    def sync(self, *, whole=False):
        del whole
        self.world.step(f"sync {self.name}")
        self.world.clock.pass_s(self.world.slow_s())
        for file in self.segments:
            file.synced = len(file.data)
        self.world.step(f"synced {self.name}")

    def close(self):
        pass

    def events(self):
        """The records of the events, in order; a torn tail counts as no event."""
        position, found = Position(1, 0), []
        while True:
            chunk = self.read(position)
            found += [record for record in records(chunk) if record.event]
            if chunk.next == position:
                return found
            position = chunk.next

    def cut(self):
        for file in self.segments:
            file.cut(self.world.random)


class SimPaper:
    """The journal and the dead letters."""

    def __init__(self, world):
        self.journal = SimLog(world, "journal")
        self.letters = SimLog(world, "dead-letters")
        self.snapped, self.world = 1, world

    def read(self, position, *, patient=True):
        return self.journal.read(position, patient=patient)

    def resume(self, known):
        if known.journal and self.name(known.folded) == known.journal:
            return known
        found = (newest_snapshot(self.journal, ordinal) for ordinal in self._ordinals())
        return next(filter(None, found), Ledger())

    def _ordinals(self):
        return range(len(self.journal.segments), 0, -1)

    def name(self, position):
        segment = position.segment if position.offset else position.segment - 1
        if segment < 1:
            return ""
        data = self.journal.segments[segment - 1].data
        line = bytes(data[: data.find(b"\n")])
        return hashlib.blake2b(line, digest_size=8).hexdigest() if line else ""

    def turn(self):
        if len(self.journal.live.data) > JOURNAL_BYTES_MAX:
            self.world.step("turn")
            self.journal.rotate()
            self.world.step("turned")

    def lacks_snapshot(self, folded):
        newest = len(self.journal.segments)
        if folded.segment == self.snapped or folded.segment != newest or newest == 1:
            return False
        if newest_snapshot(self.journal, newest) is None:
            return True
        self.snapped = newest
        return False

    def snap(self, ledger, time):
        letters = {each.letter for each in self.dead()}
        for entry in entries_of(ledger, str(self.world.random.random()), time, letters):
            self.enter(journal.encode(entry))
        self.sync()

    def enter(self, lines):
        self.journal.append(lines)

    def sync(self):
        self.journal.sync()

    def bury(self, lines):
        self.letters.append(lines)
        self.letters.sync()

    def buried(self, delivery):
        of_it = (each for each in self.dead() if each.letter == delivery.replay)
        return next((bytes(each.event) for each in of_it), None)

    def dead(self):
        found = {}
        for line in bytes(self.letters.live.data).split(b"\n"):
            letter = decode_letter(line)
            if letter is not None:
                found.setdefault(letter.letter, letter)
        return list(found.values())


class SimIndex:
    """The index as a ledger that moves in transactions."""

    def __init__(self, world):
        self.world = world
        self.ledger = Ledger()
        self.older = Ledger()
        self.is_fresh = True
        self._todo = []

    @contextmanager
    def transaction(self):
        self._todo = []
        yield
        self.world.step("index")
        if self.world.full:
            raise WriteFailed("index: no space left")
        for change, *values in self._todo:
            change(*values)
        if self.world.random.random() < 0.05:
            self.older = copy.deepcopy(self.ledger)
        self.world.step("indexed")

    def _later(self, change, *values):
        self._todo.append((change, *values))

    def begun(self, handler, deliveries):
        for each in deliveries:
            self._later(self._put, handler, _pending(each, running=True))

    def waiting(self, handler, deliveries):
        for each in deliveries:
            if each.attempt or each.replay:
                self._later(self._put, handler, _pending(each, running=False))
            else:
                self._later(self._drop, handler, each.place)

    def settled(self, handler, deliveries):
        for each in deliveries:
            self._later(self._drop, handler, each.place)
            if not each.replay:
                self._later(self._settle, handler, each.domain, each.position, each.event)

    def move(self, handler, domain, cursor):
        self._later(self._move, handler, domain, cursor)

    def handler(self, name, standing):
        self._later(self._handler, name, copy.copy(standing))

    def close_letters(self, letters):
        self._later(self.ledger.closed.update, set(letters))

    def start(self, handler, domain, position):
        self._later(self._start, handler, domain, position)

    def folded(self, position, journal):
        self._later(self._folded, position, journal)

    def load(self):
        return copy.deepcopy(self.ledger)

    def save(self, ledger):
        self.world.step("save")
        self.ledger = copy.deepcopy(ledger)
        self.is_fresh = False
        self.world.step("saved")

    def cut(self):
        """What a power cut leaves of it."""
        how = self.world.random.choice(("kept", "older", "lost"))
        if how == "older":
            self.ledger = copy.deepcopy(self.older)
        if how == "lost":
            self.ledger = Ledger()
        self.is_fresh = not self.ledger.journal
        return how

    def _put(self, handler, pending):
        self.ledger.progress(handler).pending[pending.place] = pending

    def _drop(self, handler, place):
        self.ledger.progress(handler).pending.pop(place, None)

    def _start(self, handler, domain, position):
        progress = self.ledger.progress(handler)
        progress.starts.setdefault(domain, position)
        progress.cursors.setdefault(domain, Cursor(position))

    def _settle(self, handler, domain, position, event):
        self.ledger.progress(handler).settled.setdefault(domain, {})[position] = event

    def _move(self, handler, domain, cursor):
        self.world.committed(handler, domain, cursor)
        progress = self.ledger.progress(handler)
        progress.cursors[domain] = cursor
        settled = progress.settled.pop(domain, {})
        if ahead := {place: event for place, event in settled.items() if place >= cursor.position}:
            progress.settled[domain] = ahead
        for place, pending in list(progress.pending.items()):
            behind = pending.domain == domain and pending.position < cursor.position
            if behind and not pending.replay:
                del progress.pending[place]

    def _handler(self, name, standing):
        progress = self.ledger.progress(name)
        for field in Standing.__struct_fields__:
            setattr(progress, field, getattr(standing, field))

    def _folded(self, position, journal):
        self.ledger.folded, self.ledger.journal = position, journal


def _pending(delivery, *, running):
    return Pending(
        domain=delivery.domain, position=delivery.position, replay=delivery.replay,
        event=delivery.event, source=delivery.source, type=delivery.type,
        attempt=delivery.attempt, due_at_s=delivery.due_at_s, running=running,
    )  # fmt: skip


class SimIdentities(Identities):
    """The identities, whose runs lie in a list: each is whole and on disk, or not there."""

    def __init__(self, runs):
        self._disk = runs
        self._runs, self._domains, self._twins, self._fresh = [], {}, {}, set()
        self._newest_ms = self._others = self._number = 0
        self._begun = False
        self._flush_at = 16
        self._runs = list(runs)
        if runs:
            newest = runs[-1].header
            self._domains = dict(newest.reached)
            self._twins = {name: set(found) for name, found in newest.twins.items()}

    def _write(self, header, hashes):
        run = _Run(header, sorted(each for part in hashes for each in part))
        run.path = SimpleNamespace(unlink=lambda **_: self._disk.remove(run))
        self._disk.append(run)
        self._runs.append(run)


class _Run:
    def __init__(self, header, hashes):
        self.header, self.hashes = header, hashes

    def __contains__(self, wanted):
        return wanted in self.hashes
