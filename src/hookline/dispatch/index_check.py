"""The index compared with the journal that it was made from: whoever makes it again without that
journal forgets what only the index knows."""

import contextlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from hookline.dispatch.journal import STATE_FILE, JournalFiles, bytes_of, open_journal
from hookline.dispatch.ledger import Ledger, Progress
from hookline.dispatch.paper import catch_up
from hookline.dispatch.state import State
from hookline.log.home import Home
from hookline.model.errors import BadConfig, NotAllowed, WriteFailed, printable

_MISSING: Final = (
    "restore it from a backup; without one, the next dispatcher begins another with what the index "
    "knows (no hookline rebuild before that)"
)
_SHORTER: Final = (
    "restore it from a backup; without one, the next dispatcher goes on with what the index knows "
    "(no hookline rebuild)"
)
_ANOTHER: Final = (
    "put the right one back; the next dispatcher makes the index again from this one, and does "
    "once more what it does not tell"
)


class Difference(NamedTuple):
    """How the journal differs from the one that the index was made from."""

    how: str
    next: str
    """What to do."""


def journal_differs(home: Home) -> Difference | None:
    """How the journal is not the one that the index was made from; None when it is, and when there
    is no index that could tell."""
    known = _index(home)
    return _differs(home, known) if known else None


def see_journal(home: Home) -> None:
    """Raises BadConfig where the journal is missing: what anybody but the dispatcher then writes
    would be taken for the whole of it."""
    known = None if bytes_of(home.deliveries) else _index(home)
    lost = _differs(home, known) if known else None
    if lost and lost.next == _MISSING:
        raise BadConfig(f"{lost.how}: {lost.next}")


def forgotten(home: Home) -> list[str]:
    """What a rebuild would forget, because the index knows it and the journal does not tell it."""
    known = _index(home)
    if known is None:
        return []
    differs = _differs(home, known) is not None
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


def _differs(home: Home, known: Ledger) -> Difference | None:
    if not known.journal:
        return None
    files, path = JournalFiles(home), home.deliveries
    if files.begun_anew(known.folded) is not None:
        return Difference(f"the journal {path} is missing", _MISSING)
    if files.name(known.folded) not in ("", known.journal):
        how = f"the journal {path} is another than the index was made from"
        return Difference(how, _ANOTHER)
    with open_journal(home) as journal:
        end = journal.end()
    if end < known.folded or files.in_a_line(known.folded):
        how = f"the journal {path} is shorter than when the index was made from it"
        return Difference(how, _SHORTER)
    # Perhaps by far longer: an index from a backup.
    return None


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
