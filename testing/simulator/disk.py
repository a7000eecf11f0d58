"""A disk in memory, with the ports of the core on it.

A killed process loses nothing that was written. A power cut keeps what was synced and any part of
the rest, torn at any byte, and NULs in the place of some of it.
"""

import hashlib

from hookline.dispatch import ledger as journal
from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.journal import newest_snapshot
from hookline.dispatch.ledger import Ledger
from hookline.dispatch.snapshot import entries_of
from hookline.log.errors import LogReplaced, SegmentGone
from hookline.log.read import records
from hookline.log.stream import CHUNK_BYTES, Chunk
from hookline.log.sync import sync_now
from hookline.model.errors import WriteFailed
from hookline.model.position import Position

JOURNAL_BYTES_MAX = 50_000
"""So small that the journal of a world turns over again and again."""
SNAPSHOT_LINES = 10
AGAIN_S = 0.1


class Crash(BaseException):
    """The dispatcher is gone, between two steps."""


class SimFile:
    """Bytes, of which the first `synced` survive a power cut; how many hold it open to write."""

    def __init__(self, data=b""):
        self.data = bytearray(data)
        self.synced = 0
        self.writers = 0
        self.written_s = 0.0
        self.gone = False

    def cut(self, random):
        """What a power cut leaves: some file systems keep the length of what they have lost."""
        keeps = random.randint(self.synced, len(self.data))
        lost = random.choice((0, 0, random.randint(0, len(self.data) - keeps)))
        self.data[keeps:] = bytes(lost)
        self.writers = 0

    def heal(self):
        if self.data and not self.data.endswith(b"\n"):
            self.data += b"\n"


class _Opened:
    """A file as the dispatcher has it open, and how far it has read whole lines of it."""

    def __init__(self, file):
        self.file = file
        self.boundary = 0


class SimSync:
    """A log on its way to disk, as it was when this began.

    A disk that has lost a page once has lost it for as long as the process lives.
    """

    def __init__(self, log):
        self.log = log
        self.lengths = [(file, len(file.data)) for file in log.segments]

    is_needed = True

    def run(self):
        log = self.log
        log.world.step(f"sync {log.name}")
        log.world.clock.pass_s(log.world.slow_s())
        log.lost = log.lost or log.failing
        if not log.lost:
            for file, length in self.lengths:
                # Somebody may have cut it since.
                file.synced = max(file.synced, min(length, len(file.data)))
        log.world.step(f"synced {log.name}")

    def end(self):
        if self.log.lost:
            raise WriteFailed(f"{self.log.name} cannot be synced")


class SimSyncer:
    """Runs syncs when the world thinks fit, one after the other."""

    def __init__(self, world):
        self.world = world
        self._syncs = []

    def start(self, syncs):
        assert not self._syncs
        self._syncs = list(syncs)

    @property
    def done(self):
        while self._syncs and self.world.random.random() < 0.5:
            self._syncs.pop(0).run()
        return not self._syncs

    def wait(self):
        while self._syncs:
            self._syncs.pop(0).run()


