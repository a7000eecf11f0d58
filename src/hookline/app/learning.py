"""The learning cycle of a home: what the log tells is folded, written down and told."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.app.event_file import read_event_file
from hookline.app.log import Log
from hookline.dispatch.letters import letters
from hookline.log.files import LOCK_WAIT_S, durable_write, flock_within, make_folder
from hookline.log.home import Home
from hookline.log.query import Query, select
from hookline.model.clock import Clock, parse_rfc3339, rfc3339, stored_s
from hookline.model.errors import BadData, TryAgain, shown
from hookline.model.event import Event
from hookline.orchestrate.evidence import DOMAINS, TYPES, Evidence
from hookline.orchestrate.learning import Lesson, Weights, lesson
from hookline.orchestrate.report import markdown

SOURCE: Final = "hookline.learn"
REQUESTED: Final = "learning.cycle_requested"
COMPLETED: Final = "learning.cycle_completed"
DETECTED: Final = "learning.pattern_detected"
DAILY: Final = "daily"
WINDOW: Final = timedelta(days=90)
"""As long as logs are kept; an outcome of so long ago counts one part in 86."""
PATIENCE: Final = timedelta(days=1)
"""A request that has waited longer than this waits for a dispatcher that does not come."""
_DAY: Final = timedelta(days=1)
_TYPE: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_WEEK_S: Final = 7 * 86_400

State = Literal["done", "requested", "overdue", "failed", "due"]
Tell = Callable[[str], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of the event that asked for a cycle."""

    id: str
    source: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A cycle that is to run. One that is `daily` runs once for its date, unless it is forced."""

    date: str
    cycle_type: str
    as_of: datetime
    """Only events of before this moment count: the same request has the same result."""
    is_forced: bool = False
    event: Asked | None = None


class Completed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of `learning.cycle_completed`."""

    date: str
    cycle_type: str
    as_of: str
    experts: int
    decisions: int
    outcomes: int
    patterns: int
    report: str
    """Where the report is, from the home's folder."""
    request: Asked | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with the daily cycle of a date."""

    date: str
    state: State
    requests: int
    """How many were made for it."""


class _Said(msgspec.Struct, frozen=True):
    """The data of `learning.cycle_requested`, as far as it counts."""

    date: str | None = None
    cycle_type: str | None = None
    force: bool | None = None


# Asking.


def asked_now(clock: Clock, date: str | None, cycle_type: str | None = None) -> Request:
    """What a person asks for: of a day that is over, as things were at its end. Raises BadData."""
    now = clock.now()
    date = date or rfc3339(now)[:10]
    return Request(date=date, cycle_type=_type(cycle_type), as_of=_as_of(date, now), is_forced=True)


def asked_by(home: Home, event_file: Path) -> Request:
    """What the event in a file asks for. Raises BadData, TryAgain."""
    _, event = read_event_file(event_file)
    return _request(Log(home).with_data(event))


def _request(event: Event) -> Request:
    try:
        said = msgspec.json.decode(event.data or b"{}", type=_Said | None) or _Said()
    except (msgspec.MsgspecError, UnicodeError) as wrong:
        raise BadData(f"data of event {event.id}: {wrong}") from wrong
    date = said.date or event.time[:10]
    return Request(
        date=date,
        cycle_type=_type(said.cycle_type),
        as_of=_as_of(date, parse_rfc3339(event.time)),
        is_forced=bool(said.force),
        event=Asked(id=event.id, source=event.source),
    )


def _type(text: str | None) -> str:
    if text and not _TYPE.match(text):
        raise BadData(f"cycle type {shown(text)} is not a lower-case word like 'daily'")
    return text or DAILY


def _as_of(date: str, now: datetime) -> datetime:
    """The end of a day that is over, else now; the calendar of who asks may be a day ahead."""
    begin = begin_of(date)
    if begin > now + _DAY:
        raise BadData(f"the day {date} has not begun yet")
    return min(now, begin + _DAY)


def begin_of(date: str) -> datetime:
    """The midnight (UTC) that a day begins with. Raises BadData for what is no day since 1971."""
    try:
        begin = parse_rfc3339(f"{date}T00:00:00Z")
    except BadData:
        begin = None
    if begin is None or begin.year <= 1970:
        raise BadData(f"date {shown(date)} is not a day like 2026-11-21")
    return begin


# Running.


def cycle(
    home: Home, request: Request, clock: Clock, since: datetime | None = None, tell: Tell = print
) -> Completed | None:
    """Run a cycle, unless it was run before: then None, and nothing is changed.

    `tell` is given what could not be read. Whatever is killed, the next run for the same request
    makes whole what was begun: it writes the same files and appends the same events, once each.
    """
    folder = home.coordination / "moe-learning"
    make_folder(folder / "reports")
    with _alone_in(folder):
        completed = None
        if not _was_done(home, request):
            learned = _learn(home, request, since or request.as_of - WINDOW, tell)
            completed = _keep(home, request, learned, clock)
        if request.cycle_type == DAILY:
            _mark(home, request.date, clock)
    return completed


def _learn(home: Home, request: Request, since: datetime, tell: Tell) -> Lesson:
    begin, end = rfc3339(since), rfc3339(request.as_of)
    evidence, log = Evidence(), Log(home)
    for domain in DOMAINS:
        query = Query(pattern=f"{domain}.*", since=begin, until=end)
        for found in select(home, query, lambda trouble: tell(str(trouble))):
            event = found.record.event
            if event is not None and event.type in TYPES:
                try:
                    evidence.add(event, log.value(event))
                except BadData as gone:
                    tell(str(gone))
    return lesson(evidence, as_of=end, since=begin)


def _keep(home: Home, request: Request, learned: Lesson, clock: Clock) -> Completed:
    """Write down what was learned, then say that it is."""
    folder = home.coordination / "moe-learning"
    report = folder / "reports" / f"{request.date}.md"
    if _is_newest(home, learned, clock):
        make_folder(home.coordination / "routing")
        _write_json(home.coordination / "routing" / "expert-weights.json", Weights.of(learned))
        _write_json(confidences_of(home), learned)
        _tell_patterns(home, learned)
    durable_write(report, markdown(learned, f"Learning, {request.date}").encode())
    completed = Completed(
        date=request.date,
        cycle_type=request.cycle_type,
        as_of=learned.as_of,
        experts=len(learned.experts),
        decisions=learned.decisions,
        outcomes=learned.outcomes,
        patterns=len(learned.patterns),
        report=str(report.relative_to(home.root)),
        request=request.event,
    )
    asked = request.event or Asked(id="", source="")
    about = (request.date, request.cycle_type, learned.as_of, asked.id, asked.source)
    data = msgspec.to_builtins(completed)
    # Synced: the mark of the day must not be all that is left of it after a power cut.
    Log(home).append(COMPLETED, source=SOURCE, data=data, id=_id("cycle", about), sync=True)
    return completed


def confidences_of(home: Home) -> Path:
    """Where the newest lesson lies."""
    return home.coordination / "moe-learning" / "expert-confidence.json"


def _is_newest(home: Home, learned: Lesson, clock: Clock) -> bool:
    """Whether it is as late as the one that is there: what is believed does not go back, unless
    what is there is from the future."""
    there = _known_as_of(home)
    return there is None or there <= learned.as_of or there > rfc3339(clock.now())


def _known_as_of(home: Home) -> str | None:
    """Of which moment the lesson is that is there; None where there is none that can be read."""
    try:
        return msgspec.json.decode(confidences_of(home).read_bytes(), type=Lesson).as_of
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return None


def _write_json(path: Path, value: object) -> None:
    durable_write(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _tell_patterns(home: Home, learned: Lesson) -> None:
    """Each once a week: its id is that of what it is about and of the week."""
    week = int(stored_s(learned.as_of) // _WEEK_S)
    begin = rfc3339(parse_rfc3339(learned.as_of) - timedelta(seconds=_WEEK_S))
    told = {event.id for event in _events(home, DETECTED, begin)}
    for pattern in learned.patterns:
        about = (pattern.pattern_type, pattern.master, pattern.error_type, str(week))
        if (id := _id("pattern", about)) not in told:
            Log(home).append(DETECTED, source=SOURCE, data=msgspec.to_builtins(pattern), id=id)


def _id(kind: str, about: tuple[str, ...]) -> str:
    return f"{kind}-{sha256(msgspec.json.encode(about)).hexdigest()[:32]}"


def _mark(home: Home, date: str, clock: Clock) -> None:
    """The day's mark, for whoever asks without reading the log. It does not go back."""
    path = home.coordination / "metrics" / "learning" / "last-daily-run.txt"
    try:
        there = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        there = ""
    if len(there) != len(date) or not date <= there <= rfc3339(clock.now() + _DAY)[:10]:
        make_folder(path.parent)
        durable_write(path, f"{date}\n".encode())


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other cycle meanwhile, by a lock that ends with the process."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not flock_within(fd, LOCK_WAIT_S):
            raise TryAgain("another learning cycle runs: try again")
        yield
    finally:
        os.close(fd)


