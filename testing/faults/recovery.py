"""A home that something happened to, a real dispatcher that goes on with it, and the oracle.

The handlers note their runs beside the home, not in it: what a power cut takes from the home, it
does not take from what we know.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hookline.app.selftest.history import History, Run, read_letters, read_runs
from hookline.app.verify import verify
from hookline.log.append import append_line_to_log
from hookline.log.errors import LogReplaced
from hookline.log.home import Home
from hookline.log.read import domains, records
from hookline.log.stream import Stream
from hookline.log.verify import Tally
from hookline.model import envelope, ids
from hookline.model.clock import SystemClock, rfc3339

DISPATCHER: Final = Path(__file__).resolve().parents[2] / "scripts/events/event-dispatcher.sh"
ATTEMPTS_MAX: Final = 3
DEADLINE_S: Final = 45.0

# Its key is the subject. Data that says `"exit":65` or the like is what it comes to.
NOTING: Final = r"""#!/bin/bash
# on: *.made   from: beginning   key: data.k   concurrency: 3   attempts: 3   backoff: 20ms
note() { # <begin|end> [<status>]
  printf '%s %s %s %s %s %s\n' "$1" "$EVENT_ID" "${EVENT_SUBJECT:-none}" "$EVENT_ATTEMPT" \
    "${EPOCHREALTIME/./}" "${2-}" >>"$HOOKLINE_HOME/../out"
}
note begin
event=$(<"$1")
[[ $event =~ \"exit\":([0-9]+) ]]
status=${BASH_REMATCH[1]:-0}
note end "$status"
exit "$status"
"""

# The same for functions that are given many events in one run.
NOTING_PYTHON: Final = r"""# run: python   from: beginning   attempts: 3   backoff: 20ms
import os, time
from hookline import on

out = open(os.environ["HOOKLINE_HOME"] + "/../out", "ab", buffering=0)

@on("*.made")
def handle(event):
    for what in ("begin", "end"):
        note = f"{what} {event.id} {event.subject} 1 {time.time_ns() // 1000} 0\n"
        out.write(note.encode())
"""


def event_line(key: str, number: int, domain: str = "a", exit: int = 0) -> tuple[str, bytes]:
    """The id and the line of a new event; `exit` is what its handler is to come to."""
    identity = ids.uuid7(time.time_ns())
    extra = f',"exit":{exit}' if exit else ""
    line = envelope.line(
        id=identity,
        source="writer",
        type=f"{domain}.made",
        time=rfc3339(SystemClock().now()),
        subject=key,
        data=f'{{"k":"{key}","n":{number}{extra}}}'.encode(),
    )
    return identity, line


class Recovery:
    """A home under test, what its writers were told, and what its handlers did."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.out = home.root.parent / "out"
        self.acknowledged: set[str] = set()
        self.order: dict[str, list[str]] = {}

    def handler(self, name: str = "on-made.sh", text: str = NOTING) -> Path:
        """Install a handler."""
        path = self.home.handlers / name
        path.write_text(text)
        path.chmod(0o750)
        return path

    def emit(
        self, key: str, count: int = 1, domain: str = "a", *, sync: bool = False, exit: int = 0
    ) -> list[str]:
        """Append events; their ids."""
        made = []
        for number in range(count):
            identity, line = event_line(key, number, domain, exit)
            append_line_to_log(self.home.root, domain, line, sync)
            made.append(identity)
        self.acknowledged.update(made)
        self.order.setdefault(key, []).extend(made)
        return made

    def once(self) -> str:
        """Let `event-dispatcher.sh --once` deliver what there is; what it said on stderr."""
        done = subprocess.run(
            [DISPATCHER, "--once"],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    @contextmanager
    def staying(self) -> Iterator[subprocess.Popen[bytes]]:
        """A dispatcher that stays, until the end of the block."""
        process = subprocess.Popen(
            [DISPATCHER], env=self.environment(), stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=DEADLINE_S)

    def environment(self) -> dict[str, str]:
        """That of a program that works on this home."""
        return {**os.environ, "HOOKLINE_HOME": str(self.home.root)}

    def runs(self) -> list[Run]:
        """What the handlers did so far."""
        return read_runs(self.out)

    def delivered(self) -> set[str]:
        """The events that were handled."""
        return {run.event for run in self.runs() if run.ended_ns and run.exit == 0}

    def answered(self) -> set[str]:
        """The events that were handled or given up."""
        return self.delivered() | read_letters(self.home.dead_letters)

    def rejected(self) -> set[str]:
        """What was set aside, as `<domain>-events.<ordinal>.<offset>`."""
        return {path.stem for path in self.home.rejected.glob("*-events.*.json")}

    def logged(self) -> dict[str, list[str]]:
        """The ids of the events that a reader finds, by domain, in order."""
        return {domain: list(self._ids(domain)) for domain in domains(self.home)}

    def _ids(self, domain: str) -> Iterator[str]:
        with Stream.of_domain(self.home, domain) as stream:
            position = stream.first()
            while True:
                try:
                    chunk = stream.read(position)
                except LogReplaced as damaged:
                    position = damaged.resume
                    continue
                yield from (record.event.id for record in records(chunk) if record.event)
                if chunk.next == position:
                    if chunk.again_s is None:
                        return
                    time.sleep(chunk.again_s)  # no writer tells that it is gone
                position = chunk.next

    def problems(self, known: set[str] | None = None) -> list[str]:
        """What the oracle says; `known`: also events that are not in the logs any more."""
        logged = {event for found in self.logged().values() for event in found}
        return History(
            acknowledged=self.acknowledged,
            runs=self.runs(),
            letters=read_letters(self.home.dead_letters),
            known=logged | (known or set()),
            order=self.order,
            attempts_max=ATTEMPTS_MAX,
        ).problems()

    def wrong(self) -> list[str]:
        """What `hookline verify` finds, but for what a power cut may do: a line torn or of NULs,
        and an event that was handled and is not in the log any more."""
        found = verify(self.home, [], Tally())
        return [
            f"{each.log} {each.segment}:{each.offset}: {each.found}"
            for each in found
            if each.level == "wrong" and each.check not in ("torn", "nuls", "entry")
        ]

    def check_again(self) -> None:
        """One more round adds nothing."""
        before = self.runs(), self.rejected(), self.home.dead_letters.exists()
        self.once()
        assert before == (self.runs(), self.rejected(), self.home.dead_letters.exists())


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that only files tell."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.02)  # of what happens in files of other processes, nobody tells
