"""Every line of a log, judged as a reader judges it, and the files that the lines lie in.

Reads only, and beside running writers: what may just be happening (a tail that is being written, a
segment that somebody still has open) is a note, never an error.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.log.errors import LogReplaced, SegmentDamaged, SegmentGone
from hookline.log.holders import holders
from hookline.log.home import Home, log_stem
from hookline.log.read import Record, records
from hookline.log.rejected import aside, is_known
from hookline.log.segments import Segments
from hookline.log.stream import Chunk, Stream
from hookline.model.clock import Clock, parse_rfc3339, rfc3339
from hookline.model.errors import BadData, NotAllowed, printable
from hookline.model.event import Event
from hookline.model.position import Position
from hookline.model.types import domain_of

Level = Literal["wrong", "note"]
Awaited = Callable[[Position], bool]
"""Whether a handler is still to get there."""
Twin = Callable[[Position, Position, str, str], bool]
"""Whether an event (its position, its end, `source` and `id`) was stored before."""

OUT_OF_ORDER: Final = timedelta(days=1)
"""Clocks of several machines differ, and an event may wait in its writer; not for a day."""
_CHUNK_BYTES: Final = 1 << 18
_SEAL_WAIT_S: Final = 0.2
_NULS: Final = re.compile(rb"\0+")
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be, or worth to be known (`note`)."""

    level: Level
    check: str
    log: str
    """The domain, or `deliveries` or `dead-letters`."""
    segment: int = 0
    offset: int = 0
    length: int = 0
    found: str
    means: str = ""
    """What became of it: delivered, set aside, lost."""
    next: str = ""
    """What to do, if there is something."""


class Tally(msgspec.Struct):
    """How much was looked at, so far; whoever shows it is told when there is more."""

    lines: int = 0
    events: int = 0
    bytes: int = 0
    grown: Callable[[], None] = lambda: None

    def count(self, chunk: Chunk, lines: int, events: int = 0) -> None:
        """One chunk more."""
        self.lines += lines
        self.events += events
        self.bytes += len(chunk.data) or sum(
            each.end - each.position.offset for each in chunk.lines
        )
        self.grown()


class LogCheck:
    """Looks at one domain's log."""

    def __init__(
        self,
        home: Home,
        domain: str,
        twin: Twin,
        tally: Tally,
        clock: Clock,
        *,
        awaited: Awaited = lambda _: True,
    ) -> None:
        self._home = home
        self._domain = domain
        self._twin = twin
        self._awaited = awaited
        self._tally = tally
        self._stream = Stream.of_domain(home, domain)
        self._newest = ""
        self._future = rfc3339(clock.now() + OUT_OF_ORDER)
        self._types: dict[str, bool] = {}

    def findings(self) -> Iterator[Finding]:
        """Everything that there is to say of it, in log order; the files first."""
        with self._stream:
            yield from check_files(self._stream.segments, self._domain)
            for chunk in read_all(self._stream, self._domain):
                if isinstance(chunk, Finding):
                    yield chunk
                else:
                    yield from self._chunk(chunk)
            ends = "a dispatcher ends it when it has stood for a second"
            yield from check_tail(self._stream, self._domain, ends, "hookline dispatch --once")

    def _chunk(self, chunk: Chunk) -> Iterator[Finding]:
        found = records(chunk)
        for found_nuls in nuls(chunk, self._domain, "what parses around them is delivered"):
            place = Position(found_nuls.segment, found_nuls.offset)
            yield unless_seen(found_nuls, aside(self._home, log_stem(self._domain), place))
        # Blank lines and glued ones are rare, and their places are looked for only then.
        in_order = chunk.data.count(b"\n") == len(found)
        events = 0
        for record in found:
            event = record.event
            if event is None:
                yield self._no_event(record)
                continue
            events += 1
            if event.time < self._newest or event.time > self._future:
                yield from self._time(record, event)
            else:
                self._newest = event.time
            known = self._types.get(event.type)
            if known is None:
                known = self._types[event.type] = domain_of(event.type) == self._domain
            if not known:
                yield self._foreign(record, event)
            if event.dataref is not None:
                yield from self._dataref(record, event)
            if self._twin(record.position, record.end, event.source, event.id):
                yield self._stored_twice(record, event)
            if not in_order and self._is_glued(chunk, record):
                yield self._finding(
                    record, "note", "glued", "it stands behind another line without a newline",
                    "it is read and delivered all the same",
                )  # fmt: skip
        self._tally.count(chunk, len(found), events)

    def _finding(
        self, record: Record, level: Level, check: str, found: str, means: str, next: str = ""
    ) -> Finding:
        return Finding(
            level=level,
            check=check,
            log=self._domain,
            segment=record.position.segment,
            offset=record.position.offset,
            length=record.end.offset - record.position.offset,
            found=found,
            means=means,
            next=next,
        )

    def _no_event(self, record: Record) -> Finding:
        if record.kind == "legacy":
            return self._finding(
                record, "note", "legacy", record.why, "readers show it; nobody is given it"
            )
        place = self._home, log_stem(self._domain), record.position
        path = aside(*place)
        check = "too-long" if record.why.startswith("longer than") else "torn"
        found = printable(record.why)
        if not is_known(*place) and self._awaited(record.position):
            return self._finding(
                record, "wrong", check, found,
                f"a dispatcher puts it in {path} when a handler gets there",
                "hookline dispatch --once",
            )  # fmt: skip
        means = "no handler has still to get there"
        return unless_seen(self._finding(record, "wrong", check, found, means), path)

    def _time(self, record: Record, event: Event) -> Iterator[Finding]:
        if event.time > self._future:
            yield self._finding(
                record, "note", "time", f"its time {event.time} is to come",
                "delivered: only position is an order",
            )  # fmt: skip
        elif parse_rfc3339(self._newest) - parse_rfc3339(event.time) > OUT_OF_ORDER:
            found = f"its time {event.time} is long before that of an earlier line, {self._newest}"
            yield self._finding(
                record, "note", "time", found, "delivered: only position is an order"
            )

    def _foreign(self, record: Record, event: Event) -> Finding:
        domain = domain_of(event.type)
        return self._finding(
            record, "wrong", "domain", f"its type {event.type} belongs to the log of {domain}",
            "given to handlers that want all types, and to nobody else",
            "hookline emit again what is needed; a writer appends to the wrong file",
        )  # fmt: skip

    def _dataref(self, record: Record, event: Event) -> Iterator[Finding]:
        if event.dataref != f"data/{event.id}.json":
            found = f"its dataref {printable(event.dataref or '')!r} is none of this log's"
        elif not (self._home.events / event.dataref).is_file():
            found = f"its payload {event.dataref} is missing"
        else:
            return
        yield self._finding(
            record, "wrong", "dataref", found, "handlers are given the event without its payload",
            f"restore {self._home.data} from a backup",
        )  # fmt: skip

    def _stored_twice(self, record: Record, event: Event) -> Finding:
        return self._finding(
            record, "note", "twin", f"the identity {printable(event.id)} was stored before",
            "delivered once, at its first place",
        )  # fmt: skip

    @staticmethod
    def _is_glued(chunk: Chunk, record: Record) -> bool:
        at = record.position.offset - chunk.start.offset
        return 0 < at <= len(chunk.data) and chunk.data[at - 1] not in b"\n\0"


