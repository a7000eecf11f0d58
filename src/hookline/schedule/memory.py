"""What a scheduler remembers: `state/schedule.json`, and what the logs say beyond it.

The logs are the truth. The file is a fold over them, as far as its positions, and may be deleted.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from hookline.log.files import durable_write
from hookline.log.follow import Follower
from hookline.log.home import Home
from hookline.log.query import Found, Query
from hookline.log.read import domains
from hookline.log.stream import BEGINNING
from hookline.model.clock import parse_rfc3339
from hookline.model.errors import BadData
from hookline.model.event import Event
from hookline.model.position import Position
from hookline.model.types import domain_of, domain_of_pattern, matches
from hookline.schedule import adapt, kernel
from hookline.schedule.adapt import Conditions
from hookline.schedule.kernel import Memory
from hookline.schedule.recurrence import NEVER_US, microseconds
from hookline.schedule.schedule import Schedule
from hookline.schedule.table import YEAR_MAX, Timetable
from hookline.schedule.tick import SOURCE, Proof, nominal_us, proof_of

FILE: Final = "schedule.json"
BEGUN: Final = "schedule.begun"
CHANGED: Final = "schedule.changed"
PAUSED: Final = "schedule.paused"
RESUMED: Final = "schedule.resumed"
ADAPTED: Final = "schedule.adapted"
_VERSION: Final = 1
_TYPES_KNOWN: Final = 1024
_REASON_MAX: Final = 200
_ERAS_MAX: Final = 1_000_000
"""No clock is set back so often: what begins with more is not ours."""


class Saved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. It is of all lines of these domains before these positions."""

    version: int = _VERSION
    schedules: dict[str, Memory]
    positions: dict[str, Position]
    everything: bool = False
    """Whether all domains that there were are among them."""
    last: dict[str, list[Position]] = {}
    """See `Recollection.last`."""
    conditions: Conditions = Conditions()
    journal: Position = BEGINNING
    """Up to where successes of handlers were looked for."""


class Asked(msgspec.Struct, frozen=True):
    """The data of `schedule.paused` and `schedule.resumed`."""

    schedule: str
    reason: str = ""


class Told(Asked, frozen=True, kw_only=True):
    """The data of `schedule.adapted`."""

    to: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    cause: str

    @property
    def speed_reason(self) -> str:
        """What its ticks say of it from then on."""
        return "" if self.to == 1.0 else self.reason


class Begun(Asked, frozen=True, kw_only=True):
    """The data of `schedule.begun` and `schedule.changed`: as what, and from which time on."""

    when: str
    since: str


_A = TypeVar("_A", bound=Asked)


def load(home: Home) -> Saved | None:
    """What was saved; None where there is nothing, or nothing that can be read."""
    try:
        saved = msgspec.json.decode((home.state / FILE).read_bytes(), type=Saved)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    places = [saved.journal, *saved.positions.values()]
    if saved.version != _VERSION or min(places) < BEGINNING or min(places)[1] < 0:
        return None
    return saved


def save(home: Home, saved: Saved) -> None:
    """Raises CannotCreate, TryAgain or WriteFailed."""
    path: Path = home.state / FILE
    path.parent.mkdir(mode=0o750, exist_ok=True)
    durable_write(path, msgspec.json.encode(saved) + b"\n")


def domains_of(timetable: Timetable) -> set[str] | None:
    """Whose logs have to be followed; None: everybody's."""
    found: set[str | None] = {"schedule", *map(domain_of, timetable.adaptive.types)}
    for schedule in timetable.schedules.values():
        found.add(domain_of(schedule.event))
        if schedule.of and not schedule.watches_handler:
            found.add(domain_of_pattern(schedule.of))
    return None if None in found else {domain for domain in found if domain}


def start(home: Home, saved: Saved | None, timetable: Timetable) -> dict[str, Position]:
    """Where to read on in each domain; those that are not in it, from their end."""
    only = domains_of(timetable)
    known = saved.positions if saved else {}
    if saved is None or (saved.everything and only is None):
        # With nothing saved, all is read. Domains that nobody knew then are new.
        return dict.fromkeys(domains(home) if only is None else only, BEGINNING) | known
    return known


