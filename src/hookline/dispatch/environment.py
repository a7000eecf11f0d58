"""The environment of a handler: clean, the same under cron, a terminal and systemd."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from hookline.dispatch.handlers import Handler
from hookline.dispatch.subscription import Delivery
from hookline.model.clock import Clock, rfc3339

MARK = "HOOKLINE_ATTEMPT"
_OF_ONE = ("EVENT_SOURCE", "EVENT_TIME", "EVENT_SUBJECT", "EVENT_REPLAYOF")
"""What is said of one event, and would be wrong for the others of a batch."""


class _Attributes(msgspec.Struct):
    """What of an event goes into the environment; the payload never does."""

    subject: str = ""
    time: str = ""
    hops: int = 0
    correlationid: str = ""
    traceparent: str = ""


_ATTRIBUTES = msgspec.json.Decoder(_Attributes)


class Environment:
    """Makes the environment of each run from that of the home."""

    def __init__(self, root: Path, passed: Mapping[str, str], clock: Clock) -> None:
        self._root = str(root)
        self._passed = dict(passed)
        self._clock = clock

    def mark(self, handler: Handler, deliveries: list[Delivery]) -> str:
        """A setting that tells a run, and all that the run starts, from every other."""
        delivery = deliveries[0]
        return run_mark(self._root, handler.name, delivery.event, delivery.attempt)

    def host_mark(self, handler: Handler) -> str:
        """The mark of a Python handler's host or a stream handler's program, whatever it is at."""
        return run_mark(self._root, handler.name, "host", 0)

    def of_host(self, handler: Handler, scratch: Path) -> dict[str, str]:
        """The environment of these: that of a run, less the event's."""
        return {
            **self._passed,
            "HOOKLINE_HOME": self._root,
            MARK: self.host_mark(handler).removeprefix(f"{MARK}="),
            "TMPDIR": str(scratch),
        }

    def of_warm_hosts(self) -> dict[str, str]:
        """The environment of a bash that waits for the events of warm handlers."""
        mark = warm_mark(self._root).removeprefix(f"{MARK}=")
        return {**self._passed, "HOOKLINE_HOME": self._root, MARK: mark}

    def of(self, handler: Handler, deliveries: list[Delivery], scratch: str) -> dict[str, str]:
        """The environment of a run. Of a batch it tells what all have, and which event is the cause
        of what the run emits: the last."""
        return {
            **self._passed,
            "HOOKLINE_HOME": self._root,
            **self.of_run(handler, deliveries, scratch),
        }

    def of_run(self, handler: Handler, deliveries: list[Delivery], scratch: str) -> dict[str, str]:
        """What of it is not the same for every run of the home."""
        delivery = deliveries[-1]
        event = attributes(delivery.raw or b"{}")
        deadline = self._clock.now() + timedelta(seconds=handler.policy.timeout_s)
        env = {
            MARK: self.mark(handler, deliveries).removeprefix(f"{MARK}="),
            "TMPDIR": scratch,
            "EVENT_ID": delivery.event,
            "EVENT_TYPE": delivery.type,
            "EVENT_SOURCE": delivery.source,
            "EVENT_TIME": event.time,
            "EVENT_SUBJECT": event.subject,
            "EVENT_ATTEMPT": str(delivery.attempt),
            "EVENT_DEADLINE": rfc3339(deadline),
            "EVENT_HOPS": str(event.hops),
            "EVENT_CORRELATION": event.correlationid,
            "EVENT_REPLAYOF": delivery.replay,
        }
        if event.traceparent:
            env["TRACEPARENT"] = event.traceparent
        if handler.batch > 1:
            env["EVENT_COUNT"] = str(len(deliveries))
        if len(deliveries) > 1:
            for name in _OF_ONE:
                del env[name]
            if any(each.type != delivery.type for each in deliveries):
                del env["EVENT_TYPE"]
        return env


def run_mark(root: str, handler: str, event: str, attempt: int) -> str:
    """See `Environment.mark`."""
    return f"{MARK}={root}:{handler}:{event}:{attempt}"


def warm_mark(root: str) -> str:
    """The mark of every bash that waits for events, and of what has not been given one yet."""
    return run_mark(root, "", "host", 0)


def attributes(raw: bytes) -> _Attributes:
    """The attributes of a line that go into the environment; empty ones where it is not an
    event."""
    try:
        return _ATTRIBUTES.decode(raw)
    except msgspec.MsgspecError:
        return _Attributes()