def nul_runs(chunk: Chunk) -> Iterator[tuple[Position, int]]:
    """Where NULs stand in a chunk, and how many."""
    if b"\0" in chunk.data:
        segment, offset = chunk.start
        for run in _NULS.finditer(chunk.data):
            yield Position(segment, offset + run.start()), len(run[0])


def nuls(chunk: Chunk, log: str, means: str) -> Iterator[Finding]:
    """The NULs in a chunk, as findings."""
    for (segment, offset), length in nul_runs(chunk):
        yield Finding(
            level="wrong",
            check="nuls",
            log=log,
            segment=segment,
            offset=offset,
            length=length,
            found=f"{length} NUL bytes: a power cut took what was written here",
            means=means,
        )


def unless_seen(finding: Finding, path: Path) -> Finding:
    """A finding that nobody can mend, with what says that a person knows of it: a file, which makes
    it a note."""
    try:
        is_kept = path.stat().st_size > 0
    except OSError:
        return msgspec.structs.replace(finding, next=f"touch {path} says that you have seen it")
    means = f"set aside in {path.name}" if is_kept else f"seen by somebody, says {path.name}"
    then = f"jq . {path}" if is_kept else ""
    return msgspec.structs.replace(finding, level="note", means=means, next=then)


def read_all(stream: Stream, log: str) -> Iterator[Chunk | Finding]:
    """All lines of a log as a reader takes them, and what keeps it from taking some.

    Ends at the end that the log has now.
    """
    position = stream.first()
    patient = True
    while True:
        try:
            chunk = stream.read(position, _CHUNK_BYTES, patient=patient)
        except SegmentDamaged as damaged:
            yield _in_file(
                stream, log, position, "damaged", str(damaged),
                "lost behind this place, unless a backup has it",
            )  # fmt: skip
            position = damaged.resume
            continue
        except SegmentGone as gone:
            position = gone.resume
            continue
        except LogReplaced as replaced:
            yield _in_file(stream, log, position, "replaced", f"{replaced}", "", level="note")
            return
        except NotAllowed:
            # `check_files` says so.
            if position.segment >= stream.live_ordinal():
                return
            position = Position(position.segment + 1, 0)
            continue
        if chunk.data or chunk.lines:
            yield chunk
        if chunk.next != position:
            patient = patient or chunk.next.segment != position.segment
            position = chunk.next
        elif chunk.again_s is None or not patient:
            return
        else:
            patient = False
            yield from _open_segment(stream, log, position, chunk.again_s)