class SimLog:
    """A log of segments: what a feed reads, the journal, and the dead letters."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.segments = [SimFile()]
        self.rejected = set()
        self.failing = False
        self.close()

    @property
    def live(self):
        return self.segments[-1]

    def append(self, lines):
        """One write, behind a line that was torn; on a full disk nothing or a part of it is
        written."""
        self.world.step(f"append {self.name}")
        self.heal()
        data = lines + b"\n"
        if self.world.full:
            random = self.world.random
            part = data[: random.choice((0, random.randrange(len(data))))]
            # There may be no room for the newline that ends a torn line either.
            self.write(part + random.choice((b"", b"\n")) if part else b"")
            raise WriteFailed(f"{self.name}: no space left")
        self.write(data)
        self.world.step(f"appended {self.name}")

    def write(self, data, file=None):
        file = file or self.live
        file.data += data
        file.written_s = self.world.clock.wall_now_s()

    def rotate(self):
        """Nobody does in the moment in which the log is another and its reader has not looked."""
        opened = self.opened.get(len(self.segments))
        if opened is None or opened.file is self.live:
            self.segments.append(SimFile())

    # -- as a stream of the dispatcher's ---------------------------------------------------

    def read(self, position, limit_bytes=CHUNK_BYTES, *, patient=True):
        while True:
            position = self._there(position)
            opened = self._open(position)
            data = opened.file.data
            is_closed = position.segment < len(self.segments)
            is_final = is_closed and not opened.file.writers
            whole = len(data) if is_final else max(data.rfind(b"\n") + 1, position.offset)
            stop = whole
            if stop - position.offset > limit_bytes:
                stop = data.find(b"\n", position.offset + limit_bytes - 1) + 1 or stop
            chunk = Chunk(position, bytes(data[position.offset : stop]))
            chunk.next = Position(position.segment, stop)
            if chunk.data.endswith(b"\n"):
                opened.boundary = stop
            if stop < whole:
                return chunk
            if not is_closed:
                if not chunk.data and opened.file is not self.live:
                    raise self._replaced(position.segment)
                chunk.at_end = True
                return chunk
            if patient and not is_final:
                chunk.at_end, chunk.again_s = True, AGAIN_S
                return chunk
            del self.opened[position.segment]
            chunk.next = position = Position(position.segment + 1, 0)
            if chunk.data:
                return chunk

    def _there(self, position):
        """The position, or that of the oldest segment for the beginning."""
        if position.segment > len(self.segments):
            raise LogReplaced(f"{self.name} was cut", Position(len(self.segments), 0))
        if not self.segments[position.segment - 1].gone:
            return position
        if position != Position(1, 0):
            raise SegmentGone(f"{self.name} begins later", self.first())
        return self.first()

    def _open(self, position):
        opened = self.opened.get(position.segment)
        if opened is None:
            file = self.segments[position.segment - 1]
            opened = self.opened[position.segment] = _Opened(file)
        data, offset = opened.file.data, position.offset
        is_other = opened.boundary == offset > 0 and data[offset - 1 : offset] != b"\n"
        if offset > len(data) or is_other:
            raise self._replaced(position.segment)
        return opened

    def _replaced(self, segment):
        del self.opened[segment]
        return LogReplaced(f"{self.name} was cut or replaced", Position(segment, 0))

    def first(self):
        return Position(next(n for n, file in enumerate(self.segments, 1) if not file.gone), 0)

    def end(self):
        return Position(len(self.segments), self.live.data.rfind(b"\n") + 1)

    def start(self, _handler):
        """All handlers of the simulation say `from: beginning`."""
        return self.first()

    def ordinals(self):
        return [n for n, file in enumerate(self.segments[:-1], 1) if not file.gone]

    def live_ordinal(self):
        return len(self.segments)

    def reject(self, record):
        self.rejected.add(record.position)

    def heal(self):
        self.live.heal()

    def begin_sync(self, *, whole=False):
        del whole
        if self.lost:
            raise WriteFailed(f"{self.name} cannot be synced")
        return SimSync(self)

    def sync(self):
        sync_now(self.begin_sync())

    def close(self):
        """As the next process finds it."""
        self.opened = {}
        self.lost = False

    # -- as the world sees it --------------------------------------------------------------

    def chunks(self):
        """All that was ever written, those parts too that were deleted since."""
        for ordinal, file in enumerate(self.segments, 1):
            is_live = ordinal == len(self.segments)
            stop = file.data.rfind(b"\n") + 1 if is_live else len(file.data)
            yield Chunk(Position(ordinal, 0), bytes(file.data[:stop]))

    def events(self):
        """The records of the events, in order; a torn tail counts as no event."""
        return [record for chunk in self.chunks() for record in records(chunk) if record.event]

    def cut(self):
        for file in self.segments:
            file.cut(self.world.random)


class SimPaper:
    """The journal and the dead letters."""

    def __init__(self, world):
        self.journal = SimLog(world, "journal")
        self.letters = SimLog(world, "dead-letters")
        self.snapped, self.world = 1, world
        self.bytes_max = JOURNAL_BYTES_MAX

    def read(self, position, *, patient=True):
        return self.journal.read(position, patient=patient)

    def resume(self, known):
        if known.journal and self.name(known.folded) == known.journal:
            return known
        found = (newest_snapshot(self.journal, ordinal) for ordinal in self._ordinals())
        return next(filter(None, found), Ledger())

    def begun_anew(self, _):
        return None

    def _ordinals(self):
        return reversed([*self.journal.ordinals(), self.journal.live_ordinal()])

    def name(self, position):
        segment = position.segment if position.offset else position.segment - 1
        if segment < 1:
            return ""
        data = self.journal.segments[segment - 1].data
        line = bytes(data[: data.find(b"\n")])
        return hashlib.blake2b(line, digest_size=8).hexdigest() if line else ""

    def turn(self):
        if len(self.journal.live.data) > self.bytes_max:
            self.world.step("turn")
            self.bytes_max = JOURNAL_BYTES_MAX
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

    def in_queue(self, letters):
        return {each.letter for each in self.dead() if each.letter in letters}

    def snap(self, ledger, time):
        found = entries_of(ledger, str(self.world.random.random()), time)
        lines = [journal.encode(entry) for entry in found]
        self.bytes_max = max(JOURNAL_BYTES_MAX, 4 * sum(map(len, lines)))
        for start in range(0, len(lines), SNAPSHOT_LINES):
            self.enter(b"\n".join(lines[start : start + SNAPSHOT_LINES]))
        self.journal.sync()

    def enter(self, lines):
        self.journal.append(lines)

    def begin_sync(self):
        return self.journal.begin_sync()

    def bury(self, lines):
        self.letters.append(lines)
        self.letters.sync()

    def buried(self, delivery):
        of_it = (each for each in self.dead() if each.letter == delivery.replay)
        return next((bytes(each.event) for each in of_it), None)

    def dead(self):
        """The dead letters that there are, the purged ones left out."""
        return [letter for letter, file in self.letters_ever() if not file.gone]

    def letters_ever(self):
        """The first of each dead letter, and the file in which it lies or lay."""
        found = {}
        for chunk, file in zip(self.letters.chunks(), self.letters.segments, strict=True):
            for line in chunk.lines:
                letter = decode_letter(line.raw)
                if letter is not None:
                    found.setdefault(letter.letter, (letter, file))
        return list(found.values())

    def entries(self):
        """What was ever entered into the journal, in order."""
        lines = (line.raw for chunk in self.journal.chunks() for line in chunk.lines)
        return [entry for line in lines if (entry := journal.decode(line)) and not entry.snapshot]
