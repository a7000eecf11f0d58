"""An old timer and its schedule, watched side by side.

What is seen of the old timer is appended to the log at once, so that the log alone says what a
comparison comes to, whoever was killed meanwhile, and the next call goes on with it.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from hookline.app.moving import machine_zone
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import Query, select
from hookline.log.watch import Watch
from hookline.model.clock import Clock, parse_rfc3339, rfc3339
from hookline.model.errors import BadData, Usage, shown
from hookline.model.event import Event
from hookline.model.types import is_pattern
from hookline.schedule import tick
from hookline.schedule.compare import Report, Span, compare
from hookline.schedule.recurrence import Every, microseconds, utc_time
from hookline.schedule.schedule import Schedule

SOURCE: Final = "hookline.migrate"
BEGUN: Final = "migrate.comparison_begun"
RESUMED: Final = "migrate.comparison_resumed"
FIRED: Final = "migrate.old_fired"
STOPPED: Final = "migrate.comparison_stopped"
ENDED: Final = "migrate.comparison_ended"
_LOOKED_AHEAD: Final = 50
_STAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d+)?) ?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)


class Told(msgspec.Struct, frozen=True):
    """What the events of a comparison say."""

    schedule: str
    old: str
    until: str = ""


class Old(Protocol):
    """What an old timer leaves when it fires."""

    label: str
    """As it is called in the events of a comparison."""
    leaves_events: bool
    """Whether the log has its firings without anybody who watches."""

    def past(self, since: str) -> list[int]:
        """The firings that can be told from what is there, from a time on."""

    def wait(self, until: datetime) -> list[datetime]:
        """Wait, at most until then; the firings seen meanwhile."""


class Events:
    """An old timer that appends events of its own."""

    leaves_events = True

    def __init__(self, home: Home, pattern: str, clock: Clock) -> None:
        self._home, self._clock = home, clock
        self.label = pattern
        self._watch = Watch([])

    def past(self, since: str) -> list[int]:
        """See `Old`. The schedule's own ticks are none of them."""
        return [
            microseconds(parse_rfc3339(event.time))
            for event in _events(self._home, self.label, since)
            if event.source not in (tick.SOURCE, SOURCE)
        ]

    def wait(self, until: datetime) -> list[datetime]:
        """See `Old`."""
        self._watch.wait(max(0.0, (until - self._clock.now()).total_seconds()))
        return []


