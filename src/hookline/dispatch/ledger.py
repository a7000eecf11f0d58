"""What the journal says, folded: each handler's cursors, what waits and what was settled beyond
them. Pure.

The lines are those of docs/FORMAT.md section 9. Whatever the index in state/ holds is this fold,
saved.
"""

import hashlib
import math
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from hookline.dispatch.decide import Then, Verdict, broken_because
from hookline.dispatch.subscription import Cursor, Delivery
from hookline.model.clock import stored_s
from hookline.model.position import Count, Ordinal, Position
from hookline.model.types import TYPE_BYTES_MAX

Place = tuple[str, Position, str]
_YEAR_10000_S = 253_402_300_800.0
Moment = Annotated[float, msgspec.Meta(ge=0, lt=_YEAR_10000_S)]
"""Seconds since 1970 that are a date too."""
Domain = Annotated[str, msgspec.Meta(max_length=TYPE_BYTES_MAX)]


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the journal. Times are RFC 3339, `ms` milliseconds, `offset` and `mark` bytes in
    `segment`."""

    action: Literal[
        "subscribed", "begun", "unbegun", "attempt", "batch", "cursor", "rewound", "paused",
        "resumed", "replaying", "replay", "replayed", "drop", "snapshot",
    ]  # fmt: skip
    time: str
    snapshot: str = ""
    """The name of the snapshot that the line belongs to; empty for what happened."""
    handler: str = ""
    domain: Domain = ""
    segment: Ordinal | None = None
    offset: Count | None = None
    event: str = ""
    source: str = ""
    type: str = ""
    attempt: Count = 0
    verdict: Verdict | None = None
    exit: int | None = None
    signal: int | None = None
    ms: float | None = None
    then: Then | None = None
    due: Moment | None = None
    """Seconds since 1970."""
    replay: str = msgspec.field(default="", name="replayof")
    """What it repeats: the name of a dead letter or of a replay."""
    events: Count = 0
    end: Position | None = None
    mark: Count | None = None
    letter: str = ""
    query: dict[str, str | list[str]] | None = None
    """Which events a replay is of."""
    since: Moment | None = None
    start: dict[Domain, Position] | None = msgspec.field(default=None, name="from")
    reason: str = ""
    by: str = ""
    """`hand` for a pause that a person asked for."""
    held: str = ""
    failures: Count | None = None
    """How many dead letters in a row the handler has left, where that has changed."""
    installed: Moment | None = None
    """When the handler's file that is paused or has failed came to lie there, in seconds since
    1970."""
    lines: Count = 0
    """How many lines a snapshot has before its last one."""
    error: str = ""
    stdout: str = ""
    stderr: str = ""
    traceback: str = ""

    @property
    def position(self) -> Position:
        """Where the event lies; the first one, for a batch."""
        return Position(self.segment or 1, self.offset or 0)

    @property
    def place(self) -> Place:
        """What tells the delivery that it is about from every other one of the handler."""
        return self.domain, self.position, self.replay


class Pending(msgspec.Struct, kw_only=True):
    """A delivery that was begun, or asked for again, and is not settled."""

    domain: str
    position: Position
    replay: str = ""
    event: str
    source: str
    type: str
    attempt: int
    due_at_s: float = 0.0
    """Seconds since 1970."""
    running: bool = False
    end: Position | None = None
    """Past the last event of a stretch that runs, of which this is the first; None for a run of
    one."""
    at: int | None = None
    """Which event of the stretch was at work when its dispatcher died; None: that is not known, and
    none is to blame, but each runs alone next."""

    @property
    def place(self) -> Place:
        """What tells it from every other delivery of its handler."""
        return self.domain, self.position, self.replay


class Standing(msgspec.Struct, kw_only=True):
    """Since when a handler listens, and whether it may run."""

    since_s: float = 0.0
    """Seconds since 1970."""
    paused: str = ""
    """Why it is stopped until its file changes or somebody resumes it; empty when it is not."""
    held: str = ""
    """Why its last run could not even start; empty when it did."""
    failures: int = 0
    """Dead letters in a row, see `failures_after`."""
    installed_s: float = 0.0
    """Of which file it is paused or has failed: another one is given another chance. A pause by
    hand is of every one: infinity."""

    def pause(self, reason: str, installed_s: float) -> None:
        """Stop it until its file is another than the one of that time."""
        self.paused, self.installed_s = reason, installed_s

    def resume(self) -> None:
        """Let it go on, as if it had never failed."""
        self.paused = self.held = ""
        self.failures, self.installed_s = 0, 0.0

    def count(self, failures: int, installed_s: float) -> None:
        """It has left so many dead letters in a row now."""
        self.failures = failures
        if not self.paused:
            self.installed_s = installed_s if failures else 0.0


class Progress(Standing, kw_only=True):
    """How far one handler has got."""

    starts: dict[str, Position] = msgspec.field(default_factory=dict)
    """Where it began to listen, in each domain."""
    cursors: dict[str, Cursor] = msgspec.field(default_factory=dict)
    settled: dict[str, dict[Position, str]] = msgspec.field(default_factory=dict)
    """The events beyond the cursors that are settled."""
    pending: dict[Place, Pending] = msgspec.field(default_factory=dict)


class Ledger(msgspec.Struct, kw_only=True):
    """The fold over the journal up to `folded`."""

    handlers: dict[str, Progress] = msgspec.field(default_factory=dict)
    closed: set[str] = msgspec.field(default_factory=set)
    """Dead letters that were replayed or dropped."""
    folded: Position = Position(1, 0)
    journal: str = ""
    """What tells the journal that was folded from every other one; empty when nothing was."""
    ahead: dict[int, int] = msgspec.field(default_factory=dict)
    """How far, in each segment, lines were folded too that stand behind a closed segment to which
    somebody may still write."""

    def progress(self, handler: str) -> Progress:
        """How far a handler has got; from nothing, if it was never heard of."""
        return self.handlers.setdefault(handler, Progress())

    def starts(self) -> dict[str, Position]:
        """Where somebody first began to listen, in each domain."""
        first: dict[str, Position] = {}
        for progress in self.handlers.values():
            for domain, start in progress.starts.items():
                first[domain] = min(start, first.get(domain, start))
        return first


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The line of an entry, without its newline."""
    return _ENCODER.encode(entry)


