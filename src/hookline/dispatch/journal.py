"""The files of the journal: `deliveries.jsonl`, `dead-letters.jsonl` and the index over them.

Anybody may read them while a dispatcher runs; commands append to the journal what they ask for.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from hookline.dispatch import ledger as lines
from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.ledger import Ledger
from hookline.dispatch.paper import catch_up
from hookline.dispatch.pen import Pen, append_whole
from hookline.dispatch.snapshot import Snapshots, entries_of
from hookline.dispatch.state import IndexFailed, State
from hookline.dispatch.subscription import Delivery
from hookline.log.home import Home
from hookline.log.rotate import rotate_stream
from hookline.log.stream import Chunk, Line, LogReplaced, Stream, chunks
from hookline.log.sync import Sync, sync_now
from hookline.model.position import Position

STATE_FILE: Final = "dispatch.db"
JOURNAL: Final = "deliveries"
LETTERS: Final = "dead-letters"
"""The stems of the two logs that are of no domain."""
JOURNAL_BYTES_MAX: Final = 64 << 20
"""How large the journal's live file grows: a start without an index folds about so much, which is
about a second."""
LETTER_BYTES_MAX: Final = 1 << 20
"""A dead letter is an event, and what a run printed."""
_SNAPSHOT_MARK: Final = b'"snapshot":"'
_WRITE_LINES: Final = 1000


def open_journal(home: Home) -> Stream:
    """The journal as a stream."""
    return Stream(home.deliveries, home.segments, JOURNAL)


def load_ledger(home: Home, state: State | None) -> Ledger:
    """The index, brought up to date by what the journal says beyond it."""
    return catch_up(state.load() if state else Ledger(), JournalFiles(home))


def newest_snapshot(journal: Stream, ordinal: int) -> Ledger | None:
    """The newest complete snapshot in a segment of the journal."""
    found = Snapshots()
    for chunk in chunks(partial(journal.read, patient=False), Position(ordinal, 0)):
        if chunk.replaced or chunk.start.segment != ordinal:
            break
        if _SNAPSHOT_MARK in chunk.data:
            for line in chunk.lines:
                entry = lines.decode(line.raw) if _SNAPSHOT_MARK in line.raw else None
                if entry is not None:
                    found.see(entry)
    return found.newest


def spare_segments(home: Home) -> list[int]:
    """The ordinals of the journal's closed segments that nobody needs any more: they are older than
    a complete snapshot."""
    with open_journal(home) as journal:
        ordinals = journal.ordinals()
        for ordinal in (journal.live_ordinal(), *reversed(ordinals)):
            if newest_snapshot(journal, ordinal) is not None:
                return [each for each in ordinals if each < ordinal]
    return []


def open_letters_log(home: Home) -> Stream:
    """The dead-letter queue as a stream."""
    return Stream(home.dead_letters, home.segments, LETTERS, line_bytes_max=LETTER_BYTES_MAX)


def letter_lines(home: Home) -> Iterator[Line]:
    """The lines of the dead-letter queue, oldest first; torn ones too."""
    with open_letters_log(home) as queue:
        for chunk in queue.look():
            yield from chunk.lines


def event_of_letter(home: Home, delivery: Delivery) -> bytes | None:
    """The event of the dead letter that a delivery repeats, for when its log is gone. Names of
    older versions may be those of two letters: the event's identity tells."""
    wanted = msgspec.json.encode(delivery.replay)
    for line in letter_lines(home):
        letter = decode_letter(line.raw) if wanted in line.raw[: len(wanted) + 32] else None
        if letter is None or (letter.letter, letter.domain) != (delivery.replay, delivery.domain):
            continue
        event = letter.identity
        if event is not None and delivery.is_of(event.id, event.source):
            return bytes(letter.event)
    return None


def read_ledger(home: Home) -> Ledger:
    """The ledger for somebody who only looks; works while a dispatcher runs, and with no index at
    all."""
    path = home.state / STATE_FILE
    if not path.exists():
        return load_ledger(home, None)
    try:
        with contextlib.closing(State(path, readonly=True)) as state:
            return load_ledger(home, state)
    except IndexFailed:
        return load_ledger(home, None)


