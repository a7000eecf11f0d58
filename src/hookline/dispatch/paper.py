"""The journal and the dead letters as the books see them, and the ledger at the journal's end."""

from collections.abc import Container, Iterable, Iterator
from functools import partial
from typing import Protocol

from hookline.dispatch import ledger as journal
from hookline.dispatch.ledger import Entry, Ledger, fold
from hookline.dispatch.subscription import Delivery
from hookline.log.stream import Chunk, chunks
from hookline.log.sync import Sync
from hookline.model.position import Position


class Journal(Protocol):
    """The journal, to be read; `Stream` is one."""

    def read(self, position: Position, *, patient: bool = True) -> Chunk:
        """The lines from there on; not `patient`: also those behind a closed segment that somebody
        may still write to. Raises LogReplaced."""


class Paper(Journal, Protocol):
    """What is written on: the journal and the dead letters."""

    def resume(self, known: Ledger) -> Ledger:
        """The ledger to fold on from: the one that is known, if it is of this journal, or that of
        the journal's newest snapshot."""

    def begun_anew(self, folded: Position) -> Position | None:
        """Where the journal begins anew, when what was read up to there is gone; None: it is not.
        Nothing may be written there before the index knows it."""

    def name(self, position: Position) -> str:
        """What tells this journal, which was read up to there, from every other one."""

    def turn(self) -> None:
        """Close the journal's live file if it has grown large. Raises HooklineError."""

    def lacks_snapshot(self, folded: Position) -> bool:
        """Whether the live file, read up to there, is to get a snapshot."""

    def in_queue(self, letters: Container[str]) -> set[str]:
        """Which of these dead letters lie there still. Raises HooklineError."""

    def snap(self, ledger: Ledger, time: str) -> None:
        """Append a snapshot, on disk when this returns. Raises HooklineError or OSError."""

    def enter(self, lines: bytes) -> None:
        """Append entries to the journal in one write. Raises HooklineError or OSError."""

    def begin_sync(self) -> Sync:
        """The sync of all that was entered up to now. Raises HooklineError."""

    def bury(self, lines: bytes) -> None:
        """Append dead letters, on disk when this returns. Raises HooklineError or OSError."""

    def buried(self, delivery: Delivery) -> bytes | None:
        """The event of the dead letter that a delivery repeats, for when its log is gone."""


def catch_up(known: Ledger, paper: Paper) -> Ledger:
    """The ledger at the journal's end, from what an index knows."""
    ledger = paper.resume(known)
    ledger.folded, _ = _fold_from(ledger.folded, ledger, paper, patient=True)
    # What stands behind a closed segment that somebody may still write to has happened all the
    # same. It is folded once more when nobody can.
    _, ledger.ahead = _fold_from(ledger.folded, ledger, paper, patient=False)
    ledger.journal = paper.name(ledger.folded)
    return ledger


def _fold_from(
    position: Position, ledger: Ledger, paper: Paper, *, patient: bool
) -> tuple[Position, dict[int, int]]:
    """Where it ends, and how far that is in each segment on the way."""
    ends: dict[int, int] = {}
    # Where somebody emptied or removed the journal, what the index knows stays true.
    for chunk in chunks(partial(paper.read, patient=patient), position):
        fold(ledger, entries(line.raw for line in chunk.lines))
        ends.update((line.position.segment, line.end) for line in chunk.lines)
        position = chunk.next
    return position, ends


def entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The entries among the lines; a snapshot's are none, since they tell of nothing new."""
    for line in lines:
        entry = journal.decode(line)
        if entry is not None and not entry.snapshot:
            yield entry
