"""Telling a dispatcher something through the journal, which it hears running or not; and asking it
for deliveries, which is the only way to a replay.

What was asked for and is not settled lies in the dispatcher's memory and in its index, so never
more than `OPEN_MAX` of it for one handler: who asks for more waits for room, or goes on another
time. A handler that is stopped takes no other's room.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import islice
from typing import Final

from hookline.dispatch.handlers import refusal
from hookline.dispatch.index_check import see_journal
from hookline.dispatch.journal import (
    STATE_FILE,
    open_journal,
    read_ledger,
)
from hookline.dispatch.ledger import Entry, encode
from hookline.dispatch.lock import holder
from hookline.dispatch.pen import append_whole
from hookline.dispatch.state import IndexFailed, State
from hookline.log.home import Home
from hookline.model.errors import TryAgain, printable
from hookline.model.position import Position

OPEN_MAX: Final = 10_000
"""How many deliveries to one handler may be asked for and not settled."""
LINES_MAX: Final = 500
"""How many entries go into one write."""
LOOK_S: Final = 0.2
STILL_S: Final = 60.0
"""Who waits for room gives up when the handler has done nothing for so long, whatever the reason
(retries that are due much later, for one)."""


class NoRoom(TryAgain):
    """As many as may wait are asked for, and nobody delivers them: hookline dispatch --once"""


class Asker:
    """Writes entries that ask for deliveries, as fast as they are delivered."""

    def __init__(self, home: Home, sleep: Callable[[float], None] = time.sleep) -> None:
        self._home = home
        self._sleep = sleep
        self._still_s = 0.0
        """For how long there was nothing to see of the handler that is waited for."""
        self._seen = 0
        """How many replays waited for it at the last look."""
        self.asked = 0
        """How many entries were written."""

    @cached_property
    def _waiting(self) -> Counter[str]:
        """How many replays of each handler are asked for and not settled."""
        handlers = read_ledger(self._home).handlers.items()
        return Counter(
            name for name, each in handlers for pending in each.pending.values() if pending.replay
        )

    def ask(self, handler: str, entries: Iterable[Entry]) -> None:
        """Write these of one handler, some at a time. Raises NoRoom; what was written by then is
        asked for."""
        entries = iter(entries)
        while batch := list(islice(entries, LINES_MAX)):
            while batch:
                room = self._wait_for_room(handler)
                written = write_some(self._home, batch[:room])
                del batch[:written]
                self.asked += written
                self._waiting[handler] += written

    def _wait_for_room(self, handler: str) -> int:
        if self._waiting[handler] >= OPEN_MAX:
            with open_journal(self._home) as journal:
                end = journal.end()
            self._still_s = 0.0
            while (waiting := self._waiting_behind(handler, end)) is None:
                if self._still_s > STILL_S:
                    why = f"It has done nothing for {STILL_S:.0f} s: see hookline handlers"
                    raise NoRoom(_full(handler, why))
                self._sleep(LOOK_S)
                self._still_s += LOOK_S
            self._waiting[handler] = waiting
        return OPEN_MAX - self._waiting[handler]

    def _waiting_behind(self, handler: str, end: Position) -> int | None:
        """How many wait, for somebody who has asked up to `end`; None: too many, or not known
        yet."""
        if holder(self._home) is None:
            progress = read_ledger(self._home).progress(handler)
            why = in_the_way(self._home, handler, progress.paused, progress.held)
            raise NoRoom(why and _full(handler, why))
        try:
            state = State(self._home.state / STATE_FILE, readonly=True)
        except IndexFailed:
            return None
        try:
            waiting, running, paused, held, folded = state.replays(handler)
        finally:
            state.close()
        if running or waiting != self._seen:
            self._still_s, self._seen = 0.0, waiting
        if folded < end:
            return None
        if waiting <= OPEN_MAX // 2:
            return waiting
        why = in_the_way(self._home, handler, paused, held)
        if why:
            raise NoRoom(_full(handler, why))
        return None


def in_the_way(home: Home, handler: str, paused: str, held: str) -> str:
    """Why a handler will not get what waits for it by itself, and what helps; empty: it will."""
    if not (home.handlers / handler).exists():
        return f"{handler} is gone: put its file back into {home.handlers}"
    if why := refusal(home.handlers / handler):
        return f"{handler} is refused: {why}"
    if paused:
        return f"{handler} is paused ({paused}): hookline handlers resume {handler}"
    if held:
        return f"{handler} cannot be run ({held}): mend it"
    return ""


def stopped(home: Home, handlers: Iterable[str]) -> dict[str, str]:
    """Those of these handlers that will not get what waits for them by itself, and why."""
    ledger = read_ledger(home)
    found = {}
    for name in handlers:
        progress = ledger.progress(name)
        if why := in_the_way(home, name, progress.paused, progress.held):
            found[name] = why
    return found


def _full(handler: str, why: str) -> str:
    return printable(f"as many replays as may wait for {handler} are asked for. {why}")


def write_some(home: Home, entries: Iterable[Entry]) -> int:
    """Write these entries at once, which tells the dispatcher, running or not; how many they were.

    Raises BadConfig where the journal is missing.
    """
    lines = [encode(entry) for entry in entries]
    if lines:
        see_journal(home)
        text = b"\n".join(lines)
        append_whole(home.deliveries, text, locked_append=home.locked_append, sync=True)
    return len(lines)