def decode(line: bytes) -> Entry | None:
    """The entry of a line, or None for a line that is not one: a torn one, one of a later version,
    or one that says what cannot be."""
    try:
        entry = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if entry.start and not all(map(str.isidentifier, entry.start)):
        return None
    can = can_be(entry.time, entry.handler, entry.domain) and _is_numbered(entry)
    return entry if can else None


def can_be(time: str, handler: str, domain: str) -> bool:
    """Whether a line that somebody has written may say so: the time is one, and the names can be
    parts of paths."""
    try:
        # A pattern in the decoder would take longer than all the rest.
        stored_s(time)
    except ValueError:
        return False
    return "\0" not in handler and (domain.isidentifier() or not domain)


def _is_numbered(entry: Entry) -> bool:
    """Whether its attempt is one: they count from 1. A snapshot tells of what has had none too."""
    if entry.attempt or entry.action not in ("attempt", "begun", "unbegun"):
        return True
    return bool(entry.snapshot) and entry.action == "attempt" and entry.then != "held"


def begun(handler: str, first: Pending | Delivery, time: str, end: Position | None = None) -> Entry:
    """The entry of a run that begins: of one event, or of a stretch that ends at `end`."""
    segment, offset = first.position
    return Entry(
        action="begun", time=time, handler=handler, domain=first.domain, segment=segment,
        offset=offset, end=end, event=first.event, source=first.source, type=first.type,
        attempt=first.attempt, replay=first.replay,
    )  # fmt: skip


def unbegun(handler: str, first: Pending | Delivery, time: str) -> Entry:
    """The entry of a run that was begun and did not come about; its attempt is given back by
    now."""
    entry = begun(handler, first, time)
    entry.action, entry.attempt = "unbegun", first.attempt + 1
    return entry


def blame(progress: Progress, first: tuple[str, Position] | None, at: int) -> list[Pending]:
    """Of what a killed dispatcher has left running, only event number `at` of the run whose first
    event lies there was at work: no other is to blame. Those whose attempt is given back.

    What came before it in its run is done and not written down, what comes behind never ran.
    """
    given_back: list[Pending] = []
    for pending in [each for each in progress.pending.values() if each.running]:
        pending.at = at if first == (pending.domain, pending.position) else None
        if not pending.end and pending.at != 0:
            pending.running = False
            pending.attempt -= 1
            given_back.append(pending)
    return given_back


def letter_of(handler: str, domain: str, source: str, event: str, replay: str) -> str:
    """The name of a dead letter; of one that a replay ends in, the name of what it repeats and a
    number, or the name of the replay.

    Others may give an event the same id: a hash tells them apart.
    """
    plain = f"{handler}:{event}"
    identity = f"{domain}\0{source}\0{event}".encode()
    first = f"{plain}~{hashlib.blake2b(identity, digest_size=4).hexdigest()}"
    if not replay:
        return first
    if replay == first or replay.startswith(f"{first}:"):
        times = replay[len(first) :]
    elif replay == plain or replay.startswith(f"{plain}:"):
        # Written before names had a hash.
        times = replay[len(plain) :]
    else:
        return f"{first}:{replay}"
    before, _, number = times.rpartition(":")
    return f"{first}{before}:{int(number) + 1}" if number.isdigit() else f"{first}{times}:1"


def fold(ledger: Ledger, entries: Iterable[Entry]) -> None:
    """Bring the ledger forward over the entries, in the journal's order.

    What a snapshot says was said before: it is for those who begin with it.
    """
    for entry in entries:
        if not entry.snapshot:
            apply(ledger, entry)


