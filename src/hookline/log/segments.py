"""The segments of one log: which there are, in what order, and which file has which."""

import os
import re
from bisect import bisect_left
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from typing import Final

from hookline.log.errors import LogReplaced, SegmentGone
from hookline.log.opened import Opened, Packed, open_read
from hookline.log.sync import SegmentSync
from hookline.model.clock import Clock
from hookline.model.errors import HooklineError, TryAgain, WriteFailed
from hookline.model.position import Position

BEGINNING: Final = Position(1, 0)

_NAME = re.compile(r"(.+)\.([0-9]{8})\.jsonl(?:\.zst)?\Z", re.DOTALL)
_OPEN_MAX = 4
_RESOLVE_TRIES = 100


def stems(folder: str) -> set[str]:
    """The stems of all logs that have closed segments in the folder."""
    return {parts[1] for name in _names(folder) if (parts := _NAME.match(name)) is not None}


def after(ordinals: list[int]) -> int:
    """The ordinal of the live file beside these closed segments."""
    return ordinals[-1] + 1 if ordinals else 1


class Segments:
    """Finds, opens and keeps open the segments of one log."""

    def __init__(self, live: str, folder: str, stem: str, clock: Clock) -> None:
        self.live = live
        self.folder = folder
        self.stem = stem
        self._clock = clock
        self._opened: OrderedDict[int, Opened] = OrderedDict()
        self._left_unsynced: set[int] = set()
        self._names_unsynced = False
        self._syncing: SegmentSync | None = None
        """One that has begun and not ended."""
        self._lost = ""

    def ordinals(self) -> list[int]:
        """The ordinals of the closed segments, ascending; empty when there is no folder."""
        prefix = self.stem + "."
        found = set()
        for name in _names(self.folder):
            if name.startswith(prefix):
                parts = _NAME.match(name)
                if parts is not None and parts[1] == self.stem:
                    found.add(int(parts[2]))
        found.discard(0)
        return sorted(found)

    def live_ordinal(self) -> int:
        """The ordinal that the live file has, or will have when somebody makes it."""
        return after(self.ordinals())

    def plain(self, ordinal: int) -> str:
        """The path of a closed segment that is not compressed."""
        return os.path.join(self.folder, f"{self.stem}.{ordinal:08d}.jsonl")

    def packed(self, ordinal: int) -> str:
        """The path of a sealed and compressed segment."""
        return self.plain(ordinal) + ".zst"

    def path(self, ordinal: int) -> Path | None:
        """The file that has the segment just now; None when there is none."""
        for path in (self.plain(ordinal), self.packed(ordinal)):
            if os.path.lexists(path):
                return Path(path)
        return Path(self.live) if ordinal == self.live_ordinal() else None

    def open(self, position: Position) -> Opened | None:
        """The segment of a position; the oldest one for the beginning; None: no live file yet.

        Raises LogReplaced for a segment that cannot be any more, NotAllowed, TryAgain.
        """
        opened = self._opened.get(position.segment)
        if opened is None:
            opened = self._resolve(position)
            if opened is None:
                return None
            self._names_unsynced = True
            self._opened[opened.ordinal] = opened
            if len(self._opened) > _OPEN_MAX:
                self.drop(next(iter(self._opened.values())))
        self._opened.move_to_end(opened.ordinal)
        return opened

    def open_live(self) -> tuple[int, Opened | None]:
        """The live file, opened anew for the caller to close, and its ordinal."""
        for _ in range(_RESOLVE_TRIES):
            closed = self.ordinals()
            opened = self._open_live(after(closed))
            if self.ordinals() == closed:
                return after(closed), opened
            if opened is not None:
                opened.close()
        raise TryAgain(f"the segments of {self.stem} change too fast: try again")

    def drop(self, opened: Opened) -> None:
        """Close a segment; what was read of it is synced all the same by the next `sync`."""
        if opened.unsynced:
            self._left_unsynced.add(opened.ordinal)
        self.forget(opened)

    def forget(self, opened: Opened) -> None:
        """Close a file that does not belong to the log any more."""
        self._opened.pop(opened.ordinal, None)
        opened.close()

    def close(self) -> None:
        """Close all files."""
        for opened in list(self._opened.values()):
            self.drop(opened)

    def begin_sync(self, *, whole: bool) -> SegmentSync:
        """The sync of what was read up to now; `whole`: of all of the live file. What an earlier
        one has not ended is in it again.

        Raises WriteFailed for a log of which the disk has lost something, and whatever keeps a file
        from being opened.
        """
        if self._lost:
            raise WriteFailed(self._lost)
        self._expect_again(self._syncing)
        if whole:
            self._expect_more()
        sync = SegmentSync(self._end_sync)
        try:
            for opened in self._opened.values():
                if opened.unsynced:
                    sync.add(opened.ordinal, opened.fd)
            for ordinal in self._left_unsynced.difference(sync.ordinals):
                opened_again = self._open_closed(ordinal) or self._open_live(ordinal)
                if opened_again is not None:
                    with closing(opened_again):
                        sync.add(ordinal, opened_again.fd)
        except OSError as error:
            raise TryAgain(f"{self.stem} cannot be synced now: {error.strerror}") from error
        if self._names_unsynced:
            folders = (os.path.dirname(self.live), self.folder)
            sync.folders = [folder for folder in folders if os.path.isdir(folder)]
        self._syncing = sync
        for opened in self._opened.values():
            opened.unsynced = False
        self._left_unsynced.clear()
        self._names_unsynced = False
        return sync

    def _end_sync(self, sync: SegmentSync) -> None:
        """The kernel reports a lost page once and then calls the file clean, so that no later
        success counts, through whatever descriptor."""
        if self._syncing is sync:
            self._syncing = None
        if sync.failed:
            ordinal, error = sync.failed
            self._lost = (
                f"segment {ordinal} of {self.stem} cannot be synced: {error.strerror}: "
                "see what dmesg says of the disk, then start again"
            )
            raise WriteFailed(self._lost) from error
        if sync.trouble:
            self._expect_again(sync)
            if isinstance(sync.trouble, HooklineError):
                raise sync.trouble
            raise TryAgain(f"{self.stem} cannot be synced now: {sync.trouble}") from sync.trouble

    def _expect_again(self, sync: SegmentSync | None) -> None:
        """This one has come to nothing."""
        if sync is not None:
            self._left_unsynced.update(sync.ordinals)
            self._names_unsynced = self._names_unsynced or bool(sync.folders)

    def _expect_more(self) -> None:
        """The live file may have more than was read of it."""
        live = next((each for each in self._opened.values() if not each.closed), None)
        if live is None or not live.is_at(self.live):
            live = self.open(Position(self.live_ordinal(), 0))
        if live is not None:
            live.unsynced = True

    def _resolve(self, position: Position) -> Opened | None:
        """Renames, compression and deletion go on meanwhile: look, open, and look again."""
        for _ in range(_RESOLVE_TRIES):
            closed = self.ordinals()
            live = after(closed)
            if position.segment > live:
                message = f"{self.stem} ends before segment {position.segment}"
                raise LogReplaced(message, Position(live, 0))
            if position.segment == live:
                opened = self._open_live(live)
                if self.ordinals() == closed:
                    return opened
                if opened is not None:
                    opened.close()
            else:
                opened = self._open_closed(self._existing(position, closed))
                if opened is not None:
                    return opened
        raise TryAgain(f"the segments of {self.stem} change too fast: try again")

    def _existing(self, position: Position, closed: list[int]) -> int:
        ordinal = closed[bisect_left(closed, position.segment)]
        if ordinal == position.segment or position == BEGINNING:
            return ordinal
        message = f"segment {position.segment} of {self.stem} is gone: reading on at {ordinal}"
        raise SegmentGone(message, Position(ordinal, 0))

    def _open_live(self, ordinal: int) -> Opened | None:
        try:
            return Opened(open_read(self.live), ordinal, self._clock, closed=False)
        except FileNotFoundError:
            return None

    def _open_closed(self, ordinal: int) -> Opened | None:
        try:
            return Opened(open_read(self.plain(ordinal)), ordinal, self._clock, closed=True)
        except FileNotFoundError:
            pass
        try:
            return Packed(open_read(self.packed(ordinal)), ordinal, self._clock, self.folder)
        except FileNotFoundError:
            return None


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
