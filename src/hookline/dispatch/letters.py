"""Dead letters for people: which are open, and the decision to replay or drop one."""

from collections.abc import Iterator

import msgspec

from hookline.dispatch.books import DeadLetter
from hookline.dispatch.journal import read_ledger, write_entry
from hookline.dispatch.ledger import Entry
from hookline.log.home import Home
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import BadData

_DECODER = msgspec.json.Decoder(DeadLetter)


def letters(home: Home) -> Iterator[DeadLetter]:
    """Every dead letter ever, oldest first; a line that a crash wrote twice, once."""
    seen: set[str] = set()
    try:
        file = home.dead_letters.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                letter = _DECODER.decode(line)
            except msgspec.MsgspecError:
                continue
            if letter.letter not in seen:
                seen.add(letter.letter)
                yield letter


def open_letters(home: Home) -> list[DeadLetter]:
    """The dead letters that nobody has decided on."""
    closed = read_ledger(home).closed
    return [letter for letter in letters(home) if letter.letter not in closed]


def replay(home: Home, letter: DeadLetter, clock: Clock) -> None:
    """Ask for one more delivery; a running dispatcher hears it within a second, any other when it
    starts."""
    _decide(home, letter, clock, "replay")


def drop(home: Home, letter: DeadLetter, clock: Clock) -> None:
    """Decide that it is not needed; it stays in the file."""
    _decide(home, letter, clock, "drop")


def _decide(home: Home, letter: DeadLetter, clock: Clock, action: str) -> None:
    event = msgspec.json.decode(letter.event)
    if not isinstance(event, dict):
        raise BadData(f"{letter.letter} has no event any more: only drop is left")
    entry = {
        "action": action,
        "time": rfc3339(clock.now()),
        "letter": letter.letter,
        "handler": letter.handler,
        "domain": letter.domain,
        "segment": letter.segment,
        "offset": letter.offset,
        "event": event["id"],
        "source": event["source"],
        "type": event["type"],
        "replayof": letter.letter,
    }
    write_entry(home, msgspec.convert(entry, Entry))