def apply(ledger: Ledger, entry: Entry) -> None:
    """Bring the ledger forward over one entry, a snapshot's too."""
    match entry.action:
        case "replay" | "drop":
            _fold_letter(ledger, entry)
        case "begun":
            _fold_begun(ledger.progress(entry.handler), entry)
        case "unbegun":
            _fold_unbegun(ledger.progress(entry.handler), entry)
        case "attempt":
            _fold_attempt(ledger.progress(entry.handler), entry)
        case "batch":
            _fold_batch(ledger.progress(entry.handler), entry)
        case "cursor":
            cursor = Cursor(entry.position, entry.mark or 0, entry.event, entry.source)
            _move(ledger.progress(entry.handler), entry.domain, cursor)
        case "rewound":
            _fold_rewound(ledger.progress(entry.handler), entry)
        case "subscribed":
            _fold_subscribed(ledger.progress(entry.handler), entry)
        case "paused":
            installed_s = math.inf if entry.by == "hand" else entry.installed or 0.0
            ledger.progress(entry.handler).pause(entry.reason or "paused", installed_s)
        case "resumed":
            ledger.progress(entry.handler).resume()
        case "snapshot":
            ledger.folded = entry.position


def _fold_subscribed(progress: Progress, entry: Entry) -> None:
    progress.since_s = entry.since or 0.0
    progress.held = entry.held or progress.held
    _fold_failures(progress, entry)
    for domain, start in (entry.start or {}).items():
        progress.starts.setdefault(domain, start)
        progress.cursors.setdefault(domain, Cursor(start))


def _fold_letter(ledger: Ledger, entry: Entry) -> None:
    if entry.letter in ledger.closed:
        return
    if entry.letter:
        ledger.closed.add(entry.letter)
    if entry.action == "replay":
        pending = _pending(entry, attempt=0)
        ledger.progress(entry.handler).pending.setdefault(pending.place, pending)


def _fold_begun(progress: Progress, entry: Entry) -> None:
    """Only what is not over: it may have ended since somebody learnt that it was under way."""
    known = progress.pending.get(entry.place)
    if known is None and (entry.replay or _is_over(progress, entry)):
        return
    if known is not None and known.attempt >= entry.attempt and (entry.end or not known.end):
        return
    pending = _pending(entry, attempt=entry.attempt)
    pending.running, pending.end = True, entry.end
    progress.pending[pending.place] = pending


def _fold_unbegun(progress: Progress, entry: Entry) -> None:
    known = progress.pending.get(entry.place)
    if known is None or not known.running or known.attempt != entry.attempt:
        return
    known.running, known.end = False, None
    known.attempt -= 1
    if not (known.attempt or known.replay):
        del progress.pending[known.place]


def _fold_attempt(progress: Progress, entry: Entry) -> None:
    progress.held = broken_because(entry.error, entry.exit) if entry.then == "held" else ""
    _fold_failures(progress, entry)
    place = entry.place
    known = progress.pending.get(place)
    if known is not None and known.attempt > entry.attempt:
        return
    progress.pending.pop(place, None)
    if _is_over(progress, entry):
        return
    if entry.then in ("retry", "held"):
        pending = _pending(entry, attempt=entry.attempt - (entry.then == "held"))
        if pending.attempt or pending.replay:
            progress.pending[place] = pending
    elif not entry.replay:
        progress.settled.setdefault(entry.domain, {})[entry.position] = entry.event


def _is_over(progress: Progress, entry: Entry) -> bool:
    """Whether the delivery was settled before, as far as that is known; never known of replays."""
    cursor = progress.cursors.get(entry.domain)
    if entry.replay:
        return False
    if cursor is not None and entry.position < cursor.position:
        return True
    return progress.settled.get(entry.domain, {}).get(entry.position) == entry.event


def _fold_rewound(progress: Progress, entry: Entry) -> None:
    """Only ever back: how far on a cursor may go depends on what is on disk. What was settled or
    waits beyond it is compared with the log before it counts."""
    known = progress.cursors.get(entry.domain)
    if known is None or known.position >= entry.position:
        progress.cursors[entry.domain] = Cursor(entry.position)


def _fold_failures(progress: Progress, entry: Entry) -> None:
    """A line says the number itself: those that were folded before come once more."""
    if entry.failures is not None:
        progress.count(entry.failures, entry.installed or 0.0)


def _fold_batch(progress: Progress, entry: Entry) -> None:
    if entry.then == "retry":
        # Each of them is tried alone; one may have been since.
        known = progress.pending.get(entry.place)
        if known is not None and known.end:
            del progress.pending[entry.place]
        return
    if entry.end is None:
        return
    progress.held = ""
    _fold_failures(progress, entry)
    _move(progress, entry.domain, Cursor(entry.end, entry.mark or 0, entry.event, entry.source))


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


def _move(progress: Progress, domain: str, cursor: Cursor) -> None:
    known = progress.cursors.get(domain)
    if known is not None and known.position > cursor.position:
        return
    progress.cursors[domain] = cursor
    ahead = {
        place: event
        for place, event in progress.settled.pop(domain, {}).items()
        if place >= cursor.position
    }
    if ahead:
        progress.settled[domain] = ahead
    for place, pending in list(progress.pending.items()):
        if pending.domain == domain and pending.position < cursor.position and not pending.replay:
            del progress.pending[place]
