"""A log as one stream: its closed segments and its live file, read in order while others write."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Self

from hookline.log.append import appends_locked
from hookline.log.errors import LogReplaced, SegmentDamaged, SegmentGone
from hookline.log.files import append_line
from hookline.log.home import Home, log_stem
from hookline.log.lines import Line, cut
from hookline.log.opened import Opened
from hookline.log.segments import BEGINNING, Segments
from hookline.log.sync import SegmentSync
from hookline.log.window import Rewritten, Window
from hookline.model.clock import Clock, SystemClock
from hookline.model.envelope import LINE_BYTES_MAX
from hookline.model.position import Position

__all__ = [
    "BEGINNING",
    "CHUNK_BYTES",
    "Chunk",
    "Line",
    "LogReplaced",
    "SegmentDamaged",
    "SegmentGone",
    "Stream",
    "chunks",
]

CHUNK_BYTES: Final = 1 << 17


class Chunk:
    """Some whole lines of a stream.

    `next`: where to read on. `at_end`: there is nothing behind it now, which the live file's last
    lines do not tell, but who reads on. `again_s`: when not None, look again after so many seconds
    even if nothing is heard, for the end of a writer is silent.
    `replaced`: from `chunks`, why there is nothing here but the place to read on from.
    """

    __slots__ = (
        "_line_bytes_max", "_lines", "again_s", "at_end", "data", "next", "replaced", "start",
    )  # fmt: skip

    def __init__(
        self,
        start: Position,
        data: bytes = b"",
        lines: list[Line] | None = None,
        line_bytes_max: int = LINE_BYTES_MAX,
    ) -> None:
        self.start = start
        self.next = start
        self.at_end = False
        self.again_s: float | None = None
        self.replaced: LogReplaced | None = None
        self.data = data
        self._lines = lines
        self._line_bytes_max = line_bytes_max

    @property
    def is_plain(self) -> bool:
        """Whether `data` is lines with newlines and nothing else: no NUL, none too long."""
        data = self.data
        return len(data) <= self._line_bytes_max and data.endswith(b"\n") and 0 not in data

    @property
    def lines(self) -> list[Line]:
        """The lines, without empty ones."""
        if self._lines is None:
            self._lines = cut(self.data, *self.start, self._line_bytes_max) if self.data else []
        return self._lines


def chunks(read: Callable[[Position], Chunk], position: Position) -> Iterator[Chunk]:
    """What a `Stream.read` gives from `position` to the end that there is now, and on over what was
    replaced: then with a chunk that says so."""
    while True:
        try:
            chunk = read(position)
        except LogReplaced as replaced:
            chunk = Chunk(replaced.resume)
            chunk.replaced = replaced
        yield chunk
        if chunk.at_end:
            return
        position = chunk.next


class Stream:
    """One log: `<stem>.<ordinal>.jsonl[.zst]` in a folder, then the live file. Not for two threads.

    It keeps files open between reads, so that a read at the tail is one `pread`, and one `stat`
    when nothing has come; where to read is up to the caller. DESIGN.md in this folder names the
    races that it stands.
    """

    def __init__(
        self,
        live: Path | str,
        segments: Path | str,
        stem: str,
        *,
        clock: Clock | None = None,
        line_bytes_max: int = LINE_BYTES_MAX,
    ) -> None:
        self.segments = Segments(os.fspath(live), os.fspath(segments), stem, clock or SystemClock())
        self._window = Window(line_bytes_max)
        self._line_bytes_max = line_bytes_max

    @classmethod
    def of_domain(cls, home: Home, domain: str) -> Self:
        """The log of a domain."""
        return cls(home.live(domain), home.segments, log_stem(domain))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; the next read opens what it needs."""
        self.segments.close()

    def ordinals(self) -> list[int]:
        """The ordinals of the closed segments, ascending."""
        return self.segments.ordinals()

    def live_ordinal(self) -> int:
        """The ordinal that the live file has, or will have when somebody makes it."""
        return self.segments.live_ordinal()

    def path(self, ordinal: int) -> Path | None:
        """The file of a segment; None when there is none. It may be renamed at any time."""
        return self.segments.path(ordinal)

    def first(self) -> Position:
        """Where the oldest segment that there is begins."""
        closed = self.ordinals()
        return Position(closed[0], 0) if closed else BEGINNING

    def end(self) -> Position:
        """Behind the last whole line of the live file: where one begins who wants news only."""
        ordinal, opened = self.segments.open_live()
        if opened is None:
            return Position(ordinal, 0)
        try:
            return Position(ordinal, _lines_end(opened))
        finally:
            opened.close()

    def read(
        self, position: Position, limit_bytes: int = CHUNK_BYTES, *, patient: bool = True
    ) -> Chunk:
        """The whole lines from `position` on, about `limit_bytes` of them and at least one.

        `next` equals `position` only at the end. Goes over to the next segment only when no process
        can still write to the closed one; not `patient`: takes it as it is now, for somebody who
        only looks. `Position(1, 0)` is the beginning of whatever there is. Raises LogReplaced;
        NotAllowed or TryAgain when a file cannot be opened.
        """
        while True:
            opened = self.segments.open(position)
            if opened is None:
                chunk = Chunk(position)
                chunk.at_end = True
                return chunk
            if opened.ordinal != position.segment:
                position = Position(opened.ordinal, 0)
            chunk = self._step(opened, position, limit_bytes, patient)
            if chunk.at_end or chunk.data or chunk.lines:
                return chunk
            position = chunk.next

    def look(
        self, position: Position = BEGINNING, limit_bytes: int = CHUNK_BYTES
    ) -> Iterator[Chunk]:
        """All that there is now from `position` on, for somebody who only looks; see `chunks`."""
        return chunks(partial(self.read, limit_bytes=limit_bytes, patient=False), position)

    def begin_sync(self, *, whole: bool = False) -> SegmentSync:
        """How everything that was read up to now comes to disk, whoever wrote it, and the names of
        its files too; `whole`: also what was not read yet of the live file.

        Raises WriteFailed, and for the same segment ever after: what a disk has lost stays lost.
        """
        return self.segments.begin_sync(whole=whole)

    def tail_torn(self) -> bool:
        """Whether the live file ends without a newline: torn, or just being written."""
        _, opened = self.segments.open_live()
        if opened is None:
            return False
        try:
            size = opened.size()
            return size > 0 and opened.read(size - 1, 1) != b"\n"
        finally:
            opened.close()

    def heal(self) -> None:
        """End a torn tail. Harms nobody who is writing: their write is whole, or it was torn."""
        if self.tail_torn():
            coordination = os.path.dirname(os.path.dirname(self.segments.folder))
            append_line(self.segments.live, b"", locked=appends_locked(coordination))

    def _step(self, opened: Opened, position: Position, limit_bytes: int, patient: bool) -> Chunk:
        # Asked before the bytes are read: what is sealed afterwards may have grown in between.
        final = opened.sealed
        try:
            taken = self._window.take(opened, position.offset, limit_bytes, final=final)
        except Rewritten as how:
            raise self._replaced(opened, str(how)) from None
        chunk = Chunk(position, taken.data, taken.lines, self._line_bytes_max)
        chunk.next = Position(opened.ordinal, taken.after)
        if taken.after != position.offset:
            opened.unsynced = True
            opened.boundary = taken.after if taken.data.endswith(b"\n") else 0
        # Whoever was woken by an event has it first: the next read looks behind it.
        if taken.all_read and (opened.closed or taken.after == position.offset):
            self._look_behind(opened, chunk, final, patient)
        return chunk

    def _look_behind(self, opened: Opened, chunk: Chunk, final: bool, patient: bool) -> None:
        """All of a file was read: is that the end, does another follow, or may this one grow?"""
        empty = chunk.next == chunk.start
        if not opened.closed:
            if opened.is_at(self.segments.live):
                chunk.at_end = True
                return
            if opened.ordinal >= self.live_ordinal():
                if empty:
                    raise self._replaced(opened, "was removed or replaced")
                return
            opened.closed = True
        if not final and patient:
            wait_s = opened.seal_wait_s()
            chunk.at_end = wait_s > 0.0
            chunk.again_s = wait_s if chunk.at_end else None
        elif empty or not opened.damage:
            self._leave(opened, chunk)

    def _leave(self, opened: Opened, chunk: Chunk) -> None:
        following = Position(opened.ordinal + 1, 0)
        damage = opened.damage
        self.segments.drop(opened)
        if damage:
            which = f"segment {opened.ordinal} of {self.segments.stem}"
            where = self.path(opened.ordinal)
            raise SegmentDamaged(f"{which} is damaged ({where}): {damage}", following)
        chunk.next = following

    def _replaced(self, opened: Opened, how: str) -> LogReplaced:
        self.segments.forget(opened)
        which = f"segment {opened.ordinal} of {self.segments.stem}"
        return LogReplaced(f"{which} {how}: it is read from its start", Position(opened.ordinal, 0))


def _lines_end(opened: Opened) -> int:
    """The offset behind the last newline."""
    stop = opened.size()
    while stop > 0:
        start = max(0, stop - CHUNK_BYTES)
        found = opened.read(start, stop - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0
