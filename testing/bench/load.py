"""The same load for everybody, and how its handling is timed.

A *tick* is one event of many: its handler notes the time of the first and of the last one. A
*ping* is sent when nothing else is under way: its handler notes how long ago that was. Handlers
note in a file, one number a line, so that any process can be one (`notes.py`).
"""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from testing.bench.figure import Failed

CHECKOUT: Final = Path(__file__).resolve().parents[2]
TEXT: Final = ("a worker found something and said so at some length, as workers do. " * 3)[:174]
"""Makes a payload of 200 bytes of JSON."""
PAUSE_S: Final = 0.003
"""Between two pings, so that whoever handles them has gone to wait for the next one."""
_DEADLINE_S: Final = 120.0
_SLOW_S: Final = 0.002
"""What an event may take on a machine that is busy with other things."""
_LOOK_S: Final = 0.005

Process = subprocess.Popen[bytes]


class Queue(Protocol):
    """What takes events, and hands them to a handler in another process."""

    def append(self, count: int) -> None:
        """Append ticks 0 to count - 1; return when all of them have been taken."""

    def ping(self) -> None:
        """Append a ping."""

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """The process that runs the handler, which notes what it does in this file."""


class Contender(Protocol):
    """A kind of queue, with how it is expected to do."""

    def open(self) -> AbstractContextManager[Queue]:
        """An empty one, and what it needs. Raises NotThere."""


def tick(n: int, last: int) -> dict[str, Any]:
    """The payload of one event of many."""
    return {"n": n, "last": last, "text": TEXT}


def ping() -> dict[str, Any]:
    """The payload of an event that is waited for."""
    return {"sent": time.monotonic_ns(), "text": TEXT}


def append_rate(contender: Contender, count: int) -> float:
    """Appended events a second."""
    with contender.open() as queue:
        began_s = time.perf_counter()
        queue.append(count)
        return count / (time.perf_counter() - began_s)


def drain_rate(contender: Contender, notes: Path, count: int) -> float:
    """Handled events a second, from the first one to the last one of a backlog."""
    notes.unlink(missing_ok=True)
    with contender.open() as queue:
        queue.append(count)
        with queue.working(notes) as process:
            first_ns, last_ns = wait_for(notes, 2, process)
    return (count - 1) / (last_ns - first_ns) * 1e9


def latency_ms(contender: Contender, notes: Path, count: int) -> float:
    """The median time from appending an event to its handler."""
    notes.unlink(missing_ok=True)
    with contender.open() as queue, queue.working(notes) as process:
        queue.ping()
        wait_for(notes, 1, process)
        for number in range(count):
            time.sleep(PAUSE_S)  # the pace of the load
            queue.ping()
            waits_ns = wait_for(notes, number + 2, process)
    return statistics.median(waits_ns[1:]) / 1e6


def wait_for(notes: Path, count: int, process: Process, events: int = 0) -> list[int]:
    """The notes, when there are so many of them; that of so many events takes a while. Raises
    Failed."""
    deadline_s = _DEADLINE_S + events * _SLOW_S
    gives_up_s = time.monotonic() + deadline_s
    while True:
        made = notes.read_text().split("\n")[:-1] if notes.exists() else []
        if len(made) >= count:
            return [int(line) for line in made]
        if process.poll() is not None:
            raise Failed(f"ended with {process.returncode} after {len(made)} of {count} notes")
        if time.monotonic() > gives_up_s:
            raise Failed(f"made {len(made)} of {count} notes in {deadline_s:.0f} s")
        time.sleep(_LOOK_S)  # files that grow tell nobody here


@contextmanager
def running(
    command: Sequence[str | Path], said: Path, more: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """A process of ours, in a session of its own; it has ended afterwards, with all its children.
    What it says goes to a file."""
    with said.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}", **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end_session(process)


def _end_session(process: Process) -> None:
    """A worker that did not go took no notice; some leave their children behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
