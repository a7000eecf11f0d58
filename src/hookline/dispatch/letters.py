"""Dead letters for people: which are open, what they have in common, and the decision to replay or
drop them.

A decision is an entry of the journal; the first one for a letter counts, so whoever was interrupted
does the same again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from hookline.dispatch.asks import LINES_MAX, Asker, NoRoom, write_some
from hookline.dispatch.dead_letter import DeadLetter, Identity, decode_letter
from hookline.dispatch.fingerprint import fingerprint
from hookline.dispatch.journal import (
    LETTERS,
    letter_lines,
    open_journal,
    open_letters_log,
    read_ledger,
)
from hookline.dispatch.ledger import Entry
from hookline.dispatch.pace import Pace, batches
from hookline.dispatch.paper import entries
from hookline.log.home import Home
from hookline.log.rejected import is_known
from hookline.log.verify import nul_runs
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import BadData
from hookline.model.position import Position
from hookline.model.types import matches


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters; what is empty says nothing. Times are in the stored form, `until` excluded."""

    names: Sequence[str] = ()
    """Letters, also without the hash in their name, fingerprints and handlers: any of them will
    do."""
    handler: str = ""
    type: str = ""
    """A pattern."""
    fingerprint: str = ""
    since: str = ""
    until: str = ""

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is one of them."""
        of_it = {*names_of(letter), letter.fingerprint, letter.handler}
        return (
            (not self.names or not of_it.isdisjoint(self.names))
            and self.handler in ("", letter.handler)
            and self.fingerprint in ("", letter.fingerprint)
            and (not self.type or matches(self.type, type_of(letter)))
            and letter.time >= self.since
            and (not self.until or letter.time < self.until)
        )


EVERY = Wanted()


def names_of(letter: DeadLetter) -> set[str]:
    """What a person may call a letter: its name, or its handler and its event's id."""
    event = letter.identity
    return {letter.letter, f"{letter.handler}:{event.id}"} if event else {letter.letter}


class Group(msgspec.Struct, kw_only=True):
    """Open letters with one fingerprint."""

    fingerprint: str
    handler: str
    verdict: str
    exit: int | None = None
    signal: int | None = None
    letters: int = 0
    first: str = ""
    last: str = ""
    types: Counter[str] = msgspec.field(default_factory=Counter)
    error: str = ""
    """Of the last one."""


def letters(home: Home) -> Iterator[DeadLetter]:
    """Every dead letter that there is, oldest first; a line that a crash wrote twice, once."""
    seen: set[str] = set()
    for line in letter_lines(home):
        letter = decode_letter(line.raw)
        if letter is not None and letter.letter not in seen:
            seen.add(letter.letter)
            letter.fingerprint = letter.fingerprint or fingerprint(
                letter.handler, letter.verdict, letter.exit, letter.signal, letter.error
            )
            yield letter


def damaged_places(home: Home) -> Iterator[Position]:
    """Where the dead-letter queue has what is no letter, and nobody has said to have seen it."""
    with open_letters_log(home) as queue:
        for chunk in queue.look():
            places = [place for place, _ in nul_runs(chunk)]
            for line in chunk.lines:
                if line.too_long or decode_letter(line.raw) is None:
                    places.append(line.position)
            yield from (each for each in sorted(places) if not is_known(home, LETTERS, each))


def open_letters(home: Home) -> list[DeadLetter]:
    """The dead letters that nobody has decided on."""
    return list(each_open(home))


def each_open(home: Home, wanted: Wanted = EVERY) -> Iterator[DeadLetter]:
    """Those of them that are wanted, one by one: there may be many."""
    closed = read_ledger(home).closed
    return (x for x in letters(home) if x.letter not in closed and wanted.takes(x))


def type_of(letter: DeadLetter) -> str:
    """The type of its event; empty when it has none any more."""
    event = letter.identity
    return event.type if event else ""


