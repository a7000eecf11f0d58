"""Everything that a home has stored, looked at: the logs, the journal, the dead letters, and
whether they fit together."""

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from hookline.dispatch import ledger as journal_lines
from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.identities import Identities
from hookline.dispatch.journal import open_journal, open_letters_log, read_ledger
from hookline.dispatch.ledger import Entry
from hookline.log.home import Home
from hookline.log.lines import Line
from hookline.log.read import domains, records
from hookline.log.stream import BEGINNING, Stream
from hookline.log.verify import (
    Finding,
    Level,
    LogCheck,
    Tally,
    check_files,
    check_tail,
    json_object,
    read_all,
)
from hookline.model.clock import SystemClock
from hookline.model.errors import HooklineError, Usage, printable, shown
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern, is_pattern

JOURNAL: Final = "deliveries"
LETTERS: Final = "dead-letters"
_PLACES_KEPT: Final = 16
Judge = Callable[[Line], Iterator[Finding]]
"""Says what is wrong with a line."""


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
        yield from _stored(open_journal(home), JOURNAL, tally, partial(_entry, places))
        yield from _cursors(home, places)
        yield from _stored(open_letters_log(home), LETTERS, tally, _letter)


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


def _stored(stream: Stream, log: str, tally: Tally, judge: Judge) -> Iterator[Finding]:
    """Every line of a log that is not of a domain."""
    with stream:
        yield from check_files(stream.segments, log)
        for chunk in read_all(stream, log):
            if isinstance(chunk, Finding):
                yield chunk
                continue
            tally.count(chunk, len(chunk.lines))
            for line in chunk.lines:
                yield from judge(line)
        yield from check_tail(stream, log)


def _entry(places: _Places, line: Line) -> Iterator[Finding]:
    """A line of the journal, and whether the event that it tells of is there."""
    entry = journal_lines.decode(line.raw)
    if entry is None:
        yield _no_entry(line)
    elif entry.action in ("attempt", "batch") and not entry.snapshot:
        yield from _event_there(line, entry, places)


def _letter(line: Line) -> Iterator[Finding]:
    """A line of the dead-letter queue."""
    if not line.too_long and decode_letter(line.raw) is not None:
        return
    yield _of_line(
        LETTERS, line, "wrong", "no dead letter: torn by a full disk, a kill or a power cut",
        "it is passed over: the journal says that its delivery was given up",
        "hookline dead-letters purge takes it away with the old ones",
    )  # fmt: skip


def _no_entry(line: Line) -> Finding:
    if json_object(line.raw):
        return _of_line(
            JOURNAL,
            line,
            "note",
            "a line of another version, of somebody else's, or with a value that cannot be",
            "it is passed over",
        )
    return _of_line(
        JOURNAL, line, "wrong", "no JSON: torn by a full disk, a kill or a power cut",
        "it is passed over: a run that it told the end of may be run again",
        "hookline archive takes that part of the journal away when it is old",
    )  # fmt: skip


def _event_there(line: Line, entry: Entry, places: _Places) -> Iterator[Finding]:
    at = Position(entry.position.segment, entry.mark or 0) if entry.end else entry.position
    if entry.end and entry.end.segment != at.segment:
        return
    there = places.event_at(entry.domain, at)
    if there is not None and there != entry.event:
        where = f"{entry.domain} {at.segment:08d}:{at.offset}"
        yield _of_line(
            JOURNAL, line, "wrong",
            f"{entry.handler} had {entry.event} of {where}, which is not there now",
            "the log lost it after it was handled: to a power cut, or to whoever changed the log",
            f"hookline explain {printable(entry.event)}",
        )  # fmt: skip


def _of_line(log: str, line: Line, level: Level, found: str, means: str, next: str = "") -> Finding:
    return Finding(
        level=level,
        check="letter" if log == LETTERS else "entry",
        log=log,
        segment=line.position.segment,
        offset=line.position.offset,
        length=line.end - line.position.offset,
        found=found,
        means=means,
        next=next,
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
