"""Replays: a stretch of the logs once more, to one handler.

A replay has a name, under which the journal knows which events it is of (`replaying`) and how far
they were asked for (`replay`): whoever begins it again goes on there.
"""

import fcntl
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from zlib import crc32

import msgspec

from hookline.dispatch.asks import Asker
from hookline.dispatch.journal import open_journal, write_entry
from hookline.dispatch.ledger import Entry, decode
from hookline.dispatch.pace import Pace, batches
from hookline.log.home import Home
from hookline.log.query import Found, OnTrouble, Query, select
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import BadData, TryAgain, shown
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern, is_pattern, matches

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Which events, and for whom. Times are in the stored form, `until` excluded."""

    name: str
    handler: str
    since: str = ""
    until: str
    types: tuple[str, ...]
    """Patterns, any of which will do."""
    ids: tuple[str, ...] = ()
    """When given, only these events."""

    def __post_init__(self) -> None:
        """Raises BadData for a name or a pattern that is none."""
        if not _NAME.fullmatch(self.name):
            raise BadData(
                f"the name of a replay {shown(self.name)} is not like 'weekly-2': 1 to 64 "
                "lower-case letters, digits, - and _, a letter first"
            )
        for pattern in self.types:
            if not is_pattern(pattern):
                raise BadData(f"type {shown(pattern)} is not like 'worker.started' or 'worker.*'")

    def takes(self, found: Found) -> bool:
        """Whether an event is one of them; the time is looked at elsewhere."""
        event = found.record.event
        if event is None or (self.ids and event.id not in self.ids):
            return False
        return any(matches(pattern, event.type) for pattern in self.types)


class Begun(msgspec.Struct, kw_only=True):
    """A replay as the journal knows it."""

    replay: Replay
    asked: int = 0
    """For how many events."""
    reached: dict[str, Position] = msgspec.field(default_factory=dict)
    """The last one of each domain."""


class Preview(msgspec.Struct, kw_only=True):
    """What a replay would be."""

    events: int = 0
    first: str = ""
    last: str = ""
    types: Counter[str] = msgspec.field(default_factory=Counter)


def new_name(clock: Clock) -> str:
    """A name that nobody has."""
    return f"{clock.now():r%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"


def begin(home: Home, replay: Replay, clock: Clock) -> Begun:
    """Write down what it is of."""
    query: dict[str, str | list[str]] = {"until": replay.until, "types": list(replay.types)}
    if replay.since:
        query["since"] = replay.since
    if replay.ids:
        query["ids"] = list(replay.ids)
    entry = Entry(
        action="replaying",
        time=rfc3339(clock.now()),
        handler=replay.handler,
        replay=replay.name,
        query=query,
    )
    write_entry(home, entry)
    return Begun(replay=replay)


def find(home: Home, name: str) -> Begun | None:
    """The replay of that name as far as it was asked for; None: there is none."""
    begun: Begun | None = None
    wanted = b'"replayof":' + msgspec.json.encode(name)
    with open_journal(home) as journal:
        for chunk in journal.look():
            if wanted in chunk.data:
                for line in chunk.lines:
                    entry = decode(line.raw) if wanted in line.raw else None
                    begun = begun if entry is None else _folded(begun, entry, name)
    return begun


def _folded(begun: Begun | None, entry: Entry, name: str) -> Begun | None:
    if entry.replay != name:
        return begun
    if entry.action == "replaying" and entry.query is not None and begun is None:
        replay = msgspec.convert({**entry.query, "name": name, "handler": entry.handler}, Replay)
        return Begun(replay=replay)
    if entry.action == "replay" and begun is not None:
        begun.asked += 1
        begun.reached[entry.domain] = entry.position
    return begun


def chosen(home: Home, begun: Begun, on_trouble: OnTrouble) -> Iterator[Found]:
    """The events that were not asked for yet, in the order of their times; within a domain in that
    of its log."""
    replay = begun.replay
    domains = {domain_of_pattern(pattern) for pattern in replay.types}
    pattern = replay.types[0] if len(replay.types) == 1 else "*"
    if pattern == "*" and len(domains) == 1 and None not in domains:
        pattern = f"{domains.pop()}.*"
    query = Query(pattern=pattern, since=replay.since or None, until=replay.until)
    for found in select(home, query, on_trouble):
        reached = begun.reached.get(found.domain)
        if (reached is None or found.record.position > reached) and replay.takes(found):
            yield found


def preview(events: Iterable[Found]) -> Preview:
    """How many there are, from when to when, of which types."""
    told = Preview()
    for found in events:
        event = found.record.event
        if event is not None:
            told.events += 1
            told.first = min(told.first or event.time, event.time)
            told.last = max(told.last, event.time)
            told.types[event.type] += 1
    return told


def ask(
    home: Home,
    begun: Begun,
    events: Iterable[Found],
    pace: Pace,
    clock: Clock,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask for these deliveries, each when it is due; `begun` says how far that has come.

    Raises NoRoom when nobody delivers what was asked for so far.
    """
    asker = Asker(home, sleep)
    before = begun.asked
    try:
        for batch in batches(events, lambda found: pace.due_s(_time_of(found)), clock, sleep):
            now = rfc3339(clock.now())
            asker.ask(begun.replay.handler, (_entry(begun.replay, each, now) for each in batch))
    finally:
        begun.asked = before + asker.asked


def _time_of(found: Found) -> str:
    return found.record.event.time if found.record.event else ""


def _entry(replay: Replay, found: Found, now: str) -> Entry:
    event, position = found.record.event, found.record.position
    assert event is not None, "only events are chosen"
    return Entry(
        action="replay",
        time=now,
        handler=replay.handler,
        domain=found.domain,
        segment=position.segment,
        offset=position.offset,
        event=event.id,
        source=event.source,
        type=event.type,
        replay=replay.name,
    )


@contextmanager
def alone(home: Home, name: str) -> Iterator[None]:
    """Nobody else asks under this name meanwhile. Raises TryAgain when somebody does."""
    home.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    fd = os.open(home.state / "replays.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        # A byte a name: names that share one wait for each other, and no file stays behind.
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, crc32(name.encode()))
    except OSError as error:
        os.close(fd)
        raise TryAgain(f"another process asks for the replay {name} just now") from error
    try:
        yield
    finally:
        os.close(fd)
