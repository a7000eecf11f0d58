"""Everything that a home has stored, looked at: the logs, the journal, the dead letters, and
whether they fit together."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from hookline.app.config import load_config
from hookline.app.journal_check import JournalCheck, Places, finding_of_line
from hookline.app.survey import find_handlers
from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.identities import Identities
from hookline.dispatch.index_check import journal_differs
from hookline.dispatch.journal import (
    JOURNAL,
    LETTERS,
    open_journal,
    open_letters_log,
    read_ledger,
)
from hookline.dispatch.ledger import Ledger
from hookline.dispatch.start import start_position
from hookline.log.home import Home
from hookline.log.lines import Line
from hookline.log.read import domains
from hookline.log.rejected import aside
from hookline.log.stream import BEGINNING, Stream
from hookline.log.verify import (
    Finding,
    LogCheck,
    Tally,
    check_files,
    check_tail,
    nuls,
    read_all,
    unless_seen,
)
from hookline.model.clock import SystemClock, from_epoch_s, rfc3339
from hookline.model.errors import HooklineError, Usage, shown
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern, is_pattern

Judge = Callable[[Line], Iterator[Finding]]
"""Says what is wrong with a line."""


def verify(home: Home, wanted: Sequence[str], tally: Tally) -> Iterator[Finding]:
    """What there is to say of these domains (or patterns), or of all that the home has stored.

    `tally` grows meanwhile. Raises Usage for a domain that is not there.
    """
    chosen = _choose(home, wanted)
    still_awaited = _awaiting(home)
    for domain in chosen:
        with tempfile.TemporaryDirectory(prefix="hookline-verify-") as folder:
            known = Identities(Path(folder) / "identities")
            known.begin(domain, BEGINNING)
            twin = partial(known.is_twin, domain)
            awaited = partial(still_awaited, domain)
            check = LogCheck(home, domain, twin, tally, SystemClock(), awaited=awaited)
            yield from check.findings()
    if not wanted:
        if lost := journal_differs(home):
            yield Finding(
                level="wrong", check="journal", log=JOURNAL, segment=1, found=lost.how,
                means="the index knows what it does not tell", next=lost.next,
            )  # fmt: skip
        places = Places(home)
        journal = JournalCheck(home, places)
        yield from _stored(home, open_journal(home), JOURNAL, tally, journal.entry)
        yield from journal.events_gone()
        yield from _cursors(home, places)
        # Behind the journal: a letter is there before the journal says so.
        yield from _stored(
            home, open_letters_log(home), LETTERS, tally, partial(_letter, home, journal)
        )
        yield from journal.missing_letters(_kept_since(home), read_ledger(home).closed)


def _awaiting(home: Home) -> Callable[[str, Position], bool]:
    """What says whether a handler that is there is still to get to a position of a domain."""
    try:
        ledger = read_ledger(home)
    except HooklineError:
        # What is wrong with the journal, or with the index, is said behind the logs.
        return lambda *_: True

    # Not before there is damage: to know the handlers is to load those that are Python.
    @cache
    def heads(domain: str) -> list[Position]:
        try:
            return list(_heads(home, domain, ledger))
        except HooklineError:
            # Nobody can tell: as if there were a handler that has read nothing.
            return [BEGINNING]

    return lambda domain, position: any(head <= position for head in heads(domain))


def _heads(home: Home, domain: str, ledger: Ledger) -> Iterator[Position]:
    """From where on each handler reads a domain: its cursor, or the start that it would have."""
    found = {each.name: each for each in find_handlers(home).handlers}
    with Stream.of_domain(home, domain) as stream:
        for name, handler in found.items():
            if domain in handler.domains([domain]):
                cursor = ledger.progress(name).cursors.get(domain)
                yield cursor.position if cursor else start_position(stream, handler)
    for name, progress in ledger.handlers.items():
        # One that is refused now may be mended.
        if name not in found and domain in progress.cursors and (home.handlers / name).exists():
            yield progress.cursors[domain].position


def _kept_since(home: Home) -> str:
    """From when on letters are kept: those from before are purged."""
    oldest_s = SystemClock().now().timestamp() - load_config(home).dead_letters.keep_s
    return rfc3339(from_epoch_s(max(0.0, oldest_s)))


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


def _stored(home: Home, stream: Stream, log: str, tally: Tally, judge: Judge) -> Iterator[Finding]:
    """Every line of a log that is not of a domain."""
    with stream:
        yield from check_files(stream.segments, log)
        for chunk in read_all(stream, log):
            if isinstance(chunk, Finding):
                yield chunk
                continue
            tally.count(chunk, len(chunk.lines))
            for finding in nuls(chunk, log, "what it told is lost"):
                place = Position(finding.segment, finding.offset)
                yield unless_seen(finding, aside(home, log, place))
            for line in chunk.lines:
                yield from judge(line)
        yield from check_tail(stream, log, "the next line that is written there ends it")


def _letter(home: Home, check: JournalCheck, line: Line) -> Iterator[Finding]:
    """A line of the dead-letter queue."""
    letter = None if line.too_long else decode_letter(line.raw)
    if letter is not None:
        check.see_letter(letter)
        return
    finding = finding_of_line(
        LETTERS, "letter", line, "wrong", "no dead letter: torn or damaged",
        "it is passed over; which one is missing for it, the journal tells",
    )  # fmt: skip
    yield unless_seen(finding, aside(home, LETTERS, line.position))


def _cursors(home: Home, places: Places) -> Iterator[Finding]:
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
