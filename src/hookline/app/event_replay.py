"""Events of the past once more, to every handler that wants them, and what came of it.

`scripts/events/event-replay.sh` is the face of it. `hookline replay` asks for events for one
handler and does not wait; here somebody waits for the verdicts.
"""

import re
import signal
import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.app.bus import dispatcher
from hookline.app.survey import find_handlers
from hookline.dispatch.asks import NoRoom, stopped
from hookline.dispatch.feed import line_of
from hookline.dispatch.handlers import Handler, Handlers
from hookline.dispatch.journal import open_journal
from hookline.dispatch.ledger import Entry, Place, decode
from hookline.dispatch.lock import holder
from hookline.dispatch.pace import Pace
from hookline.dispatch.replays import Begun, Replay, ask, new_name, none_goes
from hookline.log.files import durable_write
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import Found, OnTrouble, Query, select
from hookline.log.read import domains
from hookline.log.stream import Stream
from hookline.model import envelope
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.errors import HooklineError, TryAgain
from hookline.model.event import Event, as_replay, of_fields
from hookline.model.ids import ID, uuid7
from hookline.model.position import Position

QUIET_S: Final = 60.0
"""How long a running dispatcher may say nothing of it before the rest is left to it."""
LOOK_S: Final = 0.05
STOPPED_LOOK_S: Final = 1.0
"""How often it is looked, while nothing comes, who has been stopped."""
TOGETHER: Final = 500
"""How many events are replayed before the next are asked for."""
NO_PRIORITY: Final = "medium"

