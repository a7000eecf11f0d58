"""Asking a dispatcher for deliveries, through the journal: the only way to a replay.

What was asked for and is not settled lies in the dispatcher's memory and in its index, so never
more than `OPEN_MAX` of it: who asks for more waits for room, or goes on another time.
"""

import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from hookline.dispatch.journal import STATE_FILE, open_journal, read_ledger
from hookline.dispatch.ledger import Entry, encode
from hookline.dispatch.lock import holder
from hookline.dispatch.state import IndexFailed, State
from hookline.log.files import append_line
from hookline.log.home import Home
from hookline.model.errors import TryAgain, printable
from hookline.model.position import Position

OPEN_MAX: Final = 10_000
"""How many deliveries may be asked for and not settled."""
LINES_MAX: Final = 500
"""How many entries go into one write."""
LOOK_S: Final = 0.2


class NoRoom(TryAgain):
    """As many as may wait are asked for, and nobody delivers them: hookline dispatch --once"""


class Asker:
    """Writes entries that ask for deliveries, as fast as they are delivered."""

    def __init__(self, home: Home, sleep: Callable[[float], None] = time.sleep) -> None:
        self._home = home
        self._sleep = sleep
        self._room: int | None = None
        self.asked = 0
        """How many entries were written."""

    def ask(self, entries: Iterable[Entry]) -> None:
        """Write them, some at a time. Raises NoRoom; what was written by then is asked for."""
        entries = iter(entries)
        while True:
            room = self._wait_for_room()
            written = write_some(self._home, islice(entries, min(room, LINES_MAX)))
            if not written:
                return
            self.asked += written
            self._room = room - written

    def _wait_for_room(self) -> int:
        if self._room is None:
            self._room = OPEN_MAX - _waiting(self._home)
        if self._room > 0:
            return self._room
        with open_journal(self._home) as journal:
            end = journal.end()
        while self._room <= 0:
            self._room = self._room_behind(end)
            if self._room <= 0:
                self._sleep(LOOK_S)
        return self._room

    def _room_behind(self, end: Position) -> int:
        """The room that there is, for somebody who has asked up to `end`; 0: not enough, or not
        known yet."""
        if holder(self._home) is None:
            raise NoRoom
        try:
            state = State(self._home.state / STATE_FILE, readonly=True)
        except IndexFailed:
            return 0
        try:
            replays, folded = state.replays()
        finally:
            state.close()
        if folded < end:
            return 0
        waiting = sum(count for count, _ in replays.values())
        idle = [name for name, (_, stopped) in replays.items() if stopped or self._is_gone(name)]
        if len(idle) == len(replays) and waiting >= OPEN_MAX // 2:
            raise NoRoom(
                "as many as may wait are asked for, and their handlers are paused, held or gone "
                f"({printable(' '.join(idle))}): resume or mend them (hookline handlers)"
            )
        return OPEN_MAX - waiting if waiting <= OPEN_MAX // 2 else 0

    def _is_gone(self, handler: str) -> bool:
        return not (self._home.handlers / handler).exists()


def write_some(home: Home, entries: Iterable[Entry]) -> int:
    """Write these entries at once; how many they were."""
    lines = [encode(entry) for entry in entries]
    if lines:
        locked = home.locked_append.exists()
        append_line(home.deliveries, b"\n".join(lines), sync=True, locked=locked)
    return len(lines)


def _waiting(home: Home) -> int:
    """How many replays are asked for and not settled."""
    handlers = read_ledger(home).handlers.values()
    return sum(bool(pending.replay) for each in handlers for pending in each.pending.values())