def look(home: Home, timetable: Timetable, now_us: int) -> dict[str, Memory]:
    """What is remembered now, for somebody who only looks."""
    saved = load(home)
    recollection = Recollection(saved, timetable)
    query, only = Query(pattern="*"), domains_of(timetable)
    begin = start(home, saved, timetable)
    with Follower(home, query, lambda _: None, start=begin, only=only) as follower:
        for found in follower.news():
            recollection.hear(found, now_us)
        for found in follower.ahead():
            recollection.expect(found, now_us)
    state = recollection.state
    return {
        name: kernel.remembered(schedule, state.get(name), now_us)
        for name, schedule in timetable.schedules.items()
    }


class Recollection:
    """What is remembered of each schedule, as the logs go on."""

    def __init__(self, saved: Saved | None, timetable: Timetable) -> None:
        self.state: dict[str, Memory] = dict(saved.schedules) if saved else {}
        self.last: dict[str, list[Position]] = dict(saved.last) if saved else {}
        """Where the last ticks of a schedule lie, oldest first, within its event's domain: as many
        as it is looked at whether they are handled."""
        self.conditions = saved.conditions if saved else Conditions()
        self._from_logs = saved is None
        self._begun = False
        self._counted_us: dict[str, int] = {}
        """When the last tick of each was appended: the logs are read domain by domain at the start,
        and what was counted until then may come after the tick that it made."""
        self.plan(timetable)

    def plan(self, timetable: Timetable) -> None:
        """From now on, these are the schedules."""
        self.changed = True
        """Whether anything is remembered that whoever decides has not looked at."""
        self._timetable = timetable
        self._affects = timetable.adaptive.types
        self._watching = [each for each in timetable.schedules.values() if each.of]
        self._counting = lru_cache(_TYPES_KNOWN)(self._those_that_count)
        for gone in self.last.keys() - timetable.schedules.keys():
            del self.last[gone]

    def put(self, schedule: Schedule, memory: Memory) -> None:
        """From now on, this is remembered."""
        if self.state.get(schedule.name) is not memory:
            self.state[schedule.name] = memory
            self.changed = True

    def begun(self) -> None:
        """All that was there at the start has been heard: what comes now is news."""
        self._from_logs = False
        self._begun = True
        self._counted_us.clear()

    def hear(self, found: Iterable[Found], now_us: int) -> None:
        """What came in the logs. Whatever times it bears, it came by now."""
        for _, record in found:
            if record.event is not None:
                self._hear(record.event, record.position, now_us)

    def expect(self, found: Iterable[Found], now_us: int) -> None:
        """What is there and will be heard later: its ticks are not to be appended again."""
        for _, record in found:
            proof = None if record.event is None else proof_of(record.event)
            if record.event is not None and proof is not None and not proof.is_extra:
                self._recall(proof, record.event, record.position, now_us)

    def succeeded(self, handler: str, at_us: int) -> None:
        """A delivery to a handler was a success."""
        for schedule in self._watching:
            if schedule.of == handler:
                self._count(schedule, at_us)

    def _hear(self, event: Event, position: Position, now_us: int) -> None:
        if event.source == SOURCE:
            proof = proof_of(event)
            if proof is not None:
                self._recall(proof, event, position, now_us)
            elif event.type in _READ:
                _READ[event.type](self, event, min(_time_us(event), now_us))
        if event.type in self._affects:
            self._be_affected(event, min(_time_us(event), now_us))
        counting = self._counting(event.type)
        if counting:
            at_us = min(_time_us(event), now_us)
            for schedule in counting:
                if schedule.moment:
                    self._name(schedule, event, at_us)
                else:
                    self._count(schedule, at_us)

    def _those_that_count(self, type: str) -> list[Schedule]:
        return [each for each in self._watching if matches(each.of, type)]

    def _count(self, schedule: Schedule, at_us: int) -> None:
        memory = self.state.get(schedule.name)
        counted = schedule.after and at_us <= self._counted_us.get(schedule.name, -1)
        if memory is not None and not counted:
            self.put(schedule, kernel.heard(schedule, memory, at_us))

    def _name(self, schedule: Schedule, event: Event, at_us: int) -> None:
        memory = self._known(schedule, at_us - 1)
        moment_us = _moment_us(event, schedule.moment)
        if memory is not None and moment_us is not None:
            self.put(schedule, kernel.named(schedule, memory, moment_us, at_us))

    def _recall(self, proof: Proof, event: Event, position: Position, now_us: int) -> None:
        schedule = self._timetable.schedules.get(proof.schedule)
        if schedule is None or event.type != schedule.event:
            return
        self._place(schedule, position)
        at_us = nominal_us(proof)
        if not self._begun:
            self._counted_us[proof.schedule] = _time_us(event)
        if proof.is_extra:
            if memory := self.state.get(proof.schedule):
                self.put(schedule, kernel.asked(schedule, memory))
            return
        if event.id != kernel.tick_id(proof.schedule, at_us, proof.era):
            return
        if at_us > now_us and schedule.when.rewind_us >= NEVER_US:
            # The clock was set back since, or somebody else wrote it. Others begin a new era for
            # that; the times of this one come once, and one that is appended again has the same id.
            return
        memory = self._known(schedule, at_us)
        if memory is not None and proof.era <= max(memory.era, _ERAS_MAX) + 1:
            self.put(schedule, kernel.recall(schedule, memory, at_us, proof.era))

    def _place(self, schedule: Schedule, position: Position) -> None:
        """Remember where a tick lies, if it is looked at whether it is handled."""
        if schedule.adaptive:
            count = self._timetable.adaptive.backlog.stop_at
        elif schedule.overlap != "allow":
            count = 1
        else:
            return
        places = self.last.setdefault(schedule.name, [])
        if not places or position > places[-1]:
            places.append(position)
        del places[:-count]

    def _begin(self, event: Event, at_us: int) -> None:
        """A schedule is new, or has other nominal times."""
        told, schedule = self._meant(event, Begun)
        if told is None or schedule is None or told.when != str(schedule.when):
            return
        try:
            since_us = min(microseconds(parse_rfc3339(told.since)), at_us)
        except BadData:
            return
        memory = self.state.get(schedule.name)
        if memory is not None and memory.since_us >= since_us:
            return
        if memory is not None and event.type == CHANGED:
            memory = msgspec.structs.replace(memory, when="")
        else:
            memory = None
        self.put(schedule, kernel.remembered(schedule, memory, since_us))

    def _pause(self, event: Event, at_us: int) -> None:
        told, schedule = self._meant(event, Asked)
        if told is not None and schedule is not None:
            # It may be paused before any scheduler has seen it.
            memory = self.state.get(schedule.name) or kernel.remembered(schedule, None, at_us)
            self.put(schedule, kernel.pause(memory, told.reason[:_REASON_MAX]))

    def _resume(self, event: Event, at_us: int) -> None:
        _, schedule = self._meant(event, Asked)
        memory = None if schedule is None else self._known(schedule, at_us)
        if schedule is not None and memory is not None:
            self.put(schedule, kernel.resume(schedule, memory, at_us))

    def _adapt(self, event: Event, at_us: int) -> None:
        told, schedule = self._meant(event, Told)
        memory = None if schedule is None else self._known(schedule, at_us)
        if told is None or schedule is None or memory is None:
            return
        if (memory.speed, memory.speed_reason) != (told.to, told.speed_reason):
            self.put(
                schedule,
                kernel.with_speed(schedule, memory, told.to, told.speed_reason, at_us),
            )
        self.conditions = adapt.recall(self.conditions, schedule.name, told.cause, at_us)

    def _be_affected(self, event: Event, at_us: int) -> None:
        try:
            data = event.value()
        except BadData:
            return
        self.conditions = adapt.hear(
            self._timetable.adaptive, self.conditions, event.type, data, at_us
        )

    def _meant(self, event: Event, shape: type[_A]) -> tuple[_A | None, Schedule | None]:
        """What an event about a schedule says, and which one it is about."""
        try:
            told = msgspec.json.decode(event.data, type=shape)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None, None
        return told, self._timetable.schedules.get(told.schedule)

    def _known(self, schedule: Schedule, at_us: int) -> Memory | None:
        """What is remembered of it; where nothing was saved at all, the logs say that it was
        there then."""
        memory = self.state.get(schedule.name)
        if memory is None and self._from_logs:
            return kernel.remembered(schedule, None, at_us)
        return memory


def _moment_us(event: Event, key: str) -> int | None:
    """The time that an event names under that key of its data; None where that is none."""
    try:
        data = event.value()
        text = data.get(key) if isinstance(data, dict) else None
        moment = parse_rfc3339(text) if isinstance(text, str) else None
    except BadData:
        return None
    return microseconds(moment) if moment is not None and moment.year <= YEAR_MAX else None


def _time_us(event: Event) -> int:
    return microseconds(parse_rfc3339(event.time))


_READ: Final[Mapping[str, Callable[[Recollection, Event, int], None]]] = {
    BEGUN: Recollection._begin,
    CHANGED: Recollection._begin,
    PAUSED: Recollection._pause,
    RESUMED: Recollection._resume,
    ADAPTED: Recollection._adapt,
}
