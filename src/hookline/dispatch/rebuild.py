"""Making `state/` again from the logs and the journal.

In an order that any death may cut: everything derived is deleted, then folded and read again.
Whatever is missing of it after a crash, the next dispatcher, or the next rebuild, makes.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import msgspec

from hookline.dispatch.domain_log import DomainLog
from hookline.dispatch.feed import Feed
from hookline.dispatch.identities import Identities
from hookline.dispatch.index_check import forgotten
from hookline.dispatch.journal import STATE_FILE, load_ledger
from hookline.dispatch.ledger import Ledger
from hookline.dispatch.lock import Lock, holder
from hookline.dispatch.state import State
from hookline.log.home import Home
from hookline.model.errors import BadData, TryAgain

KEPT: Final = frozenset({"dispatcher.pid", "hookline", "locks", "replays.lock", "runs"})
"""What lies in `state/` and is not derived: who holds the lock, the scripts' way to this
installation, the locks of handlers and replays, which somebody may hold, and what the runs of a
killed dispatcher have left: the next one asks it which event was at work."""


class Rebuilt(msgspec.Struct, kw_only=True):
    """What was done, or would be."""

    deleted: list[str]
    """Names in `state/`."""
    handlers: int
    waiting: int
    """Deliveries that are to be tried again."""
    underway: int
    """Runs that were under way when a dispatcher died: they stay counted."""
    forgotten: list[str]
    """What only the index knew."""


def rebuild(home: Home, *, dry_run: bool = False, force: bool = False) -> Rebuilt:
    """Delete what is derived in `state/` and make it again; nothing runs twice for it, unless it is
    forced to forget.

    Raises BadData when the index knows what the journal does not tell, TryAgain when a dispatcher
    runs (beside which it may be previewed), WriteFailed or CannotCreate when the disk does not take
    it: then it may be called again.
    """
    # A preview writes nothing, not even a lock.
    with nullcontext() if dry_run else _locked(home):
        there = home.state.iterdir() if home.state.is_dir() else ()
        names = sorted(path.name for path in there if path.name not in KEPT)
        only_known = forgotten(home)
        if only_known and not (force or dry_run):
            raise BadData(
                f"a rebuild would forget: {'; '.join(only_known)}: restore the journal from a "
                "backup, or hookline rebuild --force does it all the same"
            )
        ledger = load_ledger(home, None)
        if not dry_run:
            # The index first: without it, all else counts as nothing.
            for path in sorted(home.state.iterdir(), key=_index_first):
                if path.name not in KEPT:
                    _delete(path)
            ledger = _save(home)
            _read_identities(home, ledger)
        pending = [each for every in ledger.handlers.values() for each in every.pending.values()]
        underway = sum(each.running for each in pending)
        return Rebuilt(
            deleted=names,
            handlers=len(ledger.handlers),
            waiting=len(pending) - underway,
            underway=underway,
            forgotten=only_known,
        )


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    try:
        lock = Lock(home)
    except TryAgain:
        pid = holder(home)
        raise TryAgain(
            f"a dispatcher runs for {home.root} (process {pid}): end it (kill {pid}), then "
            "hookline rebuild"
        ) from None
    try:
        yield
    finally:
        lock.close()


def _index_first(path: Path) -> tuple[bool, str]:
    return not path.name.startswith(STATE_FILE), path.name


def _delete(path: Path) -> None:
    """Under another name first: half a folder must not be taken for the whole."""
    if path.is_dir() and not path.is_symlink():
        doomed = path.with_name(f".{path.name.lstrip('.')}.deleted")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)


def _save(home: Home) -> Ledger:
    ledger = load_ledger(home, None)
    state = State(home.state / STATE_FILE)
    try:
        state.save(ledger)
    finally:
        state.close()
    return ledger


def _read_identities(home: Home, ledger: Ledger) -> None:
    """Know every event again, from where somebody first listened."""
    identities = Identities(home.state / "identities")
    for domain, start in ledger.starts().items():
        with DomainLog(home, domain) as log:
            feed = Feed(domain, log, identities, lambda _: None)
            feed.begin(start)
            end = log.end()
            feed.read(end)
            while feed.catching_up:
                feed.read(end)
    identities.close()
