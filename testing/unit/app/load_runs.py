"""A load test whose workers, logs and journal are the test's."""

import json
from datetime import UTC, datetime, timedelta

from hookline.app.load_account import Account
from hookline.log.log import Log
from hookline.log.read import records
from hookline.log.rotate import rotate
from hookline.log.stream import Stream
from hookline.model.clock import rfc3339

T0 = datetime(2026, 11, 21, tzinfo=UTC)
T0_S = T0.timestamp()


class Run:
    """The folder of a run `load-x`, and the home."""

    def __init__(self, home, folder, threshold_s=2):
        self.home, self.folder = home, folder
        folder.mkdir()
        plan = {"run": "load-x", "workers": 2, "interval_ms": 100, "duration_s": 10}
        (folder / "plan.json").write_text(json.dumps(plan | {"threshold_s": threshold_s}))
        self.numbers = {}

    def account(self):
        return Account(self.home, self.folder)

    def beat(self, worker, at_s=0.0, *, tally=True, number=None, how="logged", us=500):
        """A heartbeat, in the log and in the tally; its id."""
        self.numbers[worker] = number or self.numbers.get(worker, 0) + 1
        event = Log(self.home).append(
            "worker.heartbeat", source=worker, time=at(at_s),
            data={"worker_id": worker, "heartbeat_count": self.numbers[worker]},
        )  # fmt: skip
        if tally:
            self.say(worker, event.id, how, us)
        return event.id

    def say(self, worker, event, how="logged", us=500):
        with (self.folder / "tally").open("a") as tally:
            tally.write(f"{worker} {event} {us} {how}\n")

    def note(self, name, text):
        with (self.folder / name).open("a") as notes:
            notes.write(text + "\n")

    def alert(self, workers, at_s=0.0):
        data = {"alert_type": "stale_workers", "workers": workers}
        return (
            Log(self.home)
            .append("system.health_alert", source="on-worker-heartbeat", time=at(at_s), data=data)
            .id
        )

    def batch(self, first, last, at_s=0.0, handler="on-x.sh"):
        begin, end = self._record(first).position, self._record(last).end
        self._enter(
            action="batch", time=at(at_s), handler=handler, domain="worker",
            segment=begin.segment, offset=begin.offset, end=end, events=2, event=last,
            source="load-x", verdict="done", ms=1.0, then="settled",
        )  # fmt: skip

    def attempt(self, event, at_s=0.0, then="settled", handler="on-x.sh", **more):
        begin = self._record(event).position
        self._enter(
            action="attempt", time=at(at_s), handler=handler, domain="worker",
            segment=begin.segment, offset=begin.offset, event=event, type="worker.heartbeat",
            attempt=1, verdict="done" if then == "settled" else "failed", exit=0, ms=1.0,
            then=then, **more,
        )  # fmt: skip

    def rotate(self):
        rotate(self.home, "worker")

    def _enter(self, **entry):
        with self.home.deliveries.open("a") as journal:
            journal.write(json.dumps(entry) + "\n")

    def _record(self, event):
        with Stream.of_domain(self.home, "worker") as stream:
            for chunk in stream.look():
                for record in records(chunk):
                    if record.event and record.event.id == event:
                        return record
        raise AssertionError(event)


def at(seconds):
    """So many seconds after the beginning of the test."""
    return rfc3339(T0 + timedelta(seconds=seconds))
