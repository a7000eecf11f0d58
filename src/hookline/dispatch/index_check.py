"""The index compared with the journal that it was made from: whoever makes it again without that
journal forgets what only the index knows."""

import contextlib
from collections.abc import Iterator
from typing import Final

from hookline.dispatch.books import catch_up
from hookline.dispatch.journal import STATE_FILE, JournalFiles, open_journal
from hookline.dispatch.ledger import Ledger, Progress
from hookline.dispatch.state import State
from hookline.log.home import Home
from hookline.model.errors import BadConfig, NotAllowed, WriteFailed, printable

RESTORE: Final = (
    "restore it from a backup; without one, the next hookline dispatch begins another from what "
    "the index knows (no hookline rebuild before that)"
)


def journal_differs(home: Home) -> str:
    """Why the journal is not the one that the index was made from; empty when it is, and when there
    is no index that could tell."""
    known = _index(home)
    return _differs(home, known) if known else ""


def forgotten(home: Home) -> list[str]:
    """What a rebuild would forget, because the index knows it and the journal does not tell it."""
    known = _index(home)
    if known is None:
        return []
    differs = bool(_differs(home, known))
    files = JournalFiles(home)
    told = catch_up(Ledger(), files)
    if not differs:
        # The journal may be ahead by as much as was not committed.
        known = catch_up(known, files)
    lost: list[str] = []
    for name, progress in known.handlers.items():
        of_it = told.handlers.get(name, Progress())
        lost += _of_handler(printable(name), progress, of_it, goes_back=differs)
    decided = known.closed - told.closed
    if decided and (there := files.in_queue(decided)):
        lost.append(f"decisions on dead letters: {len(there)}")
    return lost


def _index(home: Home) -> Ledger | None:
    """What the index says; None when there is none, or none that can be read."""
    path = home.state / STATE_FILE
    if not path.exists():
        return None
    try:
        with contextlib.closing(State(path, readonly=True)) as state:
            return state.load()
    except (WriteFailed, BadConfig, NotAllowed):
        return None


def _differs(home: Home, known: Ledger) -> str:
    if not known.journal:
        return ""
    with open_journal(home) as journal:
        # In this order: a dispatcher may be closing it just now.
        is_gone = not home.deliveries.exists() and not journal.ordinals()
        end = journal.end()
    name = JournalFiles(home).name(known.folded)
    if is_gone:
        how = "missing"
    elif name not in ("", known.journal):
        how = "another than the index was made from"
    elif end < known.folded:
        how = "shorter than when the index was made from it"
    else:
        # Perhaps by far longer: an index from a backup.
        return ""
    return f"the journal {home.deliveries} is {how}"


def _of_handler(name: str, known: Progress, told: Progress, *, goes_back: bool) -> Iterator[str]:
    behind = [
        domain
        for domain, cursor in known.cursors.items()
        if domain not in told.cursors
        or (goes_back and told.cursors[domain].position < cursor.position)
    ]
    if behind:
        yield f"how far {name} has got in {' '.join(behind)}"
    waiting = [
        each
        for place, each in known.pending.items()
        if place not in told.pending and not each.running and (each.attempt or each.replay)
    ]
    if waiting:
        yield f"deliveries that wait for {name}: {len(waiting)}"
    if known.paused and not told.paused:
        yield f"that {name} is paused"
