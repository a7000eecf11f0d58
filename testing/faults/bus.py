"""A home with handlers that note what they do, and its dispatcher as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hookline.app.selftest import leaks
from hookline.app.selftest.history import History, read_letters, read_log, read_runs
from hookline.app.selftest.leaks import Idle
from hookline.dispatch.lock import holder
from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from hookline.model import envelope, ids
from hookline.model.clock import SystemClock, rfc3339

DEADLINE_S = 60.0
LOOK_S = 0.02
TYPE = "a.b"

# A run notes its beginning and its end in one write each; one that is killed has no end.
SHELL = r"""#!/bin/bash
# {header}
note() {{
  printf '%s %s %s %s %s %s\n' "$1" "$EVENT_ID" "${{EVENT_SUBJECT:-all}}" "$EVENT_ATTEMPT" \
    "${{EPOCHREALTIME/./}}" "${{2-}}" >>"$HOOKLINE_HOME/out"
}}
trap 'note end $?' EXIT
note begin
{body}
"""

PYTHON = """# run: python   {header}
import os, signal, subprocess, sys, time
from hookline import on, Reject, Retry

out = open(os.path.join(os.environ["HOOKLINE_HOME"], "out"), "ab", buffering=0)

def note(what, event, status=""):
    key = event.subject or "all"
    out.write(f"{{what}} {{event.id}} {{key}} 1 {{time.time_ns() // 1000}} {{status}}\\n".encode())

def body(event):
{body}

@on("a.b")
def handle(event):
    note("begin", event)
    status = 1
    try:
        body(event)
        status = 0
    finally:
        note("end", event, status)
"""

# The same body in a program of its own, which ends with an event that its body does not come well
# out of.
STREAM = """#!{python} -I
# run: stream   {header}
import json, os, signal, subprocess, sys, time
from types import SimpleNamespace

out = open(os.path.join(os.environ["HOOKLINE_HOME"], "out"), "ab", buffering=0)

def note(what, event, status=""):
    key = event.subject or "all"
    out.write(f"{{what}} {{event.id}} {{key}} 1 {{time.time_ns() // 1000}} {{status}}\\n".encode())

def body(event):
{body}

for line in sys.stdin:
    event = SimpleNamespace(**json.loads(line))
    note("begin", event)
    status = 1
    try:
        body(event)
        status = 0
    finally:
        note("end", event, status)
    os.write(3, f"{{event.id}} 0\\n".encode())
