"""A home with handlers of the test's own, and a dispatcher that runs them for real."""

import json
import os
import stat
import time
from functools import partial

import pytest

from hookline.dispatch.dispatcher import Dispatcher
from hookline.dispatch.python_runner import describe
from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from hookline.model import envelope, ids
from hookline.model.clock import SystemClock, rfc3339

# A stream program that has the body of a shell handler run for each event, as a program would be.
STREAM = r"""#!/bin/bash
# run: stream
{header}
handle() {{
{body}
}}
while IFS= read -r event; do
  [[ $event =~ \"id\":\"([^\"]*)\",\"source\":\"([^\"]*)\",\"type\":\"([^\"]*)\" ]]
  echo >>"$HOOKLINE_HOME/attempts.${{BASH_REMATCH[1]}}"
  mapfile -t attempts <"$HOOKLINE_HOME/attempts.${{BASH_REMATCH[1]}}"
  printf '%s\n' "$event" >event
  (
    export EVENT_ID=${{BASH_REMATCH[1]}} EVENT_SOURCE=${{BASH_REMATCH[2]}}
    export EVENT_TYPE=${{BASH_REMATCH[3]}} EVENT_ATTEMPT=${{#attempts[@]}}
    handle "$PWD/event" <event 2>error 3>&-
  )
  status=$?
  cat error >&2
  echo "${{BASH_REMATCH[1]}} $status $(tail -n 1 error | head -c 1000)" >&3
done
"""


# Ends with the status that is the event's data; jq would take ten times as long.
OBEY = 'read -r event <"$1"; event=${event%?}; exit "${event##*:}"'


class Spectator:
    """Remembers everything."""

    def __init__(self):
        self.entries, self.notes, self.arrivals = [], [], []

    def arrived(self, domain, events):
        self.arrivals += [(domain, event.id) for event in events.events]

    def entered(self, entry):
        self.entries.append(entry)

    def noted(self, text):
        self.notes.append(text)


class Bench:
    """One home under test."""

    def __init__(self, root):
        self.home = Home(root)
        self.kind = "exec"
        """Of the handlers that are shell scripts."""
        for folder in (self.home.events, self.home.queue, self.home.segments, self.home.handlers):
            folder.mkdir(parents=True, exist_ok=True)
        self.spectator = Spectator()
        self.alerts = []

    def handler(self, name, text, mode=0o750):
        path = self.home.handlers / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def shell(self, name, body, header=""):
        if self.kind == "stream":
            return self.handler(name, STREAM.format(header=header, body=body))
        run = "" if self.kind == "exec" else f"# run: {self.kind}\n"
        return self.handler(name, f"#!/bin/bash\n{run}{header}\n{body}\n")

    def emit(self, type, data=None, **more):
        fields = {
            "id": ids.uuid7(time.time_ns()),
            "source": "test",
            "time": rfc3339(SystemClock().now()),
            "data": json.dumps(data, separators=(",", ":")).encode(),
            **more,
        }
        append_line_to_log(
            self.home.root, type.partition(".")[0], envelope.line(type=type, **fields)
        )
        return fields["id"]

    def dispatcher(self, **more):
        passed = {"PATH": os.defpath, "HOME": "/nonexistent", "OUT": str(self.out)}
        return Dispatcher(
            self.home,
            **{
                "clock": SystemClock(),
                "describe": partial(describe, passed=passed),
                "lines": lambda _, line: line,
                "alert": lambda *alert: self.alerts.append(alert),
                "passed": passed,
                "spectator": self.spectator,
                # Else a retry after 300 s at most may come at once.
                "jitter": lambda: 0.5,
                **more,
            },
        )

    def drain(self):
        dispatcher = self.dispatcher()
        try:
            dispatcher.drain()
        finally:
            dispatcher.close()

    def run_until(self, condition, deadline_s=60.0):
        """Tick until the condition holds."""
        dispatcher = self.dispatcher()
        try:
            with dispatcher.signals():
                ends_s = time.monotonic() + deadline_s
                while not condition():
                    assert time.monotonic() < ends_s, f"in vain; {self.verdicts()}"
                    dispatcher.tick(0.05)
        finally:
            dispatcher.close()

    @property
    def out(self):
        return self.home.root / "out"

    def said(self):
        """The lines that handlers appended to $OUT."""
        return self.out.read_text().splitlines() if self.out.exists() else []

    def attempts(self, handler=None):
        return [
            entry
            for entry in self.spectator.entries
            if entry.action in ("attempt", "batch") and handler in (None, entry.handler)
        ]

    def verdicts(self, handler=None):
        return [(entry.verdict, entry.then) for entry in self.attempts(handler)]

    def letters(self):
        try:
            return [json.loads(line) for line in self.home.dead_letters.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def journal(self):
        return [json.loads(line) for line in self.home.deliveries.read_text().splitlines()]


@pytest.fixture(name="bench")
def make_bench(tmp_path):
    root = tmp_path / "home"
    root.mkdir(mode=0o750)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & stat.S_ISVTX:
            folder.chmod(folder.stat().st_mode & ~0o022)
    old = os.umask(0o022)
    yield Bench(root)
    os.umask(old)
