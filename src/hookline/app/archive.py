"""Keeping a home small: closing logs, compressing closed segments, deleting what is old.

Whatever dies in the middle of it, the next run finds what is left to do: a segment lies there
plain, compressed or both, never neither; what has no reader left goes last.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.app import program_logs
from hookline.app.config import ArchiveConfig
from hookline.app.leftovers import litter, spent_notes, unused_payloads
from hookline.app.purging import purge_letters
from hookline.app.survey import find_handlers
from hookline.dispatch import replays
from hookline.dispatch.handlers import Handlers
from hookline.dispatch.identities import forget_before
from hookline.dispatch.index_check import journal_differs
from hookline.dispatch.journal import (
    JOURNAL,
    LETTERS,
    open_journal,
    read_ledger,
    spare_segments,
)
from hookline.dispatch.ledger import Ledger, Progress
from hookline.dispatch.lock import holder
from hookline.dispatch.replays import none_begins
from hookline.dispatch.retention import Held, Need, Segment, need_of, needs, plan
from hookline.log.holders import holders
from hookline.log.home import Home
from hookline.log.lease import GRACE_S
from hookline.log.read import domains, records
from hookline.log.rotate import remove_segment, rotate_stream, seal_segment
from hookline.log.stream import LogReplaced, Stream
from hookline.model.clock import Clock, from_epoch_s, parse_rfc3339, rfc3339
from hookline.model.duration import seconds
from hookline.model.errors import BadConfig, HooklineError, TryAgain
from hookline.model.position import Position
from hookline.model.size import size_bytes

Part = Literal["cleanup", "rotate", "compress"]
PARTS: Final[tuple[Part, ...]] = ("cleanup", "rotate", "compress")
LITTER_S: Final = 3600.0
"""How old a temporary file must be that nobody will finish any more."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was done, or could not be."""

    action: Literal["deleted", "rotated", "compressed", "held", "busy", "failed"]
    what: str = "segment"
    log: str = ""
    """The domain, or `deliveries` for the journal."""
    segment: int = 0
    last: int = 0
    """The last of several segments."""
    files: int = 0
    bytes: int = 0
    freed: int = 0
    written: str = ""
    """When it was written to last."""
    handler: str = ""
    """Who still needs it."""
    replay: str = ""
    """For which replay."""
    since: str = ""
    """The time of the first event that this handler has still to get."""
    why: str = ""
    next: str = ""
    """What to do about it."""
    exit: int = 0


