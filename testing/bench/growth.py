"""What an event costs as there is more of everything: a curve for each."""

import os
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from hookline.app.log import Log
from hookline.log.home import Home
from testing.bench.curve import Curve, Panel
from testing.bench.figure import Failed, Scale
from testing.bench.load import Process, wait_for
from testing.bench.ours import dispatching, install, new_home
from testing.bench.shell import handler_text
from testing.faults.backlog import children, peak_kb, write_backlog

Say = Callable[[str], None]

EVENTS: Final = 200_000
SEGMENT_EVENTS: Final = 100_000
"""Logs are closed by their size: twice the backlog is twice the segments."""
DELIVERIES: Final = 2_000
"""To shell handlers, which cost a thousand times as much."""
BYTES: Final = 200_000_000

FIRST: Final = "first delivery after the start"
MEMORY: Final = "most memory"
COST: Final = "cost of an event"
PROCESSOR: Final = "processor time for it"

# Counts, since events of several domains come in no order. With the first one it notes what it and
# the dispatcher, its parent, have had of the processor.
_COUNTING: Final = """# run: python   from: beginning
import os, time
from hookline import on

notes = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
seen = 0

def processor_ns(pid):
    tasks = f"/proc/{{pid}}/task"
    return sum(int(open(f"{{tasks}}/{{task}}/schedstat").read().split()[0])
               for task in os.listdir(tasks))

@on("{pattern}")
def handle(event):
    global seen
    seen += 1
    event.value()
    if seen == 1:
        had_ns = processor_ns(os.getpid()) + processor_ns(os.getppid())
        os.write(notes, b"%d\\n%d\\n" % (had_ns, time.monotonic_ns()))
    if seen == {count}:
        os.write(notes, b"%d\\n" % time.monotonic_ns())
"""
_IDLE_S: Final = 0.3
"""Longer than the dispatcher puts off what it has to write."""
_IDLE_NS: Final = 2_000_000
_IDLE_LOOKS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one dispatcher took for its events."""

    each_us: float
    processor_us: float
    """For each event, of the dispatcher and of the handler's process, until all is written down."""
    first_s: float
    dispatcher_mb: float
    handler_mb: float


def events(scale: Scale, folder: Path, say: Say) -> Curve:
    """A backlog of so many events, in segments of 20 MB, every other one compressed."""
    seen = {}
    for count in (10**power for power in range(4, 8)):
        if count <= scale.events_max:
            # A short one is over before a busy machine has had its average.
            rounds = 3 * scale.rounds if count <= 10**5 else 1
            seen[count] = _median([_without_start(count, folder) for _ in range(rounds)])
            say(f"growth-events {count}: {seen[count]}")
    return _curve("events", "A backlog of more events", "events in the backlog", seen)


