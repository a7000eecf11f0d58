"""Commits: the logs and the journal to disk, then the index and the cursors in it.

The disk takes ten milliseconds or more, in which the dispatcher goes on: a commit covers what there
was when it began.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from hookline.dispatch.books import Books
from hookline.dispatch.intake import Intake
from hookline.dispatch.listener import Listener
from hookline.dispatch.roster import Roster
from hookline.dispatch.spectator import Spectator
from hookline.dispatch.subscription import Cursor
from hookline.log.sync import Sync
from hookline.model.clock import Clock

COMMIT_S: Final = 0.2
"""The most that a power cut can take of what `batch` writers appended, while a dispatcher runs."""


class Syncer(Protocol):
    """What runs syncs while others go on; one lot at a time."""

    def start(self, syncs: Iterable[Sync]) -> None:
        """Begin to run these."""

    @property
    def done(self) -> bool:
        """Whether all that was started has run."""

    def wait(self) -> None:
        """Wait until that is so."""


class _UnderWay(NamedTuple):
    """A commit whose syncs run."""

    begun_s: float
    logs: Mapping[str, Sync]
    cursors: Mapping[Listener, Mapping[str, Cursor]]
    """Where to, by domain."""


class Commits:
    """When something is committed, and how."""

    def __init__(
        self,
        *,
        clock: Clock,
        books: Books,
        intake: Intake,
        roster: Roster,
        syncer: Syncer,
        spectator: Spectator,
    ) -> None:
        self._clock = clock
        self._books = books
        self._intake = intake
        self._roster = roster
        self._syncer = syncer
        self._spectator = spectator
        self._under_way: _UnderWay | None = None
        self._is_wanted = False
        self.due_s = math.inf
        """When the next one begins; monotonic. Never, while one is under way or nothing is new."""

    def want(self) -> None:
        """There may be something new."""
        self._is_wanted = True
        if self._under_way is None and self.due_s == math.inf:
            self.due_s = self._clock.monotonic_s() + COMMIT_S

    def turn(self) -> None:
        """End one whose syncs have run, and begin one that is due. Who keeps too much in memory
        waits for the disk."""
        if self._under_way is not None:
            if self._books.full:
                self._syncer.wait()
            if self._syncer.done:
                self._end()
        # What is in the way is not gone sooner for much that waits.
        presses = self._books.full and not self._books.trouble
        is_due = self._clock.monotonic_s() >= self.due_s or presses
        if self._under_way is not None or not is_due:
            return
        self._begin()
        if trouble := self._books.new_trouble():
            self._spectator.noted(f"{trouble}: nothing starts until that is mended")

    def commit(self, whole: bool = False) -> bool:
        """Commit all that there is, now; `whole`: tell the journal where the cursors are, too.
        False when something is in the way."""
        if self._under_way is not None:
            self._syncer.wait()
            self._end()
        self._is_wanted = False
        begun_s = self._clock.monotonic_s()
        logs = self._begin_sync()
        for sync in logs.values():
            sync.run()
        self._intake.end_sync(logs)
        cursors = self._cursors()
        journal = self._begin_commit(cursors)
        if journal is not None:
            journal.run()
        return self._end_commit(_UnderWay(begun_s, logs, cursors), synced=True, whole=whole)

    def _begin(self) -> None:
        begun_s = self._clock.monotonic_s()
        logs = self._begin_sync()
        cursors = self._cursors()
        journal = self._begin_commit(cursors)
        self._under_way = _UnderWay(begun_s, logs, cursors)
        self._is_wanted, self.due_s = False, math.inf
        syncs = [*logs.values(), *([journal] if journal else [])]
        if any(sync.is_needed for sync in syncs):
            self._syncer.start(syncs)
            return
        for sync in syncs:
            sync.run()
        self._end()

    def _end(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            synced = self._intake.end_sync(under_way.logs)
            self._end_commit(under_way, synced=synced)
            if not synced:
                # At once what the disk has not lost.
                self.commit()

    def _begin_sync(self) -> dict[str, Sync]:
        self._intake.save_beginnings()
        return self._intake.begin_sync({domain for each in self._roster for domain in each.moved})

    def _cursors(self) -> dict[Listener, dict[str, Cursor]]:
        """Those that have moved, and that nothing keeps where they are."""
        unsynced = self._intake.unsynced.keys()
        return {
            each: {x: each.subscription.cursor(x) for x in sorted(each.moved - unsynced)}
            for each in self._roster
        }

    def _begin_commit(self, cursors: Mapping[Listener, Mapping[str, Cursor]]) -> Sync | None:
        return self._books.begin_commit({each.name: moved for each, moved in cursors.items()})

    def _end_commit(self, under_way: _UnderWay, *, synced: bool, whole: bool = False) -> bool:
        done = self._books.end_commit(synced=synced)
        self.due_s = under_way.begun_s + COMMIT_S if self._is_wanted or not done else math.inf
        if not done:
            return False
        for listener, cursors in under_way.cursors.items():
            cursor = listener.subscription.cursor
            listener.moved -= {domain for domain, at in cursors.items() if cursor(domain) == at}
        if whole or self._clock.monotonic_s() >= self._books.cursors_due_s:
            self._books.write_cursors(self._clock)
        if why := self._books.turn_over(self._clock):
            self._spectator.noted(why)
        return True
