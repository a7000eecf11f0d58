"""A run of a layer: one at a time, begun and completed by an event each, whatever is killed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hookline.dispatch.environment import MARK
from hookline.dispatch.process import null, remove_tree, scratch, sweep
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model import envelope
from hookline.model.clock import Clock, nanoseconds, rfc3339
from hookline.model.errors import told
from hookline.model.event import Event
from hookline.model.ids import uuid7
from hookline.schedule.layer import Layer
from hookline.schedule.layer_steps import Steps, Workplace
from hookline.schedule.layers import alone
from hookline.schedule.runs import (
    COMPLETED,
    DONE,
    INTERRUPTED,
    STARTED,
    Begun,
    Run,
    Status,
    Tick,
    Trigger,
    builtins,
    runs,
)

SOURCE: Final = "hookline.layers"
SLACK: Final = timedelta(days=1)
"""So much earlier than its tick a run may seem to be, after the clock was set back."""
_RUN_MARK: Final = "HOOKLINE_RUN"


class Occasion(NamedTuple):
    """Why a layer is run."""

    trigger: Trigger
    event: bytes = b""
    """The line of the event that made it due; empty: somebody asked."""
    at: datetime | None = None
    """The time of that event."""
    tick: Tick | None = None
    schedule: str = ""


class LayerRunner:
    """Runs layers of one home."""

    def __init__(
        self,
        home: Home,
        log: Log,
        clock: Clock,
        passed: Mapping[str, str],
        *,
        attempt: str = "",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`passed` is the environment that commands get, `attempt` the mark of the handler's run
        that we are, if we are one, `tell` hears how it goes on."""
        self._home = home
        self._log = log
        self._clock = clock
        self._passed = passed
        self._attempt = attempt
        self._tell = tell

    def run(self, layer: Layer, occasion: Occasion, targets: Sequence[bytes] = ()) -> Run:
        """Run it now, for these targets if some are given; what came of it. For a tick that a run
        has served before it is not run again.

        Raises TryAgain while another run of it is there. A signal to stop ends the step that is at
        work, and the run as failed.
        """
        with alone(self._home, layer.name):
            self._close_interrupted(layer.name)
            if served := self._served(layer.name, occasion):
                return served
            begun = self._begun(layer, occasion)
            with self._at_work(begun) as folder:
                return self._run(layer, occasion, targets, begun, folder)

    def preview(self, layer: Layer, targets: Sequence[bytes] = ()) -> Run:
        """Which targets there would be. Only the command that finds them is run, and no event says
        so. Raises TryAgain while a run of it is there."""
        begun = self._begun(layer, Occasion("manual"))
        began = rfc3339(self._clock.now())
        with alone(self._home, layer.name), self._at_work(begun) as folder:
            steps = Steps(layer.plan, self._place(begun, folder, None, b"{}"), self._tell)
            status: Status = "failed" if steps.choose(targets) is None else "dry"
        return self._ended(begun, began, status, "", steps)

    def _run(
        self,
        layer: Layer,
        occasion: Occasion,
        targets: Sequence[bytes],
        begun: Begun,
        folder: Path,
    ) -> Run:
        started = self._log.append(
            STARTED, source=SOURCE, subject=layer.name, id=begun.run, data=builtins(begun)
        )
        place = self._place(begun, folder, started, occasion.event)
        steps = Steps(layer.plan, place, self._tell)
        log = Log(self._home, clock=self._clock, cause=started)
        begun_s = self._clock.monotonic_s()
        status: Status = "failed"
        reason = ""
        try:
            status = steps.perform(targets)
        except BaseException as error:
            reason = told(error) if isinstance(error, Exception) else INTERRUPTED
            raise
        finally:
            took_s = self._clock.monotonic_s() - begun_s
            run = self._ended(begun, started.time, status, reason, steps, took_s)
            self._complete(log, run)
        return run

    def _ended(
        self,
        begun: Begun,
        started_at: str,
        status: Status,
        reason: str,
        steps: Steps,
        took_s: float = 0.0,
    ) -> Run:
        return Run(
            **{name: getattr(begun, name) for name in Begun.__struct_fields__},
            status=status,
            reason=reason,
            started_at=started_at,
            completed_at=rfc3339(self._clock.now()),
            duration_s=round(took_s, 3),
            targets=steps.counts,
            steps=tuple(steps.done),
            errors=tuple(steps.errors),
        )

    def _complete(self, log: Log, run: Run) -> None:
        """However often it is said that a run has ended, it is one event."""
        log.append(
            COMPLETED,
            source=SOURCE,
            subject=run.layer,
            id=f"{run.run}.completed",
            causationid=run.run,
            data=builtins(run),
        )

    def _close_interrupted(self, layer: str) -> None:
        """A run that has not ended, and nobody is at, was killed: say so."""
        last = next(runs(self._home, layer), None)
        if last is None or last.completed_at:
            return
        # Who was to see to that may have been killed, too.
        sweep({self._mark(last.run)})
        now = rfc3339(self._clock.now())
        last = msgspec.structs.replace(last, status="failed", reason=INTERRUPTED, completed_at=now)
        # Not the event that we are run for is the cause of that.
        self._complete(Log(self._home, clock=self._clock), last)

    def _served(self, layer: str, occasion: Occasion) -> Run | None:
        """The run that a tick has had before."""
        if occasion.tick is None or occasion.at is None:
            return None
        for run in runs(self._home, layer, rfc3339(occasion.at - SLACK)):
            if run.tick == occasion.tick and run.status in DONE:
                return run
        return None

    def _begun(self, layer: Layer, occasion: Occasion) -> Begun:
        return Begun(
            run=uuid7(nanoseconds(self._clock.now())),
            layer=layer.name,
            layer_hash=layer.hash,
            trigger=occasion.trigger,
            schedule=occasion.schedule,
            tick=occasion.tick,
        )

    def _place(self, begun: Begun, folder: Path, started: Event | None, event: bytes) -> Workplace:
        mark = self._mark(begun.run)
        env = {
            **self._passed,
            "HOOKLINE_HOME": str(self._home.root),
            # That of the handler which runs the layer: whoever ends it finds our steps, too.
            MARK: self._attempt or mark.partition("=")[2],
            "TMPDIR": str(folder),
            "LAYER": begun.layer,
            "LAYER_RUN": begun.run,
            **(_of_event(started) if started else {}),
        }
        if not event and started is not None:
            event = _line(started)
        return Workplace(root=self._home.root, folder=folder, mark=mark, env=env, event=event)

    @contextmanager
    def _at_work(self, begun: Begun) -> Iterator[Path]:
        """A folder in which steps leave what they print for each other. Nothing that the run has
        started outlives it."""
        folder = self._home.state / "layers" / begun.layer
        # Of a run that was killed: there is no other one now.
        remove_tree(folder)
        scratch(folder.parent, folder.name)
        try:
            with _guarded(self._mark(begun.run)):
                yield folder
        finally:
            remove_tree(folder)

    def _mark(self, run: str) -> str:
        return f"{_RUN_MARK}={self._home.root}:{run}"