def handlers(scale: Scale, folder: Path, say: Say) -> Curve:
    """So many handlers are installed; one of them wants the events, or all do."""
    count, deliveries = EVENTS // scale.shrink, DELIVERIES // scale.shrink
    one, each_us = {}, {}
    for number in (1, 3, 10, 30, 100, 300, 1000):
        one[number] = _one_of(number, count, folder)
        say(f"growth-handlers {number}, one wants the events: {one[number]}")
        each_us[number] = _all_of(number, max(deliveries // number, 1), folder)
        say(f"growth-handlers {number}, all want them: {each_us[number]:.0f} us a delivery")
    curve = _curve("handlers", "More handlers", "handlers that are installed", one)
    return curve.with_panel(Panel(title="cost of a delivery to a shell", unit="µs",
                                  lines={"all handlers want the event": each_us}))  # fmt: skip


def domains(scale: Scale, folder: Path, say: Say) -> Curve:
    """The same number of events, spread over so many domains."""
    count = EVENTS // scale.shrink
    seen = {}
    for number in (1, 3, 10, 30, 100, 200):
        with new_home() as home:
            types = [f"d{n:03}.tick" for n in range(number)]
            _append(home, (types[n % number] for n in range(count)))
            seen[number] = _drained(home, "*.tick", count, folder)
        say(f"growth-domains {number}: {seen[number]}")
    return _curve("domains", "More domains", "domains", seen)


def payload(scale: Scale, folder: Path, say: Say) -> Curve:
    """The same number of events, each with so large a payload."""
    append_us, seen = {}, {}
    for size in (100, 1_000, 10_000, 100_000, 200_000):
        count = min(EVENTS, BYTES // size) // scale.shrink
        with new_home() as home:
            began_s = time.perf_counter()
            _append(home, ("payload.tick" for _ in range(count)), "x" * (size - len('{"text":""}')))
            append_us[size] = (time.perf_counter() - began_s) / count * 1e6
            seen[size] = _drained(home, "*.tick", count, folder)
        say(f"growth-payload {size}: append {append_us[size]:.1f} us, {seen[size]}")
    curve = _curve("payload", "Larger payloads", "bytes of payload", seen)
    drain_us = {size: each.each_us for size, each in seen.items()}
    lines = {
        name: {size: each_us / size * 1000 for size, each_us in line.items()}
        for name, line in (("drain", drain_us), ("append", append_us))
    }
    panel = Panel(title="cost of a thousand bytes of payload", unit="µs", lines=lines)
    return curve.with_line(COST, "append", append_us).with_panel(panel)


def writers(scale: Scale, folder: Path, say: Say) -> Curve:
    """The same number of appends to one log, by so many processes at once."""
    count = EVENTS // scale.shrink
    ours, bare = {}, {}
    for number in (1, 2, 4, 8, 16, 32, 64):
        with new_home() as home:
            ours[number] = _at_once(number, partial(_append_some, home), count)
        bare[number] = _at_once(number, partial(_write_some, folder / "lines"), count)
        (folder / "lines").unlink()
        say(f"growth-writers {number}: {ours[number]:.2f} us, bare writes {bare[number]:.2f} us")
    return Curve(
        name="writers",
        title="More writers to one log",
        along="processes that append at the same time",
        panels=(
            Panel(
                title=f"{COST}, all writers together",
                unit="µs",
                lines={"append": ours, "one write(2) a line": bare},
            ),
        ),
    )


GROWTH: Final[dict[str, Callable[[Scale, Path, Say], Curve]]] = {
    "growth-events": events,
    "growth-handlers": handlers,
    "growth-domains": domains,
    "growth-payload": payload,
    "growth-writers": writers,
}


def _curve(name: str, title: str, along: str, seen: dict[int, Seen]) -> Curve:
    def line(of: Callable[[Seen], float]) -> dict[int, float]:
        return {x: of(y) for x, y in seen.items()}

    return Curve(
        name=name,
        title=title,
        along=along,
        panels=(
            Panel(title=COST, unit="µs", lines={
                "drain": line(lambda y: y.each_us),
                PROCESSOR: line(lambda y: y.processor_us),
            }),
            Panel(title=FIRST, unit="s", lines={"dispatcher": line(lambda y: y.first_s)}),
            Panel(title=MEMORY, unit="MB", lines={
                "dispatcher": line(lambda y: y.dispatcher_mb),
                "handler's process": line(lambda y: y.handler_mb),
            }),
        ),
    )  # fmt: skip


def _without_start(count: int, folder: Path) -> Seen:
    """A backlog, with the processor time that it takes of who has started before.

    The start takes so much that a short backlog could not be told from the differences between two
    starts; and while a handler is being loaded, two megabytes are read.
    """
    seen = _backlog(count, folder)
    notes = folder / "notes"
    notes.unlink(missing_ok=True)
    with new_home() as home, new_home() as other:
        write_backlog(other, count, _segments(count))
        _append(home, ["first.tick"])
        install(home, "on-counted.py", _COUNTING.format(pattern="*", count=count + 1))
        with dispatching(home, notes) as process:
            wait_for(notes, 2, process)
            had_ns = _spent_when_idle_ns(process)
            for path in sorted(other.segments.glob("backlog-events.*")):
                path.rename(home.segments / path.name)
            other.live("backlog").rename(home.live("backlog"))
            wait_for(notes, 3, process, count)
            spent_ns = _spent_when_idle_ns(process)
    return replace(seen, processor_us=(spent_ns - had_ns) / count / 1000)


def _segments(count: int) -> int:
    return max(1, count // SEGMENT_EVENTS)


def _backlog(count: int, folder: Path) -> Seen:
    with new_home() as home:
        write_backlog(home, count, _segments(count))
        return _drained(home, "backlog.*", count, folder)


def _one_of(number: int, count: int, folder: Path) -> Seen:
    with new_home() as home:
        for n in range(number - 1):
            install(home, f"on-other-{n}.sh", "#!/bin/bash\nexit 0\n")
        _append(home, ("bench.tick" for _ in range(count)))
        return _drained(home, "bench.tick", count, folder)


def _all_of(number: int, count: int, folder: Path) -> float:
    """Microseconds for one delivery, of `count` events to each of `number` handlers."""
    notes = folder / "notes"
    notes.unlink(missing_ok=True)
    with new_home() as home:
        for n in range(number):
            install(
                home, f"on-bench-{n}.sh", "#!/bin/bash\n# on: bench.tick\n" + handler_text("exec")
            )
        _append(home, ("bench.tick" for _ in range(count)))
        with dispatching(home, notes) as process:
            noted_ns = wait_for(notes, number * count, process, number * count)
    return (max(noted_ns) - min(noted_ns)) / max(len(noted_ns) - 1, 1) / 1000


def _drained(home: Home, pattern: str, count: int, folder: Path) -> Seen:
    """What a Python handler of these events sees, and what that takes."""
    notes = folder / "notes"
    notes.unlink(missing_ok=True)
    install(home, "on-counted.py", _COUNTING.format(pattern=pattern, count=count))
    started_ns = time.monotonic_ns()
    with dispatching(home, notes) as process:
        had_ns, first_ns, last_ns = wait_for(notes, 3, process, count)
        spent_ns = _spent_when_idle_ns(process)
        memory_mb = _peaks_mb(process)
    return Seen(
        each_us=(last_ns - first_ns) / (count - 1) / 1000,
        processor_us=(spent_ns - had_ns) / (count - 1) / 1000,
        first_s=(first_ns - started_ns) / 1e9,
        dispatcher_mb=memory_mb[0],
        handler_mb=memory_mb[1],
    )


def _spent_when_idle_ns(process: Process) -> int:
    """What the dispatcher and the handler's process have had of the processor, when they have
    nothing to do any more. Raises Failed."""
    before_ns = _spent_ns(process)
    for _ in range(_IDLE_LOOKS):
        time.sleep(_IDLE_S)  # what is still to be written is put off so long at most
        after_ns = _spent_ns(process)
        if after_ns - before_ns < _IDLE_NS:
            return after_ns
        before_ns = after_ns
    raise Failed("the dispatcher has no more events, and is busy")


def _spent_ns(process: Process) -> int:
    spent_ns = 0
    for pid in (process.pid, *children(process.pid)):
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            # A thread may end meanwhile; those that do have done next to nothing.
            with suppress(FileNotFoundError):
                spent_ns += int(path.read_text().split()[0])
    return spent_ns


def _peaks_mb(process: Process) -> tuple[float, float]:
    of_children = max(map(peak_kb, children(process.pid)), default=0)
    return peak_kb(process.pid) / 1000, of_children / 1000


def _append(home: Home, types: Iterable[str], text: str = "") -> None:
    data = {"text": text}
    with Log(home).batch() as log:
        for type in types:
            log.append(type, source="bench", data=data)


def _append_some(home: Home, count: int) -> None:
    log = Log(home)
    for _ in range(count):
        log.append("bench.tick", source="bench", data={"text": "x" * 180})


def _write_some(path: Path, count: int) -> None:
    line = b"x" * 340 + b"\n"
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            file.write(line)


def _at_once(number: int, do: Callable[[int], None], count: int) -> float:
    """Microseconds for each of `count` times, shared out to so many processes. Raises Failed."""
    gate, opener = os.pipe()
    pids = []
    for _ in range(number):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(opener)
                os.read(gate, 1)
                do(count // number)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    began_s = time.perf_counter()
    os.close(opener)
    ends = [os.waitpid(pid, 0)[1] for pid in pids]
    taken_s = time.perf_counter() - began_s
    os.close(gate)
    if any(ends):
        raise Failed(f"{sum(map(bool, ends))} of {number} writers failed")
    return taken_s / (count // number * number) * 1e6


def _median(seen: list[Seen]) -> Seen:
    """Of each of its parts."""
    return Seen(**{
        name: statistics.median(getattr(each, name) for each in seen) for name in Seen.__slots__
    })  # fmt: skip
