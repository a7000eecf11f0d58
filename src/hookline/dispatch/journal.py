"""The files of the journal: `deliveries.jsonl`, `dead-letters.jsonl` and the index over them.

Anybody may read them while a dispatcher runs; commands append to the journal what they ask for.
"""

from typing import Final

import msgspec

from hookline.dispatch import ledger as lines
from hookline.dispatch.books import DeadLetter, catch_up
from hookline.dispatch.ledger import Entry, Ledger
from hookline.dispatch.state import IndexFailed, State
from hookline.log.files import append_line
from hookline.log.home import Home
from hookline.log.stream import Chunk, Stream
from hookline.model.position import Position

STATE_FILE: Final = "dispatch.db"


def open_journal(home: Home) -> Stream:
    """The journal as a stream."""
    return Stream(home.deliveries, home.segments, "deliveries")


def load_ledger(home: Home, state: State | None) -> Ledger:
    """The index, brought up to date by what the journal says beyond it."""
    return catch_up(state.load() if state else Ledger(), open_journal(home))


def event_of_letter(home: Home, name: str) -> bytes | None:
    """The event of a dead letter, for when its log is gone."""
    try:
        file = home.dead_letters.open("rb")
    except FileNotFoundError:
        return None
    wanted = msgspec.json.encode(name)
    with file:
        for line in file:
            if wanted in line[: len(wanted) + 32]:
                try:
                    letter = msgspec.json.decode(line, type=DeadLetter)
                except msgspec.MsgspecError:
                    continue
                return bytes(letter.event) if letter.letter == name else None
    return None


def read_ledger(home: Home) -> Ledger:
    """The ledger for somebody who only looks; works while a dispatcher runs, and with no index at
    all."""
    path = home.state / STATE_FILE
    if not path.exists():
        return load_ledger(home, None)
    try:
        state = State(path, readonly=True)
    except IndexFailed:
        return load_ledger(home, None)
    try:
        return load_ledger(home, state)
    finally:
        state.close()


def write_entry(home: Home, entry: Entry) -> None:
    """Append one entry to the journal: how a command tells the dispatcher, running or not."""
    line = lines.encode(entry)
    append_line(home.deliveries, line, sync=True, locked=home.locked_append.exists())


class JournalFiles:
    """What the dispatcher's books are written on."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._journal = open_journal(home)

    def read(self, position: Position) -> Chunk:
        """The journal's lines from there on. Raises LogReplaced."""
        return self._journal.read(position)

    def enter(self, lines: bytes) -> None:
        """Append entries to the journal in one write. Raises HooklineError or OSError."""
        append_line(self._home.deliveries, lines, locked=self._home.locked_append.exists())

    def bury(self, line: bytes) -> None:
        """Append a dead letter. Raises HooklineError or OSError."""
        append_line(self._home.dead_letters, line, locked=self._home.locked_append.exists())

    def buried(self, letter: str) -> bytes | None:
        """The event of a dead letter, for when its log is gone."""
        return event_of_letter(self._home, letter)
