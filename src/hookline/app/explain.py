"""Why something ran, or did not."""

from hookline.app.survey import find_handlers
from hookline.dispatch.feed import line_of
from hookline.dispatch.handlers import Handler, Handlers
from hookline.dispatch.journal import open_journal, read_ledger
from hookline.dispatch.ledger import Entry, Ledger, Progress
from hookline.dispatch.paper import entries
from hookline.log.home import Home
from hookline.log.query import find_event
from hookline.log.read import Record
from hookline.log.stream import BEGINNING
from hookline.model.position import Position
from hookline.model.types import matches

Row = dict[str, str]
"""`handler`, `answer` and `why`."""


def explain_type(home: Home, type: str) -> list[Row]:
    """For each handler whether it would run for an event of this type, and why."""
    found = find_handlers(home)
    ledger = read_ledger(home)
    rows = [_would(handler, type, ledger) for handler in found.handlers]
    return rows + _refused(found)


def explain_event(home: Home, identity: str) -> tuple[bytes, list[Row]]:
    """The line of an event, and for each handler what became of it. Raises BadData when no log has
    it."""
    domain, record = find_event(home, identity)
    type = record.event.type if record.event else ""
    entries_of = _attempts(home, domain, record)
    ledger = read_ledger(home)
    found = find_handlers(home)
    rows = []
    for handler in found.handlers:
        told = entries_of.get(handler.name, [])
        if told:
            rows += [_told(handler, entry) for entry in told]
            continue
        row = _would(handler, type, ledger)
        if row["answer"] == "yes":
            row = _not_yet(handler, domain, record, ledger)
        rows.append(row)
    return line_of(record), rows + _refused(found)


def _refused(found: Handlers) -> list[Row]:
    return [
        {"handler": each.name, "answer": "refused", "why": each.reason} for each in found.refused
    ]


def _would(handler: Handler, type: str, ledger: Ledger) -> Row:
    pattern = next((p for p in handler.patterns if matches(p, type)), None)
    paused = ledger.handlers.get(handler.name, Progress()).paused
    if pattern is None:
        why = f"it wants {' '.join(handler.patterns)}"
        return {"handler": handler.name, "answer": "no", "why": why}
    if paused:
        return {"handler": handler.name, "answer": "paused", "why": f"{paused}; events wait for it"}
    return {"handler": handler.name, "answer": "yes", "why": f"it wants {pattern}"}


def _not_yet(handler: Handler, domain: str, record: Record, ledger: Ledger) -> Row:
    progress = ledger.handlers.get(handler.name, Progress())
    cursor = progress.cursors.get(domain)
    pending = progress.pending.get((domain, record.position, ""))
    row = {"handler": handler.name, "answer": "waits", "why": "it has not come so far yet"}
    if pending is not None:
        how = "runs" if pending.running else "is over; it will be tried again"
        row["why"] = f"attempt {pending.attempt} {how}"
    elif cursor is None:
        row["why"] = (
            "no dispatcher has run since the handler was installed: hookline dispatch --once"
        )
    elif record.position < cursor.position:
        row["answer"] = "no"
        row["why"] = "it was logged before the handler listened, or it was stored twice"
    return row


def _told(handler: Handler, entry: Entry) -> Row:
    why = f"attempt {entry.attempt or 1} at {entry.time}, {entry.ms or 0:.0f} ms"
    if entry.replay:
        why += f", the replay of {entry.replay}"
    if entry.then not in (None, "settled"):
        why += f", then {entry.then}"
    if entry.error:
        why += f": {entry.error}"
    return {"handler": handler.name, "answer": entry.verdict or "", "why": why}


def _attempts(home: Home, domain: str, record: Record) -> dict[str, list[Entry]]:
    """The journal's entries about an event, by handler."""
    found: dict[str, list[Entry]] = {}
    stream = open_journal(home)
    position = BEGINNING
    while True:
        chunk = stream.read(position)
        for entry in entries(line.raw for line in chunk.lines):
            if entry.domain == domain and _covers(entry, record.position):
                found.setdefault(entry.handler, []).append(entry)
        if chunk.next == position:
            return found
        position = chunk.next


def _covers(entry: Entry, position: Position) -> bool:
    if entry.action == "attempt":
        return entry.position == position
    return entry.action == "batch" and entry.position <= position < (entry.end or position)