Mode = Literal["dry", "queue", "direct"]
Result = Literal["successful", "failed", "skipped", "waiting"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which events. Times are in the stored form, `until` excluded; empty: whatever it is."""

    event_id: str = ""
    since: str | None = None
    until: str | None = None
    type: str = ""
    """A regular expression, found anywhere in it; so is `source`."""
    source: str = ""
    priority: str = ""
    correlation: str = ""

    def takes(self, event: Event) -> bool:
        """Whether an event is one of them; the time is looked at elsewhere."""
        return (
            self.event_id in ("", event.id)
            and re.search(self.type, event.type) is not None
            and re.search(self.source, event.source) is not None
            and self.priority in ("", event.priority or NO_PRIORITY)
            and self.correlation in ("", event.correlationid)
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one event."""

    event: str
    type: str
    time: str
    result: Result
    handlers: dict[str, str] = {}
    """Each handler's verdict; empty: none yet."""
    why: str = ""


def chosen(home: Home, choice: Choice, on_trouble: OnTrouble) -> Iterator[Found]:
    """The events in the order of their times, each identity once.

    Only what is there now: what comes of a replay is not replayed. Nor is what `enqueue` once made
    of an event, unless it is named: the event itself is there.
    """
    query = Query(since=choice.since, until=choice.until)
    seen: set[tuple[str, str, str]] = set()
    for found in select(home, query, on_trouble, stop=_ends(home)):
        event = found.record.event
        if event is None or not choice.takes(event):
            continue
        if event.replayof is not None and not choice.event_id:
            continue
        identity = (found.domain, event.source, event.id)
        if identity not in seen:
            seen.add(identity)
            yield found


def rehearse(home: Home, events: Iterable[Found]) -> Iterator[Outcome]:
    """Who would get each event, and who would not."""
    there = find_handlers(home)
    for found in events:
        event = _event(found)
        names = [handler.name for handler in there.handlers if handler.wants(event.type)]
        refused = _refused(there, event)
        why = "; ".join([f"would go to {', '.join(names) or 'nobody'}", *refused])
        yield _outcome(event, "waiting" if refused else "skipped", why=why)


def enqueue(home: Home, events: Iterable[Found], clock: Clock) -> Iterator[Outcome]:
    """Put each event into the drop box as a new one of this moment: a second one of its identity
    would be delivered to nobody. `replayof` names the one that it repeats. Raises TryAgain while an
    archiver deletes; it deletes nothing until this is over."""
    log = Log(home)
    with none_goes(home):
        for found in events:
            event = _event(found)
            try:
                now = clock.now()
                new = uuid7(nanoseconds(now))
                again = _again(log, found, id=new, time=rfc3339(now))
                durable_write(home.queue / f"{new}.json", again + b"\n")
            except HooklineError as error:
                yield _outcome(event, "failed", why=str(error))
            else:
                yield _outcome(event, "successful", why=f"queued as {new}")


def deliver(home: Home, events: Iterable[Found], clock: Clock) -> Iterator[Outcome]:
    """Have each event delivered once more to every handler that wants it.

    By the dispatcher that runs, or else by one that is run for it (which delivers whatever else is
    due, too). A signal that stopped that one is raised again, for whoever heeds it here. Raises as
    a dispatcher does, and TryAgain while an archiver deletes, which it does not until this is over.
    """
    there = find_handlers(home)
    name = new_name(clock)
    events = iter(events)
    with none_goes(home):
        while batch := list(islice(events, TOGETHER)):
            with open_journal(home) as journal:
                verdicts = _Verdicts(journal, name)
                full: dict[str, str] = {}
                for handler in there.handlers:
                    try:
                        _ask(home, name, handler, batch, clock)
                    except NoRoom as error:
                        full[handler.name] = str(error)
                asked = [handler for handler in there.handlers if handler.name not in full]
                awaited = Counter(_wanting(asked, batch))
                told_by = _settle(home, verdicts, awaited)
                verdicts.read()
                waits = {**stopped(home, [each.name for each in there.handlers]), **full}
            for found in batch:
                yield _answer(found, there, verdicts, waits)
            if told_by:
                signal.raise_signal(told_by)


def and_put_away(
    outcomes: Iterable[Outcome], home: Home, choice: Choice, day: str, mode: Mode
) -> Iterator[Outcome]:
    """These, and then the events that no log has, since Cortex's dispatcher has put them away and
    its archiver their logs: they go into the drop box under their own id.

    `day`: the folder of the archive, where no single event is meant. Directly: a dispatcher is run
    for them, where none runs.
    """
    known = set()
    for outcome in outcomes:
        known.add(outcome.event)
        yield outcome
    queued = False
    for path, event in _put_away(home, choice, day):
        if event.id in known:
            continue
        known.add(event.id)
        if mode == "dry":
            yield _outcome(event, "skipped", why=f"would be queued from {path}")
            continue
        durable_write(home.queue / f"{event.id}.json", path.read_bytes())
        queued = True
        yield _outcome(event, "successful", why=f"queued from {path}; hookline explain {event.id}")
    if queued and mode == "direct" and holder(home) is None and (told_by := _drain(home)):
        signal.raise_signal(told_by)


def _put_away(home: Home, choice: Choice, day: str) -> Iterator[tuple[Path, Event]]:
    """The files of the old archive that are chosen; what is no event is passed over."""
    if choice.event_id:
        found = home.archive.glob(f"**/{choice.event_id}.json") if ID.match(choice.event_id) else ()
    else:
        found = (home.archive / day).glob("*.json")
    for path in sorted(found):
        try:
            event = of_fields(envelope.from_outside(path.read_bytes()))
        except (HooklineError, OSError):
            continue
        if ID.match(event.id) and choice.takes(event):
            yield path, event


def _ends(home: Home) -> dict[str, Position]:
    ends = {}
    for domain in domains(home):
        with Stream.of_domain(home, domain) as stream:
            ends[domain] = stream.end()
    return ends


def _wanting(handlers: Iterable[Handler], batch: list[Found]) -> Iterator[str]:
    """The name of each handler, once for each of the events that it wants."""
    for handler in handlers:
        yield from (handler.name for found in batch if handler.wants(_event(found).type))


def _ask(home: Home, name: str, handler: Handler, batch: list[Found], clock: Clock) -> None:
    replay = Replay(
        name=name, handler=handler.name, until=rfc3339(clock.now()), types=handler.patterns
    )
    events = [found for found in batch if handler.wants(_event(found).type)]
    ask(home, Begun(replay=replay), events, Pace(None, None, clock.monotonic_s()), clock)


class _Verdicts:
    """What the journal says of one replay from now on."""

    def __init__(self, journal: Stream, name: str) -> None:
        self._journal = journal
        self._position: Position = journal.end()
        self._name = name
        self._mark = msgspec.json.encode(name)
        self.last: dict[tuple[str, Place], Entry] = {}

    def final(self, handlers: Container[str]) -> int:
        """How many deliveries to these handlers are over."""
        return sum(
            entry.then in ("settled", "dead-letter") and name in handlers
            for (name, _), entry in self.last.items()
        )

    def read(self) -> bool:
        """Take in what is new; whether any of it is of this replay."""
        news = False
        for chunk in self._journal.look(self._position):
            self._position = chunk.next
            for line in chunk.lines:
                entry = decode(line.raw) if self._mark in line.raw else None
                if entry is not None and entry.action == "attempt" and entry.replay == self._name:
                    place = (entry.domain, entry.position, entry.replay)
                    self.last[entry.handler, place] = entry
                    news = True
        return news

    def of(self, handler: str, found: Found) -> Entry | None:
        """What the last attempt of a delivery came to."""
        return self.last.get((handler, (found.domain, found.record.position, self._name)))


def _settle(home: Home, verdicts: _Verdicts, awaited: Counter[str]) -> int:
    """Wait until all is answered, or nobody answers any more. Which signal told us to stop; or 0.

    `awaited`: for how many events of each handler; who is stopped meanwhile is taken out.
    """
    if awaited and holder(home) is None:
        told_by = _drain(home)
        if told_by is not None:
            return told_by
    quiet_since_s = look_at_s = time.monotonic()
    while verdicts.final(awaited) < awaited.total():
        now_s = time.monotonic()
        if verdicts.read():
            quiet_since_s = now_s
        elif holder(home) is None or now_s - quiet_since_s >= QUIET_S:
            break
        elif now_s >= look_at_s:
            for handler in stopped(home, list(awaited)):
                del awaited[handler]
            look_at_s = now_s + STOPPED_LOOK_S
        else:
            time.sleep(LOOK_S)
    return 0


def _drain(home: Home) -> int | None:
    """Run a dispatcher until nothing is to do. Which signal told it to stop, or 0; None where
    somebody was quicker, who delivers it."""
    try:
        bus = dispatcher(home)
    except TryAgain:
        return None
    with bus.signals():
        try:
            bus.drain()
        finally:
            bus.close()
    return bus.told_by


def _answer(
    found: Found, there: Handlers, verdicts: _Verdicts, waits: Mapping[str, str]
) -> Outcome:
    event = _event(found)
    said: dict[str, str] = {}
    failed: list[str] = []
    waiting = _refused(there, event)
    for handler in there.handlers:
        if not handler.wants(event.type):
            continue
        entry = verdicts.of(handler.name, found)
        said[handler.name] = (entry.verdict or "") if entry else ""
        if entry is not None and entry.then == "dead-letter":
            failed.append(f"{handler.name}: {entry.error or entry.verdict}")
        elif entry is None or entry.then != "settled":
            waiting.append(waits.get(handler.name, f"{handler.name} has not settled it"))
    if failed or waiting:
        return _outcome(
            event, "failed" if failed else "waiting", said, "; ".join(failed or waiting)
        )
    if said:
        return _outcome(event, "successful", said)
    return _outcome(event, "skipped", why="nobody wants it")


def _refused(there: Handlers, event: Event) -> list[str]:
    """Why an event would not go to those that perhaps want it, and cannot be run."""
    return [
        f"refused: {each.reason}, then replay it again"
        for each in there.refused
        if each.may_want(event.type)
    ]


def _outcome(
    event: Event, result: Result, handlers: dict[str, str] | None = None, why: str = ""
) -> Outcome:
    return Outcome(
        event=event.id,
        type=event.type,
        time=event.time,
        result=result,
        handlers=handlers or {},
        why=why,
    )


def _again(log: Log, found: Found, **new: str) -> bytes:
    """The event as a new one, with all of its data in it. Raises BadData when that is gone."""
    event = _event(found)
    line = as_replay(line_of(found.record), event.id)
    members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    members.update({name: msgspec.Raw(msgspec.json.encode(text)) for name, text in new.items()})
    if members.pop("dataref", None) is not None:
        members["data"] = log.with_data(event).data
    return msgspec.json.encode(members)


def _event(found: Found) -> Event:
    event = found.record.event
    assert event is not None, "only events are chosen"
    return event
