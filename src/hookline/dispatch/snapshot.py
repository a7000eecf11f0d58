"""A snapshot of the ledger in the journal: lines that alone fold to it, so that whatever was
written before them is not needed any more. Pure.

Each line carries the snapshot's name; the last one, `snapshot`, says how many there are before it,
and where in the journal to fold on. One without its last line, or with fewer lines than that says,
was torn by a crash and is none.
"""

import math
from collections.abc import Iterator

import msgspec

from hookline.dispatch.ledger import Entry, Ledger, Pending, Progress, apply, begun


def entries_of(ledger: Ledger, name: str, time: str) -> list[Entry]:
    """The lines of a snapshot, in order."""
    found = [
        msgspec.structs.replace(entry, snapshot=name)
        for handler, progress in ledger.handlers.items()
        for entry in _of_handler(handler, progress, time)
    ]
    found += [
        Entry(action="drop", time=time, snapshot=name, letter=letter)
        for letter in sorted(ledger.closed)
    ]
    segment, offset = ledger.folded
    last = Entry(
        action="snapshot", time=time, snapshot=name, segment=segment, offset=offset,
        lines=len(found),
    )  # fmt: skip
    return [*found, last]


class Snapshots:
    """Finds the newest complete snapshot among lines that are shown to it in order."""

    def __init__(self) -> None:
        self._begun: dict[str, list[Entry]] = {}
        self.newest: Ledger | None = None

    def see(self, entry: Entry) -> None:
        """One line more."""
        if not entry.snapshot:
            return
        lines = self._begun.setdefault(entry.snapshot, [])
        if entry.action != "snapshot":
            lines.append(entry)
            return
        del self._begun[entry.snapshot]
        if len(lines) == entry.lines:
            self.newest = Ledger()
            for each in [*lines, entry]:
                apply(self.newest, each)


def _of_handler(handler: str, progress: Progress, time: str) -> Iterator[Entry]:
    for domain, cursor in progress.cursors.items():
        segment, offset = cursor.position
        yield Entry(
            action="cursor", time=time, handler=handler, domain=domain, segment=segment,
            offset=offset, mark=cursor.mark, event=cursor.event, source=cursor.source,
        )  # fmt: skip
    for domain, settled in progress.settled.items():
        for (segment, offset), event in settled.items():
            yield Entry(
                action="attempt", time=time, handler=handler, domain=domain, segment=segment,
                offset=offset, event=event, then="settled",
            )  # fmt: skip
    for pending in progress.pending.values():
        yield from _of_pending(handler, pending, time)
    by_hand = progress.installed_s == math.inf
    installed = None if by_hand else progress.installed_s or None
    # Behind the attempts, each of which says that the handler could be run.
    yield Entry(
        action="subscribed", time=time, handler=handler, since=progress.since_s,
        start=progress.starts or None, held=progress.held, failures=progress.failures or None,
        installed=installed,
    )  # fmt: skip
    if progress.paused:
        yield Entry(
            action="paused", time=time, handler=handler, reason=progress.paused,
            by="hand" if by_hand else "", installed=installed,
        )  # fmt: skip


def _of_pending(handler: str, pending: Pending, time: str) -> Iterator[Entry]:
    attempt = pending.attempt - pending.running
    if attempt or pending.replay:
        segment, offset = pending.position
        yield Entry(
            action="attempt", time=time, handler=handler, domain=pending.domain, segment=segment,
            offset=offset, event=pending.event, source=pending.source, type=pending.type,
            attempt=attempt, replay=pending.replay, then="retry", due=pending.due_at_s or None,
        )  # fmt: skip
    if pending.running:
        yield begun(handler, pending, time, pending.end)