def _line(started: Event) -> bytes:
    return envelope.line(
        id=started.id,
        source=started.source,
        type=started.type,
        time=started.time,
        subject=started.subject,
        data=bytes(started.data),
    )


def _of_event(started: Event) -> dict[str, str]:
    """What makes the begin of the run the cause of what its steps emit."""
    env = {
        "EVENT_ID": started.id,
        "EVENT_TYPE": started.type,
        "EVENT_SOURCE": started.source,
        "EVENT_TIME": started.time,
        "EVENT_HOPS": str(started.hops),
        "EVENT_CORRELATION": started.correlationid or "",
    }
    return env | ({"TRACEPARENT": started.traceparent} if started.traceparent else {})


@contextmanager
def _guarded(mark: str) -> Iterator[None]:
    """Whatever ends us, also kill -9: what carries the mark is ended then.

    By a child that does nothing but wait for our end of a pipe to close. It has the lock of the
    layer open as we have: there is no other run before it is done.
    """
    ours, its = os.pipe2(os.O_CLOEXEC)[::-1]
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.close(ours)
            for fd in (0, 1, 2):
                os.dup2(null(), fd)
            os.read(its, 1)
            sweep({mark})
        finally:
            os._exit(0)
    os.close(its)
    try:
        yield
    finally:
        os.close(ours)
        os.waitpid(pid, 0)
