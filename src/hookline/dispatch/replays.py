"""Replays: a stretch of the logs once more, to one handler.

A replay has a name, under which the journal knows which events it is of (`replaying`), how far they
were asked for (`replay`) and that nothing of it is left to ask for (`replayed`): whoever resumes it
goes on there, and until then nobody deletes what it has still to read.
"""

import fcntl
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

from hookline.dispatch.asks import Asker, write_some
from hookline.dispatch.journal import open_journal
from hookline.dispatch.ledger import Entry, decode
from hookline.dispatch.pace import Pace, batches
from hookline.log.files import LOCK_WAIT_S, flock_within, make_folder
from hookline.log.home import Home
from hookline.log.query import Found, OnTrouble, Query, select
from hookline.log.stream import BEGINNING
from hookline.model.clock import Clock, parse_rfc3339, rfc3339
from hookline.model.errors import BadData, TryAgain, shown
from hookline.model.position import Position
from hookline.model.types import domain_of_pattern, is_pattern, matches

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LOCK: Final = "replays.lock"
_FLOCK: Final = Struct("hhqqi")
"""`struct flock`: type, whence, start, length, process (fcntl(2))."""
_REPLAY: Final = b'{"action":"repl'
"""How the lines begin that are of a replay."""


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
        """Raises BadData for a name, a time or a pattern that is none."""
        if not _NAME.fullmatch(self.name):
            raise BadData(
                f"the name of a replay {shown(self.name)} is not like 'weekly-2': 1 to 64 "
                "lower-case letters, digits, - and _, a letter first"
            )
        for limit in filter(None, (self.since, self.until)):
            parse_rfc3339(limit)
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
    at: Position = BEGINNING
    """Where the journal says that it begins."""
    is_over: bool = False
    """Whether all of it was asked for, or somebody has given it up."""


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
    """Write down what it is of. Raises TryAgain while an archiver deletes segments."""
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
    with none_goes(home):
        write_some(home, [entry])
    return Begun(replay=replay)


def finish(home: Home, replay: Replay, clock: Clock, reason: str = "") -> None:
    """Write down that nothing more of it will be asked for; with a reason when that is not all."""
    entry = Entry(
        action="replayed",
        time=rfc3339(clock.now()),
        handler=replay.handler,
        replay=replay.name,
        reason=reason,
    )
    write_some(home, [entry])


def go_on(name: str) -> str:
    """The commands that bring a replay to its end."""
    return f"hookline replay --resume {name} (or --end {name})"


def find(home: Home, name: str) -> Begun | None:
    """The replay of that name as far as it was asked for; None: there is none."""
    return Known(home, b'"replayof":' + msgspec.json.encode(name)).now().get(name)


class Known:
    """The replays that the journal knows, as far as they were asked for."""

    def __init__(self, home: Home, mark: bytes = b'"replayof":"') -> None:
        """`mark`: what a line of them has in it."""
        self._journal = open_journal(home)
        self._mark = mark
        self._read_to = BEGINNING
        self._begun: dict[str, Begun] = {}

    def now(self) -> dict[str, Begun]:
        """All of them by name, with what others have written since it was called last."""
        with self._journal as journal:
            for chunk in journal.look(self._read_to):
                if self._mark in chunk.data:
                    for line in chunk.lines:
                        if line.raw.startswith(_REPLAY) and self._mark in line.raw:
                            self._fold(decode(line.raw), line.position)
                self._read_to = chunk.next
        return self._begun

    def open(self) -> list[Begun]:
        """Those that have still something to ask for."""
        return [begun for begun in self.now().values() if not begun.is_over]

    def _fold(self, entry: Entry | None, at: Position) -> None:
        if entry is None:
            return
        begun = self._begun.get(entry.replay)
        if begun is None:
            replay = _replay_of(entry)
            if replay is not None:
                self._begun[entry.replay] = Begun(replay=replay, at=at)
        elif entry.action == "replay":
            begun.asked += 1
            begun.reached[entry.domain] = entry.position
        else:
            begun.is_over = entry.action == "replayed"


def _replay_of(entry: Entry) -> Replay | None:
    """The replay that an entry begins; None for any other, and for one that cannot be."""
    if entry.action != "replaying" or entry.query is None:
        return None
    told = {**entry.query, "name": entry.replay, "handler": entry.handler}
    try:
        return msgspec.convert(told, Replay)
    except (msgspec.ValidationError, BadData):
        return None


def chosen(
    home: Home, begun: Begun, on_trouble: OnTrouble, domain: str | None = None
) -> Iterator[Found]:
    """The events that were not asked for yet, in the order of their times; within a domain in that
    of its log. `domain`: only those of that one."""
    replay = begun.replay
    domains = {domain or domain_of_pattern(pattern) for pattern in replay.types}
    pattern = replay.types[0] if len(replay.types) == 1 and domain is None else "*"
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
def none_begins(home: Home) -> Iterator[None]:
    """No replay begins meanwhile, and nobody who counts on `none_goes` reads: an archiver may
    delete. Raises TryAgain when that is not so for long."""
    why = "events are being replayed just now: what is old is deleted by a run after that"
    with _locked(home, fcntl.LOCK_EX, why):
        yield


@contextmanager
def none_goes(home: Home) -> Iterator[None]:
    """No event is deleted meanwhile, whoever may want it: for those who read what they have still
    to ask for, or to write down that they want. Raises TryAgain while an archiver deletes."""
    why = "an archiver deletes old segments just now: try again when it is done"
    with _locked(home, fcntl.LOCK_SH, why):
        yield


@contextmanager
def _locked(home: Home, kind: int, why: str) -> Iterator[None]:
    # Not in state/, which may be deleted meanwhile; the folders above have locks of others.
    make_folder(home.data)
    fd = os.open(home.data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not flock_within(fd, LOCK_WAIT_S, kind):
            raise TryAgain(why)
        yield
    finally:
        os.close(fd)


@contextmanager
def alone(home: Home, name: str) -> Iterator[None]:
    """Nobody else asks under this name meanwhile. Raises TryAgain when somebody does."""
    home.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    fd = os.open(home.state / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
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


def is_asked_for(home: Home, name: str) -> bool:
    """Whether another process is `alone` with it just now."""
    try:
        fd = os.open(home.state / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Only asked, not taken: whoever wants it this moment gets it.
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, crc32(name.encode()), 1, 0)
        return bool(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)