"""


class Bus:
    """One home under test."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.acknowledged: list[str] = []
        self.order: dict[str, list[str]] = {}
        self.processes: list[subprocess.Popen[bytes]] = []

    # -- what there is to handle ---------------------------------------------------------

    def file(self, name: str, text: str, mode: int = 0o750) -> Path:
        """A handler's file, put in place as a whole, as an installer would."""
        path = self.home.handlers / name
        new = path.with_name(f".{name}.new")
        new.write_text(text)
        new.chmod(mode)
        return new.rename(path)

    def shell(self, body: str, header: str = "", name: str = "on-a-b.sh") -> Path:
        """A handler in bash that notes its runs; its exit status is that of `body`."""
        return self.file(name, SHELL.format(header=header, body=body))

    def python(self, body: str, header: str = "", name: str = "on-a-b.py") -> Path:
        """The same in Python; `body` sees `event`."""
        return self.file(name, PYTHON.format(header=header, body=_indented(body)))

    def stream(self, body: str, header: str = "", name: str = "on-a-b.py") -> Path:
        """The same as a stream program; its events need a subject."""
        text = STREAM.format(python=sys.executable, header=header, body=_indented(body))
        return self.file(name, text)

    def emit(self, key: str = "", data: object = None, type: str = TYPE, **more: Any) -> str:
        """Append an event that counts as acknowledged."""
        fields: dict[str, Any] = {
            "id": ids.uuid7(time.time_ns()),
            "source": "writer",
            "type": type,
            "time": rfc3339(SystemClock().now()),
            "subject": key,
            "data": json.dumps(data, separators=(",", ":")).encode(),
            **more,
        }
        append_line_to_log(self.home.root, type.partition(".")[0], envelope.line(**fields))
        event = str(fields["id"])
        self.acknowledged.append(event)
        self.order.setdefault(key or "all", []).append(event)
        return event

    def emit_many(self, count: int, keys: int = 1) -> None:
        """Some events with `data.n` from 0, over so many keys."""
        for n in range(count):
            self.emit(f"k{n % keys}", {"n": n})

    # -- the dispatcher ------------------------------------------------------------------

    def start(self, *options: str, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start `hookline dispatch`, `under` another program if one is given; it leads a session of
        its own, as a daemon would."""
        return self._start(*under, sys.executable, "-m", "hookline", "dispatch", *options)

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start `hookline schedule run`, likewise."""
        return self._start(sys.executable, "-m", "hookline", "schedule", "run")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        source = Path(__file__).resolve().parents[2] / "src"
        with (self.home.root / "said").open("ab") as said:
            process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    "PYTHONPATH": str(source),
                    "HOOKLINE_HOME": str(self.home.root),
                },
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        self.processes.append(process)
        return process

    def ready(self, *options: str, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """The same, and wait until it dispatches: it holds the lock and has read the index."""
        process = self.start(*options, under=under)
        self.wait(
            lambda: holder(self.home) == process.pid and self._hears(process.pid),
            "it does not start",
        )
        return process

    @staticmethod
    def _hears(pid: int) -> bool:
        """Whether the process handles SIGCHLD: it does so while it runs the loop (proc(5))."""
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)
        return False

    def once(self) -> None:
        """`hookline dispatch --once`, to its end."""
        process = self.start("--once")
        assert process.wait(DEADLINE_S) == 0, self.said()

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Tell it to end, and see that it does so in order."""
        process.terminate()
        assert process.wait(DEADLINE_S) == 0, self.said()

    def idle(self, process: subprocess.Popen[bytes]) -> Idle:
        """What the dispatcher has when it has nothing to do; it has had something by then."""
        self.wait(lambda: not leaks.problems(self.home, Idle.of(process.pid)), "a run goes on")
        return Idle.of(process.pid)

    # -- what came of it -----------------------------------------------------------------

    def wait(self, until: Callable[[], object], why: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait for a condition, which is read from files: nobody tells of it."""
        gives_up_s = time.monotonic() + deadline_s
        while not until():
            assert time.monotonic() < gives_up_s, f"{why}; {self.said()} {self.verdicts()}"
            time.sleep(LOOK_S)  # nobody tells when the condition holds

    def wait_answered(self, deadline_s: float = DEADLINE_S) -> None:
        """Wait until each event was settled, and the journal says so too."""
        everything = set(self.acknowledged)
        self.wait(
            lambda: everything <= self.settled() and self.entered() >= len(everything),
            "not all is settled",
            deadline_s,
        )

    def entered(self) -> int:
        """How many events the journal calls settled."""
        over = [each for each in self.journal() if each.get("then") in ("settled", "dead-letter")]
        alone = {each["event"] for each in over if each["action"] == "attempt"}
        return len(alone) + sum(int(str(each.get("events", 0))) for each in over)

    @property
    def out(self) -> Path:
        """Where the handlers note their runs."""
        return self.home.root / "out"

    def said(self) -> str:
        """What the dispatchers wrote on stderr."""
        path = self.home.root / "said"
        return path.read_text() if path.exists() else ""

    def begun(self) -> list[str]:
        """The events of the runs that have begun, in that order."""
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [line.split()[1] for line in lines if line.startswith("begin ")]

    def journal(self) -> list[dict[str, object]]:
        """The whole lines of the journal."""
        try:
            text = self.home.deliveries.read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines() if line]

    def verdicts(self, event: str = "") -> list[tuple[object, object]]:
        """What each attempt came to, and what followed."""
        return [
            (entry.get("verdict"), entry.get("then"))
            for entry in self.journal()
            if entry["action"] in ("attempt", "batch") and event in ("", entry["event"])
        ]

    def settled(self) -> set[str]:
        """The events that were delivered or given up, by the oracle's witnesses: not the
        journal."""
        done = {run.event for run in read_runs(self.out) if run.exit == 0}
        return done | read_letters(self.home.dead_letters)

    def letters(self) -> list[dict[str, object]]:
        """The dead letters."""
        try:
            return [json.loads(line) for line in self.home.dead_letters.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def over(self) -> bool:
        """Whether the last dispatcher has died, or has given up an event."""
        return self.processes[-1].poll() is not None or bool(self.letters())

    def history(self, *, attempts_max: int = 5, in_lanes: bool = True) -> list[str]:
        """What the oracle finds wrong with all that happened."""
        known = {event["id"] for event in read_log(sorted(self.home.events.glob("*.jsonl")))}
        return History(
            acknowledged=set(self.acknowledged),
            runs=read_runs(self.out),
            letters=read_letters(self.home.dead_letters),
            known=known,
            order=self.order if in_lanes else {},
            attempts_max=attempts_max,
        ).problems()

    def runs(self) -> Counter[str]:
        """How often each event was run."""
        return Counter(self.begun())

    def check(self, **more: Any) -> None:
        """Nobody dispatches any more: all promises were kept, and nothing is left behind."""
        problems = self.history(**more)
        problems += leaks.settled(self.home)
        assert problems == [], problems


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.splitlines())


@pytest.fixture(name="bus")
def make_bus(home: Home) -> Iterator[Bus]:
    """A bus in the test's home; nothing of it outlives the test."""
    bus = Bus(home)
    yield bus
    for process in bus.processes:
        process.kill()
        process.wait()
    for pid in leaks.marked(home):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
