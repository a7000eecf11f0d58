"""Which ticks handlers are still at work on, as the journal says."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from hookline.dispatch.handlers import Handler
from hookline.dispatch.journal import JournalFiles, open_journal, read_ledger
from hookline.dispatch.ledger import Ledger, Progress
from hookline.dispatch.paper import catch_up, entries
from hookline.log.home import Home
from hookline.log.stream import chunks
from hookline.model.clock import parse_rfc3339
from hookline.model.errors import BadData
from hookline.model.position import Position
from hookline.model.types import domain_of
from hookline.schedule.recurrence import microseconds


class Work:
    """The deliveries of a home, as far as they are about ticks."""

    def __init__(self, home: Home, handlers: Callable[[], Sequence[Handler]]) -> None:
        """`handlers`: those that there are now."""
        self._home = home
        self._handlers = handlers
        self._present: Sequence[Handler] = ()
        self._journal: JournalFiles | None = None
        self._ledger = Ledger()

    def look(self) -> None:
        """Read on in the journal, and see which handlers there are. Raises HooklineError or
        OSError."""
        self._present = self._handlers()
        # What is interrupted has folded a part and is not to be folded on from.
        journal, self._journal = self._journal, None
        if journal is None:
            self._ledger = read_ledger(self._home)
            journal = JournalFiles(self._home)
        self._ledger = catch_up(self._ledger, journal)
        self._journal = journal

    def unsettled(self, type: str, places: Sequence[Position]) -> dict[str, int]:
        """How many of the events of a type at these places each handler that wants them has not
        settled. One that has never listened has none, and one that is paused is left out."""
        domain, found = domain_of(type), {}
        for handler in self._present:
            progress = self._ledger.handlers.get(handler.name, Progress())
            if handler.wants(type) and not progress.paused:
                found[handler.name] = sum(
                    not _is_settled(progress, domain, place) for place in places
                )
        return found


class Successes:
    """The successes of handlers, as the journal tells them."""

    def __init__(self, home: Home, start: Position) -> None:
        self._stream = open_journal(home)
        self.position = start

    def news(self) -> Iterator[tuple[str, int]]:
        """Handler and time (microseconds since 1970) of each since the last call. Raises
        HooklineError or OSError."""
        for chunk in chunks(self._stream.read, self.position):
            for entry in entries(line.raw for line in chunk.lines):
                if entry.verdict == "done" and entry.action in ("attempt", "batch"):
                    with suppress(BadData):
                        yield entry.handler, microseconds(parse_rfc3339(entry.time))
            self.position = chunk.next

    def close(self) -> None:
        """Close the journal."""
        self._stream.close()


def _is_settled(progress: Progress, domain: str, place: Position) -> bool:
    cursor = progress.cursors.get(domain)
    start = progress.starts.get(domain)
    if cursor is None or place < cursor.position or (start is not None and place < start):
        return True
    return place in progress.settled.get(domain, {})
