"""Everything that a home has stored, looked at: the logs, the journal, the dead letters, and
whether they fit together."""

import os
import stat
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from hookline.dispatch import ledger as journal_lines
from hookline.dispatch.books import DeadLetter
from hookline.dispatch.identities import Identities
from hookline.dispatch.journal import open_journal, read_ledger
from hookline.dispatch.ledger import Entry
from hookline.log.home import Home
from hookline.log.lines import Line
from hookline.log.read import domains, records
from hookline.log.stream import BEGINNING, Stream
from hookline.log.verify import (
    Finding,
    LogCheck,
    Tally,
    check_files,
    check_tail,
    json_object,
    read_all,
)
from hookline.model.clock import SystemClock
from hookline.model.errors import HooklineError, Usage, shown
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern, is_pattern

JOURNAL: Final = "deliveries"
LETTERS: Final = "dead-letters"
_PLACES_KEPT: Final = 16


def verify(home: Home, wanted: Sequence[str], tally: Tally) -> Iterator[Finding]:
    """What there is to say of these domains (or patterns), or of all that the home has stored.

    `tally` grows meanwhile. Raises Usage for a domain that is not there.
    """
    chosen = _choose(home, wanted)
    for domain in chosen:
        with tempfile.TemporaryDirectory(prefix="hookline-verify-") as folder:
            known = Identities(Path(folder) / "identities")
            known.begin(domain, BEGINNING)
            twin = partial(known.is_twin, domain)
            yield from LogCheck(home, domain, twin, tally, SystemClock()).findings()
    if not wanted:
        places = _Places(home)
        yield from _journal(home, places, tally)
        yield from _cursors(home, places)
        yield from _letters(home, tally)


def _choose(home: Home, wanted: Sequence[str]) -> list[str]:
    found = domains(home)
    if not wanted:
        return found
    chosen: set[str] = set()
    for each in wanted:
        only = domain_of_pattern(each) if is_pattern(each) else each
        matching = found if only is None else [domain for domain in found if domain == only]
        if not matching:
            known = ", ".join(found) or "there is none"
            raise Usage(f"no log of {shown(each)}; the domains of {home.root}: {known}")
        chosen.update(matching)
    return sorted(chosen)


class _Places:
    """Which event lies where, for questions that mostly go forward."""

    def __init__(self, home: Home) -> None:
        self._streams = {domain: Stream.of_domain(home, domain) for domain in domains(home)}
        self._kept: OrderedDict[tuple[str, Position], dict[Position, str]] = OrderedDict()

    def event_at(self, domain: str, position: Position) -> str | None:
        """The id of the event there, empty where none is; None when the segment is not there any
        more."""
        for (of, _), kept in reversed(self._kept.items()):
            if of == domain and position in kept:
                return kept[position]
        stream = self._streams.get(domain)
        if stream is None or position < stream.first():
            return None
        try:
            chunk = stream.read(position, patient=False)
        except HooklineError:
            return ""
        found = {each.position: each.event.id for each in records(chunk) if each.event}
        self._kept[domain, position] = found
        if len(self._kept) > _PLACES_KEPT:
            self._kept.popitem(last=False)
        return found.get(position, "")

    def end(self, domain: str) -> Position | None:
        """Behind the last line of a domain; None when it has no log."""
        stream = self._streams.get(domain)
        try:
            return stream.end() if stream else None
        except HooklineError:
            return None


def _journal(home: Home, places: _Places, tally: Tally) -> Iterator[Finding]:
    """Every line of the journal, and whether the events that it tells of are there."""
    with open_journal(home) as stream:
        yield from check_files(stream.segments, JOURNAL)
        for chunk in read_all(stream, JOURNAL):
            if isinstance(chunk, Finding):
                yield chunk
                continue
            tally.count(chunk, len(chunk.lines))
            for line in chunk.lines:
                entry = journal_lines.decode(line.raw)
                if entry is None:
                    yield _no_entry(line)
                elif entry.action in ("attempt", "batch") and not entry.snapshot:
                    yield from _event_there(line, entry, places)
        yield from check_tail(stream, JOURNAL)


def _no_entry(line: Line) -> Finding:
    if json_object(line.raw):
        return _of_journal(
            line, "note", "a line of another version, or of somebody else's", "it is passed over"
        )
    return _of_journal(
        line, "wrong", "no JSON: torn by a full disk, a kill or a power cut",
        "it is passed over: a run that it told the end of may be run again",
    )  # fmt: skip


def _event_there(line: Line, entry: Entry, places: _Places) -> Iterator[Finding]:
    at = Position(entry.position.segment, entry.mark or 0) if entry.end else entry.position
    if entry.end and entry.end.segment != at.segment:
        return
    there = places.event_at(entry.domain, at)
    if there is not None and there != entry.event:
        where = f"{entry.domain} {at.segment:08d}:{at.offset}"
        yield _of_journal(
            line, "wrong", f"{entry.handler} had {entry.event} of {where}, which is not there now",
            "the log lost it after it was handled: to a power cut, or to whoever changed the log",
        )  # fmt: skip


def _of_journal(line: Line, level: str, found: str, means: str) -> Finding:
    return Finding(
        level="wrong" if level == "wrong" else "note",
        check="entry",
        log=JOURNAL,
        segment=line.position.segment,
        offset=line.position.offset,
        length=line.end - line.position.offset,
        found=found,
        means=means,
    )


def _cursors(home: Home, places: _Places) -> Iterator[Finding]:
    """Whether the handlers' cursors are at places that there are."""
    for name, progress in read_ledger(home).handlers.items():
        for domain, cursor in progress.cursors.items():
            end = places.end(domain)
            mark = Position(cursor.position.segment, cursor.mark)
            beyond = end is not None and cursor.position > end
            there = places.event_at(domain, mark) if cursor.event and not beyond else None
            if not beyond and there in (None, cursor.event):
                continue
            segment, offset = cursor.position
            yield Finding(
                level="wrong",
                check="cursor",
                log=domain,
                segment=segment,
                offset=offset,
                found=f"the cursor of {name} is "
                + ("past the log's end" if beyond else "of another log than this one"),
                means="the next dispatcher goes back to the beginning of the segment",
                next="hookline dispatch --once",
            )


def _letters(home: Home, tally: Tally) -> Iterator[Finding]:
    """Every line of the dead-letter queue."""
    path = home.dead_letters
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        yield _of_letters(
            0,
            0,
            "it is no regular file that this user may read",
            "nobody reads it",
            f"ls -l {path}",
        )
        return
    decode = msgspec.json.Decoder(DeadLetter).decode
    offset = 0
    with path.open("rb") as file:
        for line in file:
            tally.lines += 1
            tally.bytes += len(line)
            try:
                if line.strip():
                    decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                yield _of_letters(
                    offset, len(line), "no dead letter: torn by a full disk, a kill or a power cut",
                    "it is passed over: its delivery is in the journal", f"tail -c +{offset + 1} "
                    f"{path} | head -c {len(line)}",
                )  # fmt: skip
            offset += len(line)


def _of_letters(offset: int, length: int, found: str, means: str, next: str) -> Finding:
    return Finding(
        level="wrong", check="letter", log=LETTERS, segment=1, offset=offset, length=length,
        found=found, means=means, next=next,
    )  # fmt: skip