class Archive:
    """One run over one home."""

    def __init__(
        self, home: Home, config: ArchiveConfig, clock: Clock, *, dry_run: bool = False
    ) -> None:
        self._home = home
        self._clock = clock
        self._now_s = clock.now().timestamp()
        self._rotate_bytes = size_bytes(config.rotate_size)
        self._rotate_age_s = seconds(config.rotate_age)
        self._compress_after_s = seconds(config.compress_after)
        self._written_before_s = self._now_s - config.delete_after_s
        self._dry_run = dry_run
        self._all_old_went = True
        self._known = replays.Known(home)

    def run(self, parts: Sequence[Part] = PARTS) -> Iterator[Step]:
        """Do it; each step when it is done. Raises TryAgain when another one is at it."""
        with contextlib.nullcontext() if self._dry_run else _alone(self._home):
            # Deleting comes first: on a full disk it makes room for the rest.
            if "cleanup" in parts:
                yield from self._delete()
            rotated = list(self._each(self._rotate)) if "rotate" in parts else []
            yield from rotated
            if "rotate" in parts:
                yield from _told("", self._shorten())
            if "compress" in parts:
                if rotated and not self._dry_run:
                    # A writer may still be between looking the old name up and opening it.
                    time.sleep(GRACE_S)
                yield from self._each(self._compress)
                with open_journal(self._home) as journal:
                    yield from _told(JOURNAL, self._compress(JOURNAL, journal))
            if "cleanup" in parts:
                yield from self._sweep()

    def _shorten(self) -> Iterator[Step]:
        for each in program_logs.shorten(self._home, dry_run=self._dry_run):
            yield Step(
                action="rotated",
                what=f"coordination/logs/{each.path.name}",
                bytes=each.bytes,
                freed=each.bytes - each.kept,
            )

    def _each(self, work: Callable[[str, Stream], Iterator[Step]]) -> Iterator[Step]:
        """Do it for every domain; trouble with one holds up no other."""
        for domain in domains(self._home):
            with Stream.of_domain(self._home, domain) as stream:
                yield from _told(domain, work(domain, stream))

    # -- segments that are old -----------------------------------------------------------

    def _delete(self) -> Iterator[Step]:
        # Who cannot tell what the handlers need deletes nothing.
        for steps in (_told("", self._delete_events()), _told(JOURNAL, self._delete_journal())):
            for step in steps:
                self._all_old_went = self._all_old_went and step.action == "deleted"
                yield step

    def _delete_events(self) -> Iterator[Step]:
        old = {
            domain: segments for domain in domains(self._home) if (segments := self._old(domain))
        }
        if not old:
            return
        if lost := journal_differs(self._home):
            raise BadConfig(f"{lost.how}: {lost.next}")
        found = find_handlers(self._home)
        for domain, segments in old.items():
            # Anew for each domain: who begins a replay waits no longer than for one of them.
            with contextlib.nullcontext() if self._dry_run else none_begins(self._home):
                yield from _told(domain, self._delete_domain(domain, segments, found))

    def _old(self, domain: str) -> list[Segment]:
        """The closed segments of a domain; empty when none is old enough."""
        with Stream.of_domain(self._home, domain) as stream:
            segments = _closed(stream)
        return segments if plan(segments, (), self._written_before_s).delete else []

    def _delete_domain(
        self, domain: str, segments: Sequence[Segment], found: Handlers
    ) -> Iterator[Step]:
        with Stream.of_domain(self._home, domain) as stream:
            # The replays first: what one asks for meanwhile is held twice, never not at all. And
            # anew for each domain: one may have begun while others were deleted.
            begun = self._replays()
            ledger = read_ledger(self._home)
            # What these say was done must not be undone by a power cut once the events are gone.
            _sync(self._home.deliveries)
            _sync(self._home.dead_letters)
            kept, gone = needs(self._home, domain, stream, found, ledger, begun)
            planned = plan(segments, kept, self._written_before_s)
            for segment in planned.delete:
                unread = [need.handler for need in gone if need.position.segment <= segment.ordinal]
                why = f"{', '.join(unread)}: listens no more to what is in it" if unread else ""
                yield from self._delete_one(domain, stream, segment, why)
            yield from self._held(domain, stream, planned.held, ledger)

    def _delete_journal(self) -> Iterator[Step]:
        """What the journal says before its newest snapshot, once it is old."""
        with open_journal(self._home) as journal:
            segments = _closed(journal)
            if not plan(segments, (), self._written_before_s).delete:
                return
            begun = [need_of(each, each.at) for each in self._replays()]
            planned = plan(segments, begun, self._written_before_s)
            spare = spare_segments(self._home)
            # The snapshot that makes them spare may be in memory only; one in a closed file is not.
            _sync(self._home.deliveries)
            for segment in planned.delete:
                if segment.ordinal in spare:
                    yield from self._delete_one(JOURNAL, journal, segment)
            held = [each for each in planned.held if each.segment.ordinal in spare]
            yield from self._held(JOURNAL, journal, held, Ledger())

    def _replays(self) -> list[replays.Begun]:
        """The replays that have still something to ask for, as far as the journal says."""
        return self._known.open()

    def _delete_one(
        self, name: str, stream: Stream, segment: Segment, why: str = ""
    ) -> Iterator[Step]:
        """Raises _Busy, since nothing behind a segment may go before it."""
        if not self._dry_run and not remove_segment(stream, segment.ordinal, clock=self._clock):
            raise _Busy(self._busy(name, stream, segment.ordinal))
        yield Step(
            action="deleted",
            log=name,
            segment=segment.ordinal,
            bytes=segment.size,
            freed=segment.size,
            written=rfc3339(from_epoch_s(segment.written_s)),
            why=why,
        )

    def _held(
        self, log: str, stream: Stream, held: Sequence[Held], ledger: Ledger
    ) -> Iterator[Step]:
        for need in {need: None for each in held for need in each.by}:
            segments = [each.segment for each in held if need in each.by]
            state = ledger.handlers.get(need.handler, Progress())
            yield Step(
                action="held",
                log=log,
                segment=segments[0].ordinal,
                last=segments[-1].ordinal,
                bytes=sum(each.size for each in segments),
                handler=need.handler,
                replay=need.replay,
                since=_time_at(stream, need.position),
                why=_why(need, state),
                next=_next(self._home, need, state),
            )

    # -- closing and compressing ---------------------------------------------------------

    def _rotate(self, name: str, stream: Stream) -> Iterator[Step]:
        try:
            size = os.stat(stream.segments.live).st_size
        except FileNotFoundError:
            return
        if size > self._rotate_bytes:
            larger_than = self._rotate_bytes
        elif size and self._now_s - _begun_s(stream, self._now_s) > self._rotate_age_s:
            larger_than = 0
        else:
            return
        ordinal = stream.live_ordinal()
        if not self._dry_run:
            begins = rotate_stream(stream, larger_than=larger_than)
            if begins is None:
                return
            ordinal = begins.segment - 1
        yield Step(action="rotated", log=name, segment=ordinal, bytes=size)

    def _compress(self, name: str, stream: Stream) -> Iterator[Step]:
        for ordinal in stream.ordinals():
            plain, packed = stream.segments.plain(ordinal), stream.segments.packed(ordinal)
            try:
                status = os.stat(plain)
            except FileNotFoundError:
                continue
            young = self._now_s - status.st_mtime < self._compress_after_s
            if not status.st_size or young:
                continue
            yield from _told(name, self._compress_one(name, stream, ordinal, plain, packed))

    def _compress_one(
        self, name: str, stream: Stream, ordinal: int, plain: str, packed: str
    ) -> Iterator[Step]:
        size = os.stat(plain).st_size
        if self._dry_run:
            yield Step(action="compressed", log=name, segment=ordinal, bytes=size)
        elif seal_segment(stream, ordinal, clock=self._clock):
            freed = size - os.stat(packed).st_size
            yield Step(action="compressed", log=name, segment=ordinal, bytes=size, freed=freed)
        elif os.path.lexists(plain):
            yield self._busy(name, stream, ordinal)

    def _busy(self, name: str, stream: Stream, ordinal: int) -> Step:
        writers = []
        with contextlib.suppress(FileNotFoundError):
            writers = holders(stream.segments.plain(ordinal))
        who = ", ".join(f"process {writer.pid} ({writer.name})" for writer in writers)
        return Step(
            action="busy",
            log=name,
            segment=ordinal,
            why=f"open for writing by {who}" if who else "somebody may still write to it",
            next="the next run takes it once that has ended",
        )

    # -- what lies beside the logs -------------------------------------------------------

    def _sweep(self) -> Iterator[Step]:
        before_s = self._written_before_s
        yield from _told("", self._files("payload", unused_payloads(self._home, before_s)))
        yield from _told("", self._files("rejected file", spent_notes(self._home, before_s)))
        if self._all_old_went and not self._dry_run:
            freed = forget_before(self._home.state / "identities", before_s)
            if freed:
                yield Step(action="deleted", what="index of identities", bytes=freed, freed=freed)
        yield from _told("", self._printed())
        yield from _told(LETTERS, self._letters())
        for folder in (self._home.segments, self._home.data, self._home.rejected):
            yield from self._files("temporary file", litter(folder, self._now_s - LITTER_S))

    def _files(self, what: str, paths: Iterable[Path]) -> Iterator[Step]:
        freed = files = 0
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                freed += path.stat().st_size
                files += 1
                if not self._dry_run:
                    path.unlink()
        if files:
            yield Step(action="deleted", what=what, files=files, bytes=freed, freed=freed)

    def _letters(self) -> Iterator[Step]:
        """Dead letters that are old, by a limit of their own."""
        purged = purge_letters(self._home, dry_run=self._dry_run)
        if purged is None:
            return
        if purged.dropped:
            why = f"open, from before {purged.before}; an alert says so"
            count = sum(purged.dropped.values())
            yield Step(action="deleted", what="dead letter", files=count, why=why)
        if purged.files:
            yield Step(
                action="deleted", what="file of dead letters", files=purged.files,
                bytes=purged.bytes, freed=purged.bytes,
            )  # fmt: skip
        for handler, letters in purged.held.items():
            yield Step(
                action="held", what="file of dead letters", files=purged.held_files,
                handler=handler, why=f"{handler} has still to replay {letters} of them",
                next="hookline handlers",
            )  # fmt: skip

    def _printed(self) -> Iterator[Step]:
        """What the programs of `hookline up` have printed: a file too long starts again."""
        for path in sorted((self._home.coordination / "logs").glob("*.log")):
            size = path.lstat().st_size
            if size > self._rotate_bytes:
                if not self._dry_run:
                    shutil.copyfile(path, path.with_suffix(".log.1"))
                    # Its program appends, and so goes on at the new beginning.
                    os.truncate(path, 0)
                yield Step(action="rotated", what=f"logs/{path.name}", bytes=size)


