"""The runs of layers: the log is their history.

`layer.started` has the run's id for its own, `layer.completed` says what came of it. A run that
has not said so, and whose layer nobody is running, was interrupted.
"""

from collections.abc import Collection, Iterator
from typing import Final, Literal, get_args

import msgspec

from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import first_since
from hookline.log.read import records
from hookline.log.stream import Stream
from hookline.model.clock import parse_rfc3339
from hookline.model.errors import BadData
from hookline.model.event import Event
from hookline.model.position import Position
from hookline.model.types import domain_of
from hookline.schedule.layer import is_layer_name
from hookline.schedule.layers import is_running
from hookline.schedule.recurrence import microseconds

STARTED: Final = "layer.started"
COMPLETED: Final = "layer.completed"
DONE: Final = ("success", "partial")
"""A run that came to this counts as one: a failed one does not."""
INTERRUPTED: Final = "interrupted"
NO_TARGET: Final = msgspec.Raw(b"")

Trigger = Literal["schedule", "catch-up", "manual"]
Status = Literal["success", "partial", "failed", "dry", "running"]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of the event that made a layer due."""

    id: str
    source: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The data of `layer.started`."""

    run: str
    layer: str
    layer_hash: str
    trigger: Trigger
    schedule: str = ""
    tick: Tick | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The targets of a run: how many there were, for how many steps were run, for how many they
    failed, and how many were left out."""

    matched: int = 0
    processed: int = 0
    failed: int = 0
    skipped: int = 0


class StepRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one step fared, for one target."""

    step: str
    exit: int | None = None
    signal: int | None = None
    ms: float = 0.0
    output_bytes: int = 0
    target: msgspec.Raw = NO_TARGET


class Trouble(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, in which step, for which target."""

    error: str
    step: str
    target: msgspec.Raw = NO_TARGET


class Run(Begun, frozen=True, kw_only=True):
    """The data of `layer.completed`, and one run of the history."""

    status: Status
    reason: str = ""
    """Why it is not as it should be, where no step says so: `interrupted`."""
    started_at: str
    completed_at: str = ""
    duration_s: float = 0.0
    targets: Counts | None = None
    """None: the layer has none, and its steps are run once."""
    steps: tuple[StepRun, ...] = ()
    errors: tuple[Trouble, ...] = ()


def builtins(said: Begun) -> dict[str, object]:
    """As it is put into an event, and printed."""
    value: dict[str, object] = msgspec.json.decode(msgspec.json.encode(said))
    return {key: each for key, each in value.items() if each not in (None, "")}


def runs(home: Home, layer: str | None = None, since: str | None = None) -> Iterator[Run]:
    """The runs of a home or of a layer, the newest first; `since` is a time in the stored form."""
    log, ended = Log(home), set()
    for event in _newest_first(home, since):
        if layer is not None and event.subject not in (None, layer):
            continue
        run = _run(home, log, event)
        if run is None or run.run in ended or layer not in (None, run.layer):
            continue
        ended.add(run.run)
        yield run


def last_runs(
    home: Home, layers: Collection[str], among: Collection[Status] = get_args(Status)
) -> dict[str, Run]:
    """The last run of each of these layers that came to one of these statuses, where it has one."""
    found: dict[str, Run] = {}
    if layers:
        for run in runs(home):
            if run.layer in layers and run.status in among:
                found.setdefault(run.layer, run)
                if len(found) == len(layers):
                    break
    return found


def last_done_us(home: Home, layers: Collection[str]) -> dict[str, int]:
    """When each of these layers last came to its end, those that ever did, in microseconds since
    1970."""
    return {
        name: microseconds(parse_rfc3339(run.completed_at))
        for name, run in last_runs(home, layers, DONE).items()
    }


def _run(home: Home, log: Log, event: Event) -> Run | None:
    """What an event tells of a run; None for an event that does not."""
    try:
        if event.type == COMPLETED:
            run = msgspec.json.decode(log.with_data(event).data, type=Run)
            parse_rfc3339(run.completed_at)
            return run
        if event.type == STARTED:
            begun = msgspec.json.decode(event.data, type=Begun)
            # Both become parts of paths, and anybody may have written the event.
            if is_layer_name(begun.layer) and begun.run == event.id:
                return _unended(begun, event.time, running=is_running(home, begun.layer))
    except (msgspec.MsgspecError, UnicodeError, BadData):
        # Somebody else's event of that type, or its data is gone.
        pass
    return None


def _unended(begun: Begun, at: str, *, running: bool) -> Run:
    """A run of which only the begin is known."""
    return Run(
        **{name: getattr(begun, name) for name in Begun.__struct_fields__},
        started_at=at,
        status="running" if running else "failed",
        reason="" if running else INTERRUPTED,
    )


def _newest_first(home: Home, since: str | None) -> Iterator[Event]:
    """The events about runs, read from behind: one segment after the other, no more than is asked
    for, and none of them longer than a log gets."""
    with Stream.of_domain(home, domain_of(STARTED)) as stream:
        oldest = first_since(stream, since).segment
        for ordinal in reversed([*stream.ordinals(), stream.live_ordinal()]):
            if ordinal < oldest:
                return
            for event in reversed(_of_segment(stream, ordinal)):
                if since is None or event.time >= since:
                    yield event


def _of_segment(stream: Stream, ordinal: int) -> list[Event]:
    found: list[Event] = []
    for chunk in stream.look(Position(ordinal, 0)):
        for record in records(chunk):
            if record.position.segment != ordinal:
                return found
            if record.event is not None and record.event.type in (STARTED, COMPLETED):
                found.append(record.event)
    return found