def groups(found: Iterable[DeadLetter]) -> list[Group]:
    """The letters by fingerprint, the largest group first."""
    by_fault: dict[str, Group] = {}
    for letter in found:
        group = by_fault.get(letter.fingerprint)
        if group is None:
            group = by_fault[letter.fingerprint] = Group(
                fingerprint=letter.fingerprint, handler=letter.handler, verdict=letter.verdict,
                exit=letter.exit, signal=letter.signal, first=letter.time,
            )  # fmt: skip
        group.letters += 1
        group.last = letter.time
        group.types[type_of(letter)] += 1
        group.error = letter.error
    return sorted(by_fault.values(), key=lambda group: -group.letters)


def attempts_of(home: Home, letter: DeadLetter) -> list[Entry]:
    """What the journal says of the deliveries of its event to its handler, and of what was decided,
    as far back as the journal goes."""
    event = letter.identity
    found: list[Entry] = []
    if event is None:
        return found
    wanted = event.id.encode()
    with open_journal(home) as journal:
        for chunk in journal.look():
            if wanted in chunk.data:
                told = entries(line.raw for line in chunk.lines if wanted in line.raw)
                found += [x for x in told if _is_about(x, letter, event)]
    return found


def _is_about(entry: Entry, letter: DeadLetter, event: Identity) -> bool:
    told = entry.handler, entry.domain, entry.source, entry.event
    about = told == (letter.handler, letter.domain, event.source, event.id) and not entry.snapshot
    return about and entry.action in ("attempt", "replay", "drop")


def replay(home: Home, letter: DeadLetter, clock: Clock) -> None:
    """Ask for one more delivery; a running dispatcher hears it within a second, any other when it
    starts. Raises NoRoom, and BadData for a letter without its event."""
    Asker(home).ask(letter.handler, [decision(letter, "replay", clock)])


def replay_all(
    asker: Asker,
    found: Iterable[DeadLetter],
    clock: Clock,
    rate: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask for one more delivery of each, at most `rate` a second; `asker` knows of how many.

    One without its event is passed over: nobody could deliver it. Raises NoRoom, at the end: those
    of a handler that has no room stay open, and all others are asked for.
    """
    pace = Pace(None, rate, clock.monotonic_s())
    full: dict[str, NoRoom] = {}
    ready = (each for each in found if each.identity is not None and each.handler not in full)
    for batch in batches(ready, lambda _: pace.due_s(""), clock, sleep):
        entries: dict[str, list[Entry]] = {}
        for letter in batch:
            entries.setdefault(letter.handler, []).append(decision(letter, "replay", clock))
        for handler, asked in entries.items():
            try:
                asker.ask(handler, asked)
            except NoRoom as error:
                full[handler] = error
    if full:
        raise NoRoom("; ".join(dict.fromkeys(map(str, full.values()))))


def drop(home: Home, letter: DeadLetter, clock: Clock) -> None:
    """Decide that it is not needed; it stays in the file."""
    drop_all(home, [letter], clock)


def drop_all(home: Home, found: Iterable[DeadLetter], clock: Clock, reason: str = "") -> int:
    """Decide that these are not needed, some at a time; how many they were."""
    decided = 0
    asked = (decision(letter, "drop", clock, reason) for letter in found)
    while written := write_some(home, islice(asked, LINES_MAX)):
        decided += written
    return decided


def decision(letter: DeadLetter, action: str, clock: Clock, reason: str = "") -> Entry:
    """The entry that says what is to become of a letter."""
    event = letter.identity
    if event is None and action == "replay":
        raise BadData(f"{letter.letter} has no event any more: only drop is left")
    entry = {
        "action": action,
        "time": rfc3339(clock.now()),
        "letter": letter.letter,
        "handler": letter.handler,
        "domain": letter.domain,
        "segment": letter.segment,
        "offset": letter.offset,
        "event": event.id if event else "",
        "source": event.source if event else "",
        "type": event.type if event else "",
        "replayof": letter.letter if action == "replay" else "",
        "reason": reason,
    }
    return msgspec.convert(entry, Entry)