class JournalFiles:
    """What the dispatcher's books are written on."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = os.fspath(home.deliveries)
        self._dead_letters, self._locked_append = home.dead_letters, home.locked_append
        self._pen = Pen(home.deliveries, home.locked_append)
        self._journal = open_journal(home)
        self._names: dict[int, str] = {}
        self._snapped = 1
        """The newest segment that is known to need no snapshot any more; the first never does,
        unless it was begun anew."""
        self._entered = True
        """Whether there is something that no sync has begun with."""
        self._snapshot_bytes = 0
        self.news = ""
        """Why what was known of the journal was not true; empty when it was."""

    def read(self, position: Position, *, patient: bool = True) -> Chunk:
        """See `Journal.read`."""
        try:
            return self._journal.read(position, patient=patient)
        except LogReplaced:
            self._names.clear()
            self._snapped = 0
            raise

    def resume(self, known: Ledger) -> Ledger:
        """The ledger to fold on from: the one that is known, if it is of this journal, or that of
        the journal's newest snapshot."""
        if known.journal:
            if (anew := self.begun_anew(known.folded)) is not None:
                self.news = "the journal was gone: another is begun with what the index knows"
                known.folded = anew
                return known
            name = self.name(known.folded)
            if name == known.journal:
                if self.in_a_line(known.folded):
                    # It has lost its end and grown on: what it has grown by is not known.
                    known.folded = Position(known.folded.segment, 0)
                return known
            self.news = (
                "the index was of another journal: it is made again from this one"
                if name
                else "the index was older than the journal: it is made again"
            )
        elif any(progress.cursors for progress in known.handlers.values()):
            # Nothing was folded from it yet, since it is new or was begun anew.
            return known
        for ordinal in (self._journal.live_ordinal(), *reversed(self._journal.ordinals())):
            found = newest_snapshot(self._journal, ordinal)
            if found is not None:
                return found
        return Ledger()

    def begun_anew(self, folded: Position) -> Position | None:
        """Where the journal begins anew, when what was read up to there is gone; None: it is not.

        Nothing may be written there before the index knows it: a line of which it knows nothing
        makes another journal of it, which then tells what the index is to be.
        """
        segment = _read_last(folded)
        if segment < 1 or bytes_of(self._path):
            return None
        if any(ordinal >= segment for ordinal in self._journal.ordinals()):
            return None
        self._names.clear()
        # Also the first segment gets a snapshot then.
        self._snapped = 0
        return Position(self._journal.live_ordinal(), 0)

    def in_a_line(self, folded: Position) -> bool:
        """Whether no line of the journal ends there, though it is longer than that."""
        if not folded.offset:
            return False
        before = Position(folded.segment, folded.offset - 1)
        try:
            data = self._journal.read(before, 1, patient=False).data
        except LogReplaced:
            return False
        return not data.startswith(b"\n")

    def name(self, position: Position) -> str:
        """What tells this journal, which was read up to there, from every other one: a hash of the
        first line of the segment that was read last; empty where there is none."""
        segment = _read_last(position)
        if segment not in self._names:
            line = self._first_line(segment)
            if not line:
                return ""
            self._names = {segment: hashlib.blake2b(line, digest_size=8).hexdigest()}
        return self._names[segment]

    def _first_line(self, segment: int) -> bytes:
        if segment < 1:
            return b""
        try:
            chunk = self._journal.read(Position(segment, 0), 1, patient=False)
        except LogReplaced:
            return b""
        return next((each.raw for each in chunk.lines if each.position.segment == segment), b"")

    def turn(self) -> None:
        """Close the journal's live file if it has grown large. Raises HooklineError."""
        with contextlib.suppress(FileNotFoundError):
            # A snapshot that is large itself must not be followed by the next one at once.
            limit = max(JOURNAL_BYTES_MAX, 4 * self._snapshot_bytes)
            if os.stat(self._path).st_size > limit:
                self._pen.close()
                rotate_stream(self._journal, larger_than=limit)

    def lacks_snapshot(self, folded: Position) -> bool:
        """Whether the live file, read up to there, is to get a snapshot."""
        if folded.segment <= self._snapped or folded.segment != self._journal.live_ordinal():
            return False
        if newest_snapshot(self._journal, folded.segment) is not None:
            self._snapped = folded.segment
            return False
        return True

    def in_queue(self, letters: Container[str]) -> set[str]:
        """Which of these dead letters lie there still. Raises HooklineError."""
        found = (decode_letter(line.raw) for line in letter_lines(self._home))
        return {each.letter for each in found if each is not None and each.letter in letters}

    def snap(self, ledger: Ledger, time: str) -> None:
        """Append a snapshot, on disk when this returns. Raises HooklineError or OSError."""
        found = entries_of(ledger, str(uuid.uuid4()), time)
        encoded = [lines.encode(entry) for entry in found]
        self._snapshot_bytes = sum(map(len, encoded))
        for start in range(0, len(encoded), _WRITE_LINES):
            self.enter(b"\n".join(encoded[start : start + _WRITE_LINES]))
        sync_now(self.begin_sync())

    def enter(self, lines: bytes) -> None:
        """Append entries to the journal in one write. Raises HooklineError or OSError."""
        self._pen.append(lines)
        self._entered = True

    def begin_sync(self) -> Sync:
        """The sync of all that was entered up to now. Raises HooklineError."""
        sync = self._journal.begin_sync(whole=self._entered)
        self._entered = False
        return sync

    def bury(self, lines: bytes) -> None:
        """Append dead letters, on disk when this returns. Raises HooklineError or OSError."""
        append_whole(self._dead_letters, lines, locked_append=self._locked_append, sync=True)

    def buried(self, delivery: Delivery) -> bytes | None:
        """The event of the dead letter that a delivery repeats, for when its log is gone."""
        return event_of_letter(self._home, delivery)

    def close(self) -> None:
        """Let go of the live file."""
        self._pen.close()


def _read_last(position: Position) -> int:
    """The segment that was read last by who has read up to there; 0: none was."""
    return position.segment if position.offset else position.segment - 1


def bytes_of(path: str | Path) -> int:
    """The size of a file; 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