class Touched:
    """An old timer that writes to a file, or touches it."""

    leaves_events = False

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path.absolute(), clock
        self.label = str(self._path)
        if not self._path.parent.is_dir():
            raise Usage(
                f"{self._path.parent} is no folder: name the file that the old timer writes"
            )
        self._watch = Watch([self._path.parent])
        self._last = self._look()

    def past(self, since: str) -> list[int]:
        """See `Old`: the times at which its lines say that they were written."""
        moments = (_stamp(line) for line in self._path.read_text(errors="replace").splitlines())
        since_us = microseconds(parse_rfc3339(since))
        return [each for each in moments if each is not None and each >= since_us]

    def wait(self, until: datetime) -> list[datetime]:
        """See `Old`."""
        self._watch.wait(max(0.0, (until - self._clock.now()).total_seconds()))
        self._watch.read()
        found = self._look()
        if found is None or found == self._last:
            return []
        self._last = found
        written = utc_time(found[0] // 1000)
        return [min(written, self._clock.now())]

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


class Command:
    """A command that is run as the old loop ran it: run, wait for `every`, and again."""

    leaves_events = False

    def __init__(self, command: str, every_s: float, clock: Clock) -> None:
        self._command, self._clock = command, clock
        self._every = timedelta(seconds=every_s)
        self._due = clock.now()
        self._watch = Watch([])
        self.label = command

    def past(self, since: str) -> list[int]:
        """See `Old`."""
        del since
        raise Usage("--run is about what is to come: give it --for, such as --for 48h")

    def wait(self, until: datetime) -> list[datetime]:
        """See `Old`. What the command prints is not shown."""
        first = min(until, self._due)
        self._watch.wait(max(0.0, (first - self._clock.now()).total_seconds()))
        begun = self._clock.now()
        if begun < self._due:
            return []
        quiet = subprocess.DEVNULL
        # The owner's own line: a shell is what it is written for.
        subprocess.run(["/bin/sh", "-c", self._command], stdin=quiet, stdout=quiet, check=False)
        self._due = self._clock.now() + self._every
        return [begun]


def old_timer(home: Home, text: str, clock: Clock) -> Old:
    """What `--old` means: a file, or events of a type or pattern."""
    if os.path.exists(text) or "/" in text:
        return Touched(Path(text), clock)
    if not is_pattern(text):
        raise Usage(f"--old {shown(text)} is no file, and no type or pattern such as worker.*")
    return Events(home, text, clock)


class Comparison:
    """One schedule beside one old timer."""

    def __init__(
        self, home: Home, schedule: Schedule, old: Old, clock: Clock, tolerance_us: int | None
    ) -> None:
        """Raises BadData for a schedule that has no times of its own."""
        self._home, self._schedule, self._old, self._clock = home, schedule, old, clock
        self._tolerance_us = tolerance_us
        self._log = Log(home, clock=clock)
        self._begun = clock.now()
        self.interval_us = _interval_us(schedule, microseconds(clock.now()))

    def begin(self, span: timedelta) -> tuple[datetime, datetime, bool]:
        """From when, until when, and whether that goes on with what was begun before."""
        now = self._begun = self._clock.now()
        open_one = self._open()
        if open_one is not None:
            since, until = open_one
            self._note(RESUMED, now)
            return since, until, True
        until = now + span
        self._note(BEGUN, now, until=rfc3339(until))
        return now, until, False

    def watch(self, until: datetime, look: datetime) -> bool:
        """Note the old timer's firings until `look`; whether the time is not over."""
        while (now := self._clock.now()) < min(until, look):
            for fired in self._old.wait(min(until, look)):
                # A file's time is that of the kernel's coarse clock, some milliseconds behind.
                self._note(FIRED, max(fired, self._begun))
        return now < until

    def stop(self, *, over: bool) -> None:
        """Nobody watches any more; `over`: the time is."""
        self._note(ENDED if over else STOPPED, self._clock.now())

    def report(self, since: datetime, until: datetime) -> Report:
        """What it has come to, by the log alone."""
        spans = [(microseconds(since), microseconds(until))]
        if self._old.leaves_events:
            old_us = self._old.past(rfc3339(since))
        else:
            old_us, spans = self._watched(since, until)
        return self._compared(old_us, rfc3339(since), spans)

    def report_past(self, since: datetime) -> Report:
        """The same of what the old timer has left without anybody who watched."""
        old_us = self._one_each(self._old.past(rfc3339(since)))
        span = microseconds(since), microseconds(self._clock.now())
        return self._compared(old_us, rfc3339(since), [span])

    def _compared(self, old_us: list[int], since: str, spans: list[Span]) -> Report:
        return compare(
            old_us,
            self._ticks(since),
            self.interval_us,
            tolerance_us=self._tolerance_us,
            any_phase=isinstance(self._schedule.when, Every),
            spans=spans,
        )

    def _ticks(self, since: str) -> list[int]:
        """When the schedule's own ticks were appended; who asked for one has it besides."""
        proofs = (tick.proof_of(each) for each in _events(self._home, self._schedule.event, since))
        return [
            microseconds(parse_rfc3339(proof.fired))
            for proof in proofs
            if proof is not None and proof.schedule == self._schedule.name and not proof.is_extra
        ]

    def _note(self, type: str, moment: datetime, until: str = "") -> None:
        data = {"schedule": self._schedule.name, "old": self._old.label}
        if until:
            data["until"] = until
        self._log.append(
            type, source=SOURCE, subject=self._schedule.name, data=data, time=rfc3339(moment)
        )

    def _notes(self, since: str | None) -> Iterator[tuple[Event, Told]]:
        for event in _events(self._home, "migrate.*", since):
            if event.source == SOURCE and event.data:
                told = msgspec.json.decode(event.data, type=Told)
                if (told.schedule, told.old) == (self._schedule.name, self._old.label):
                    yield event, told

    def _open(self) -> tuple[datetime, datetime] | None:
        """The comparison that was begun and is not over, where there is time left."""
        found: tuple[datetime, datetime] | None = None
        for event, told in self._notes(None):
            if event.type == BEGUN:
                found = parse_rfc3339(event.time), parse_rfc3339(told.until)
            elif event.type == ENDED:
                found = None
        return None if found is None or found[1] <= self._clock.now() else found

    def _watched(self, since: datetime, until: datetime) -> tuple[list[int], list[Span]]:
        """The old timer's firings, and when somebody watched for them."""
        fired: list[int] = []
        spans: list[Span] = []
        opened: int | None = None
        last_us = microseconds(since)
        notes = [
            (microseconds(parse_rfc3339(each.time)), each)
            for each, _ in self._notes(rfc3339(since))
        ]
        for at_us, event in notes:
            if event.type in (BEGUN, RESUMED):
                if opened is not None:
                    # It was killed, after what it saw last.
                    spans.append((opened, last_us))
                opened = at_us
            elif event.type in (STOPPED, ENDED) and opened is not None:
                spans.append((opened, at_us))
                opened = None
            elif event.type == FIRED:
                fired.append(at_us)
            last_us = at_us
        if opened is not None:
            spans.append((opened, microseconds(until)))
        return self._one_each(fired), spans

    def _one_each(self, moments_us: list[int]) -> list[int]:
        """Of what comes close together, as lines of one run do, the first."""
        found: list[int] = []
        for each in sorted(moments_us):
            if not found or each - found[-1] > self.interval_us // 4:
                found.append(each)
        return found


def _events(home: Home, pattern: str, since: str | None) -> Iterator[Event]:
    for found in select(home, Query(pattern=pattern, since=since), lambda _: None):
        if found.record.event is not None:
            yield found.record.event


def _interval_us(schedule: Schedule, now_us: int) -> int:
    """The shortest span between the next times of a schedule."""
    if schedule.interval_us is not None:
        return schedule.interval_us
    moments: list[int] = []
    moment: int | None = now_us
    while moment is not None and len(moments) < _LOOKED_AHEAD:
        moment = schedule.when.after(moment)
        if moment is not None:
            moments.append(moment)
    spans = [b - a for a, b in pairwise(moments)]
    if not spans:
        raise BadData(f"schedule {schedule.name} has no two times to come: nothing to compare")
    return min(spans)


def _stamp(line: str) -> int | None:
    """The first time in a line, that of this machine where it has no zone."""
    found = _STAMP.search(line)
    if found is None:
        return None
    text = f"{found[1]}T{found[2].replace(',', '.')}"
    try:
        if found[3]:
            return microseconds(parse_rfc3339(text + found[3], colonless=True))
        local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(machine_zone()))
        return microseconds(local)
    except (BadData, ValueError):
        return None