class _Busy(Exception):
    """A segment cannot be touched now; what there is to say of it."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One at a time, by a lock that ends with the process."""
    fd = os.open(home.events, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryAgain(f"another archiver is at work in {home.events}: let it end") from None
        yield
    finally:
        os.close(fd)


def _told(name: str, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps; what goes wrong with them becomes the last one."""
    try:
        yield from steps
    except _Busy as busy:
        yield busy.step
    except HooklineError as error:
        yield Step(action="failed", log=name, why=str(error), exit=error.exit_code)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        yield Step(action="failed", log=name, why=why, exit=os.EX_IOERR)


def _sync(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        os.fdatasync(file.fileno())


def _closed(stream: Stream) -> list[Segment]:
    found = []
    for ordinal in stream.ordinals():
        sizes, written_s = [], 0.0
        for path in (stream.segments.packed(ordinal), stream.segments.plain(ordinal)):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                sizes.append(status.st_size)
                written_s = status.st_mtime
        if sizes:
            found.append(Segment(ordinal=ordinal, size=sum(sizes), written_s=written_s))
    return found


def _begun_s(stream: Stream, now_s: float) -> float:
    """When the live log was begun: by its first event, but not before the log that it follows was
    closed, whatever times events claim for themselves."""
    closed = stream.ordinals()
    live = Position(stream.live_ordinal(), 0)
    time = _time_at(stream, live)
    begun_s = parse_rfc3339(time).timestamp() if time else now_s
    newest = stream.path(closed[-1]) if closed else None
    return max(begun_s, newest.stat().st_ctime) if newest else begun_s


def _time_at(stream: Stream, position: Position) -> str:
    """The time of the first event from a position on; empty where the next lines are none."""
    try:
        chunk = stream.read(position, patient=False)
    except LogReplaced:
        return ""
    return next((record.event.time for record in records(chunk) if record.event), "")


def _why(need: Need, state: Progress) -> str:
    if need.why == "replay":
        return f"the replay {need.replay} is not over"
    if state.paused:
        return f"it is paused: {state.paused}"
    if state.held:
        return f"it cannot be run: {state.held}"
    return {
        "cursor": "it has not read on",
        "waiting": "a delivery is not settled",
        "start": "it will start there",
    }[need.why]


def _next(home: Home, need: Need, state: Progress) -> str:
    if need.why == "replay":
        return replays.go_on(need.replay)
    if state.paused:
        return f"hookline handlers resume {need.handler}"
    if state.held or holder(home) is not None:
        return "hookline handlers"
    return "hookline dispatch --once"