# What was asked and done before: the log knows.


def _was_done(home: Home, request: Request) -> bool:
    is_once = request.cycle_type == DAILY and not request.is_forced
    return any(
        (request.event is not None and done.request == request.event)
        or (is_once and (done.date, done.cycle_type) == (request.date, DAILY))
        for done in _completed(home, rfc3339(begin_of(request.date) - _DAY))
    )


def standing(home: Home, date: str, now: datetime) -> Standing:
    """How it stands with the daily cycle of a date, as the log and the dead letters say."""
    begin = rfc3339(min(begin_of(date), now) - timedelta(seconds=_WEEK_S))
    done = {each.date for each in _completed(home, begin) if each.cycle_type == DAILY}
    requests = list(_requests(home, begin))
    given_up = _given_up(home) if requests else set()
    waiting = {
        each.event: at
        for at, each in requests
        if each.date > max(done, default="") and each.event not in given_up
    }
    own = {each.event for _, each in requests if each.date == date}
    if date in done:
        state: State = "done"
    elif any(at < rfc3339(now - PATIENCE) for at in waiting.values()):
        state = "overdue"
    elif own & waiting.keys():
        state = "requested"
    else:
        state = "failed" if own else "due"
    return Standing(date=date, state=state, requests=len(own))


def _completed(home: Home, since: str) -> Iterator[Completed]:
    for event in _events(home, COMPLETED, since):
        try:
            yield msgspec.json.decode(event.data, type=Completed)
        except (msgspec.MsgspecError, UnicodeError):
            # Somebody else's event of that type.
            pass


def _requests(home: Home, since: str) -> Iterator[tuple[str, Request]]:
    """The requests for daily cycles, each with its time."""
    for event in _events(home, REQUESTED, since):
        try:
            request = _request(event)
        except BadData:
            # It asks for nothing that could be run.
            continue
        if request.cycle_type == DAILY:
            yield event.time, request


def _given_up(home: Home) -> set[Asked | None]:
    found = (letter.identity for letter in letters(home))
    return {Asked(id=each.id, source=each.source) for each in found if each is not None}


def _events(home: Home, type: str, since: str) -> Iterator[Event]:
    for found in select(home, Query(pattern=type, since=since), lambda _: None):
        if found.record.event is not None:
            yield found.record.event
