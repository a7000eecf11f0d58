"""What the journal tells, compared with what is stored: the events that it is about, and the
letters of the deliveries that were given up."""

from collections import OrderedDict
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

import msgspec

from hookline.dispatch import ledger as journal
from hookline.dispatch.dead_letter import DeadLetter
from hookline.dispatch.journal import JOURNAL
from hookline.dispatch.ledger import Entry
from hookline.log.home import Home, log_stem
from hookline.log.lines import Line
from hookline.log.read import domains, records
from hookline.log.rejected import aside, is_known
from hookline.log.stream import BEGINNING, Stream
from hookline.log.verify import Finding, Level, json_object, unless_seen
from hookline.model.errors import HooklineError, printable
from hookline.model.position import Position

_PLACES_KEPT: Final = 16
_IDS_SHOWN: Final = 10


class Places:
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


class _GivenUp(NamedTuple):
    """What the journal says of a delivery that ended in a dead letter."""

    replay: str
    time: str
    place: Position
    """Of the journal's line."""


class _Gone(msgspec.Struct):
    """The events of one log that the journal tells of and that are not there any more."""

    lines: int = 0
    """Of the journal."""
    seen: int = 0
    """Those up to one of which somebody has said that they know of it."""
    first: Position = BEGINNING
    """Where the event of the first line lay."""
    event: str = ""
    handler: str = ""
    last: Position = BEGINNING
    """In the journal."""


class JournalCheck:
    """Looks at the journal's lines, then at the letters. Keeps nothing but what was given up and is
    not decided, and a word on each log."""

    def __init__(self, home: Home, places: Places) -> None:
        self._home = home
        self._places = places
        self._gone: dict[str, _Gone] = {}
        self._given_up: dict[tuple[str, str, str, str], _GivenUp] = {}
        """By handler, domain, source and id."""

    def entry(self, line: Line) -> Iterator[Finding]:
        """A line of the journal."""
        entry = journal.decode(line.raw)
        if entry is None:
            yield self._no_entry(line)
        elif entry.snapshot:
            return
        elif entry.action in ("replay", "drop"):
            self._given_up.pop(_delivery(entry), None)
        elif entry.action in ("attempt", "batch"):
            if entry.then == "dead-letter":
                told = _GivenUp(entry.replay, entry.time, line.position)
                self._given_up[_delivery(entry)] = told
            self._look_for(line, entry)

    def _no_entry(self, line: Line) -> Finding:
        if json_object(line.raw):
            return finding_of_line(
                JOURNAL, "entry", line, "note",
                "a line of another version, of somebody else's, or with a value that cannot be",
                "it is passed over",
            )  # fmt: skip
        finding = finding_of_line(
            JOURNAL, "entry", line, "wrong", "no JSON: torn by a full disk, a kill or a power cut",
            "it is passed over: a run that it told the end of may be run again",
        )  # fmt: skip
        return unless_seen(finding, aside(self._home, JOURNAL, line.position))

    def _look_for(self, line: Line, entry: Entry) -> None:
        """Whether the event that a line tells of is there."""
        at = Position(entry.position.segment, entry.mark or 0) if entry.end else entry.position
        if entry.end and entry.end.segment != at.segment:
            return
        there = self._places.event_at(entry.domain, at)
        if there is None or there == entry.event:
            return
        if is_known(self._home, log_stem(entry.domain), at):
            # The log's own line is told, and seen.
            return
        gone = self._gone.setdefault(entry.domain, _Gone())
        if not gone.lines:
            gone.first, gone.event, gone.handler = at, entry.event, entry.handler
        gone.lines += 1
        gone.last = line.position
        if is_known(self._home, JOURNAL, line.position):
            gone.seen += gone.lines
            gone.lines = 0

    def events_gone(self) -> Iterator[Finding]:
        """The events that the journal tells of and that are not there any more, a line a log."""
        for domain, gone in self._gone.items():
            count = gone.lines or gone.seen
            finding = Finding(
                level="wrong",
                check="entry",
                log=domain,
                segment=gone.first.segment,
                offset=gone.first.offset,
                found=f"lines of the journal that tell of events which are not there now: {count}, "
                f"the first of {printable(gone.event)} for {printable(gone.handler)}",
                means="the log lost them after they were handled: to a power cut, or to whoever "
                "changed the log",
            )
            yield unless_seen(finding, aside(self._home, JOURNAL, gone.last))

    def see_letter(self, letter: DeadLetter) -> None:
        """A letter that is there."""
        event = letter.identity
        if event is not None:
            delivery = letter.handler, letter.domain, event.source, event.id
            told = self._given_up.get(delivery)
            if told is not None and told.replay == letter.replay:
                del self._given_up[delivery]

    def missing_letters(self, since: str, closed: Container[str]) -> Iterator[Finding]:
        """The letters that the journal tells of and that were not seen, a line a handler, but for
        those from before `since` and those that were decided on meanwhile."""
        missing: dict[str, list[tuple[str, _GivenUp]]] = {}
        in_order = sorted(self._given_up.items(), key=lambda each: each[1].place)
        for (handler, domain, source, event), told in in_order:
            letter = journal.letter_of(handler, domain, source, event, told.replay)
            if told.time >= since and letter not in closed:
                missing.setdefault(handler, []).append((event, told))
                if is_known(self._home, JOURNAL, told.place):
                    # Somebody knows of all up to here.
                    del missing[handler]
        for handler, lost in missing.items():
            segment, offset = lost[0][1].place
            ids = " ".join(f"--id {printable(event)}" for event, _ in lost[:_IDS_SHOWN])
            more = ", then hookline verify names more" if len(lost) > _IDS_SHOWN else ""
            yield Finding(
                level="wrong",
                check="missing",
                log=JOURNAL,
                segment=segment,
                offset=offset,
                found=f"dead letters of {printable(handler)} that are told of from here on, and "
                f"are not there or cannot be read: {len(lost)}",
                means="what was given up is not kept",
                next=f"hookline replay --to {printable(handler)} {ids}{more}; or touch "
                f"{aside(self._home, JOURNAL, lost[-1][1].place)} says that you have seen it",
            )


def _delivery(entry: Entry) -> tuple[str, str, str, str]:
    return entry.handler, entry.domain, entry.source, entry.event


def finding_of_line(
    log: str, check: str, line: Line, level: Level, found: str, means: str
) -> Finding:
    """What there is to say of a line of the journal or of the letters."""
    return Finding(
        level=level,
        check=check,
        log=log,
        segment=line.position.segment,
        offset=line.position.offset,
        length=line.end - line.position.offset,
        found=found,
        means=means,
    )
