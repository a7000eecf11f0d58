"""What the journal says, folded: each handler's cursors, what waits and what was settled beyond
them. Pure.

The lines are those of docs/FORMAT.md section 9. Whatever the index in state/ holds is this fold,
saved.
"""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from hookline.dispatch.decide import Then, Verdict
from hookline.dispatch.subscription import Cursor
from hookline.model.clock import parse_rfc3339
from hookline.model.position import Position

Place = tuple[str, Position, int]


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the journal. Times are RFC 3339, `ms` milliseconds, `offset` and `mark` bytes in
    `segment`."""

    action: Literal[
        "subscribed", "attempt", "batch", "cursor", "paused", "resumed", "replay", "drop"
    ]
    time: str
    handler: str = ""
    domain: str = ""
    segment: int | None = None
    offset: int | None = None
    event: str = ""
    source: str = ""
    type: str = ""
    attempt: int = 0
    verdict: Verdict | None = None
    exit: int | None = None
    signal: int | None = None
    ms: float | None = None
    then: Then | None = None
    due: float | None = None
    """Seconds since 1970."""
    replay: int = 0
    events: int = 0
    end: Position | None = None
    mark: int | None = None
    letter: str = ""
    since: float | None = None
    start: dict[str, Position] | None = msgspec.field(default=None, name="from")
    reason: str = ""
    by: str = ""
    """`hand` for a pause that a person asked for."""
    error: str = ""
    stdout: str = ""
    stderr: str = ""

    @property
    def position(self) -> Position:
        """Where the event lies; the first one, for a batch."""
        return Position(self.segment or 0, self.offset or 0)


class Pending(msgspec.Struct, kw_only=True):
    """A delivery that was begun, or asked for again, and is not settled."""

    domain: str
    position: Position
    replay: int = 0
    event: str
    source: str
    type: str
    attempt: int
    due_at_s: float = 0.0
    """Seconds since 1970."""
    running: bool = False

    @property
    def place(self) -> Place:
        """What tells it from every other delivery of its handler."""
        return self.domain, self.position, self.replay


class Progress(msgspec.Struct, kw_only=True):
    """How far one handler has got."""

    since_s: float = 0.0
    cursors: dict[str, Cursor] = msgspec.field(default_factory=dict)
    settled: dict[str, dict[Position, str]] = msgspec.field(default_factory=dict)
    """The events beyond the cursors that are settled."""
    pending: dict[Place, Pending] = msgspec.field(default_factory=dict)
    paused: str = ""
    paused_at_s: float = 0.0
    """When, in seconds since 1970: a file that was changed later is given another chance. A pause
    by hand is never: infinity."""
    held: str = ""
    """Why its last run could not even start; empty when it did."""


class Ledger(msgspec.Struct, kw_only=True):
    """The fold over the journal up to `folded`."""

    handlers: dict[str, Progress] = msgspec.field(default_factory=dict)
    closed: set[str] = msgspec.field(default_factory=set)
    """Dead letters that were replayed or dropped."""
    folded: Position = Position(1, 0)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The line of an entry, without its newline."""
    return _ENCODER.encode(entry)


def decode(line: bytes) -> Entry | None:
    """The entry of a line, or None for a line that is not one: a torn one, or of a later
    version."""
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def letter_of(handler: str, event: str, replay: int) -> str:
    """The name of a dead letter."""
    return f"{handler}:{event}:{replay}" if replay else f"{handler}:{event}"


def fold(ledger: Ledger, entries: Iterable[Entry]) -> None:
    """Bring the ledger forward over the entries, in the journal's order."""
    for entry in entries:
        match entry.action:
            case "replay" | "drop":
                _fold_letter(ledger, entry)
            case "attempt":
                _fold_attempt(_progress(ledger, entry), entry)
            case "batch":
                _fold_batch(_progress(ledger, entry), entry)
            case "cursor":
                cursor = Cursor(entry.position, entry.mark or 0, entry.event, entry.source)
                _move(_progress(ledger, entry), entry.domain, cursor)
            case "subscribed":
                _fold_subscribed(_progress(ledger, entry), entry)
            case "paused":
                reason = entry.reason or "paused"
                _fold_pause(
                    _progress(ledger, entry), reason, entry.time, by_hand=entry.by == "hand"
                )
            case "resumed":
                _fold_pause(_progress(ledger, entry), "", entry.time)


def _progress(ledger: Ledger, entry: Entry) -> Progress:
    return ledger.handlers.setdefault(entry.handler, Progress())


def _fold_pause(progress: Progress, reason: str, time: str, *, by_hand: bool = False) -> None:
    progress.paused = reason
    progress.paused_at_s = math.inf if by_hand else parse_rfc3339(time).timestamp()


def _fold_subscribed(progress: Progress, entry: Entry) -> None:
    progress.since_s = entry.since or 0.0
    for domain, start in (entry.start or {}).items():
        progress.cursors.setdefault(domain, Cursor(start))


def _fold_letter(ledger: Ledger, entry: Entry) -> None:
    if entry.letter in ledger.closed:
        return
    ledger.closed.add(entry.letter)
    if entry.action == "replay":
        pending = _pending(entry, attempt=0)
        _progress(ledger, entry).pending.setdefault(pending.place, pending)


def _fold_attempt(progress: Progress, entry: Entry) -> None:
    progress.held = entry.error or "it cannot be run" if entry.then == "held" else ""
    place = (entry.domain, entry.position, entry.replay)
    known = progress.pending.get(place)
    if known is not None and known.attempt > entry.attempt:
        return
    match entry.then:
        case "retry":
            progress.pending[place] = _pending(entry, attempt=entry.attempt)
        case "held":
            progress.pending[place] = _pending(entry, attempt=entry.attempt - 1)
        case _:
            progress.pending.pop(place, None)
            if not entry.replay:
                _settle(progress, entry)


def _fold_batch(progress: Progress, entry: Entry) -> None:
    if entry.end is None:
        return
    _move(progress, entry.domain, Cursor(entry.end, entry.mark or 0, entry.event, entry.source))
    for place, pending in list(progress.pending.items()):
        within = place[0] == entry.domain and entry.position <= pending.position < entry.end
        if within and not pending.replay:
            del progress.pending[place]


def _pending(entry: Entry, *, attempt: int) -> Pending:
    return Pending(
        domain=entry.domain,
        position=entry.position,
        replay=entry.replay,
        event=entry.event,
        source=entry.source,
        type=entry.type,
        attempt=attempt,
        due_at_s=entry.due or 0.0,
    )


def _settle(progress: Progress, entry: Entry) -> None:
    cursor = progress.cursors.get(entry.domain)
    if cursor is None or entry.position >= cursor.position:
        progress.settled.setdefault(entry.domain, {})[entry.position] = entry.event


def _move(progress: Progress, domain: str, cursor: Cursor) -> None:
    known = progress.cursors.get(domain)
    if known is not None and known.position >= cursor.position:
        return
    progress.cursors[domain] = cursor
    settled = progress.settled.get(domain)
    if settled:
        progress.settled[domain] = {
            place: event for place, event in settled.items() if place >= cursor.position
        }