def _open_segment(
    stream: Stream, log: str, position: Position, again_s: float
) -> Iterator[Finding]:
    """A closed segment that somebody may still write to."""
    time.sleep(min(again_s, _SEAL_WAIT_S))
    try:
        chunk = stream.read(position, 1)
    except LogReplaced:
        # Final by now, and what follows it is missing: the next read says so.
        return
    path = stream.path(position.segment)
    if chunk.again_s is None or path is None:
        return
    who = ", ".join(f"{each.name} ({each.pid})" for each in holders(path)) or "a process"
    yield Finding(
        level="note",
        check="open",
        log=log,
        segment=position.segment,
        offset=position.offset,
        found=f"{who} has the closed segment open for writing",
        means="nobody reads past its end before that ends",
        next=f"end {who}, if it has forgotten to",
    )


def _in_file(
    stream: Stream, log: str, position: Position, check: str, found: str, means: str,
    *, level: Level = "wrong",
) -> Finding:  # fmt: skip
    path = stream.path(position.segment)
    return Finding(
        level=level,
        check=check,
        log=log,
        segment=position.segment,
        offset=position.offset,
        found=found,
        means=means,
        next=f"restore {path} from a backup" if level == "wrong" else "",
    )


def check_tail(stream: Stream, log: str, means: str, next: str = "") -> Iterator[Finding]:
    """Whether the live file ends in the middle of a line; `means`: what ends that."""
    try:
        end = stream.end()
        if stream.tail_torn():
            yield Finding(
                level="note",
                check="tail",
                log=log,
                segment=end.segment,
                offset=end.offset,
                found="the last line has no newline: it is being written, or it is torn",
                means=means,
                next=next,
            )
    except NotAllowed:
        # `check_files` says so.
        return


def check_files(segments: Segments, log: str) -> Iterator[Finding]:
    """What lies in the places of a log's files, before anything is read of them."""
    ordinals = segments.ordinals()
    for ordinal in ordinals:
        plain, packed = segments.plain(ordinal), segments.packed(ordinal)
        both = os.path.lexists(plain) and os.path.lexists(packed)
        if both:
            yield Finding(
                level="note",
                check="both",
                log=log,
                segment=ordinal,
                found="it is there plain and compressed: compressing was cut short",
                means="the plain file counts",
                next="hookline archive compresses it again",
            )
        yield from _check_file(plain, log, ordinal)
        yield from _check_file(packed, log, ordinal)
    for before, behind in pairwise(ordinals):
        if behind - before > 1:
            yield _gap(segments, log, before + 1, behind - 1)
    yield from _check_file(segments.live, log, segments.live_ordinal())


def _gap(segments: Segments, log: str, first: int, last: int) -> Finding:
    missing = segments.plain(first)
    many = first != last
    return Finding(
        level="wrong",
        check="gap",
        log=log,
        segment=first,
        found=f"the segments up to {last:08d} are missing between others"
        if many
        else "the segment is missing between others",
        means="whoever had not read it goes on behind it",
        next=f"restore {missing} and those behind it from a backup, or move away what is not of "
        "this log"
        if many
        else f"restore {missing} from a backup",
    )


def _check_file(path: str, log: str, ordinal: int) -> Iterator[Finding]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return

    def wrong(check: str, found: str, means: str, next: str) -> Finding:
        return Finding(
            level="wrong",
            check=check,
            log=log,
            segment=ordinal,
            found=found,
            means=means,
            next=next,
        )

    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        # Somebody may have put something into a folder.
        away = f"mv {path} {path}.aside" if stat.S_ISDIR(status.st_mode) else f"rm {path}"
        yield wrong("file", f"in its place lies {kind}", "it is neither read nor written to", away)
        return
    if status.st_nlink > 1:
        found = "it is a hard link to another file"
        yield wrong(
            "file", found, "writers refuse it", f"cp {path} {path}.copy, and put that there"
        )
    if status.st_mode & 0o002:
        found = "everybody may write to it"
        yield wrong("mode", found, "anybody can put an event there", f"chmod o-w {path}")
    if not os.access(path, os.R_OK):
        found = "this user may not read it"
        yield wrong("mode", found, "it was not looked at", f"chmod u+r {path}, or run as its owner")


def json_object(raw: bytes) -> bool:
    """Whether a line is a JSON object: of a later version, perhaps, and not torn."""
    try:
        return isinstance(msgspec.json.decode(raw), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadData):
        return False
