"""The short check: what the bus stands on, tried out on this very disk."""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from hookline.app.doctor import Finding, lacks_atomic_append
from hookline.app.selftest import handlers, storm
from hookline.app.selftest.handlers import DOMAIN, HANDLERS
from hookline.app.selftest.history import read_domain, read_runs
from hookline.app.selftest.place import blamed
from hookline.app.selftest.report import file_system, judge
from hookline.app.selftest.storm import Plan, Tally, notes_folder
from hookline.log.home import Home
from hookline.log.lease import is_open_for_writing
from hookline.log.log import Log
from hookline.log.watch import Watch

WRITERS: Final = ("append", "sync", "batch", "sourced")
WRITE_S: Final = 1.0
PACE_S: Final = 0.01
SYNCS: Final = 20
DEADLINE_S: Final = 60.0


def check(home: Home) -> Iterator[Finding]:
    """Try everything once, in a home that has nothing in it yet. Raises WriteFailed where its disk
    does not even take that."""
    with blamed(home):
        kind = lacks_atomic_append(home.coordination)
        yield Finding(
            "file system",
            True,
            f"{file_system(home.root)}{': appends take a lock' if kind else ''}",
        )
        yield _sync(home)
        yield _lease(home)
        yield _inotify(home)
        yield from _deliveries(home)


def _sync(home: Home) -> Finding:
    path, took_ms = home.state / "sync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 256)
            begun_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - begun_s) * 1000)
    path.unlink()
    return Finding(
        "fdatasync", True, f"{median(took_ms):.2f} ms: what `--sync` adds to each append"
    )


def _lease(home: Home) -> Finding:
    path = home.state / "lease"
    path.write_bytes(b"")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with path.open("ab"):
            held = is_open_for_writing(fd)
        free = is_open_for_writing(fd)
    finally:
        os.close(fd)
        path.unlink()
    if (held, free) == (True, False):
        return Finding("leases", True, "a closed segment is final once its last writer has gone")
    return Finding("leases", True, "none: a closed segment is final after five quiet minutes")


def _inotify(home: Home) -> Finding:
    with Watch([home.queue]) as watch:
        begun_s = time.perf_counter()
        path = home.queue / ".selftest"
        path.touch()
        woken = watch.wait(1.0)
        took_ms = (time.perf_counter() - begun_s) * 1000
        path.unlink()
        if watch.polling or not woken:
            return Finding("inotify", True, "none: changes are looked for ten times a second")
    return Finding("inotify", True, f"wakes after {took_ms:.2f} ms")


def _deliveries(home: Home) -> Iterator[Finding]:
    """Four programs append at once, and everything is delivered."""
    handlers.install(home)
    notes_folder(home).mkdir()
    with storm.ending(home) as processes:
        for name in WRITERS:
            argv = storm.writer_argv(home, name, seed=1, pace_s=PACE_S)
            storm.start(home, argv, processes)
        time.sleep(WRITE_S)
        for process in processes:
            storm.kill_group(process)
        records = list(read_domain(home, DOMAIN))
        damaged = [each for each in records if each.event is None]
        yield Finding(
            "appends",
            bool(records) and not damaged,
            f"{len(records)} events by {len(WRITERS)} programs at once, {len(damaged)} damaged",
        )
        dispatcher = storm.start(home, storm.DISPATCH, processes)
        if not _waited(lambda: storm.is_caught_up(home)):
            yield Finding("deliveries", False, f"not done in {DEADLINE_S:.0f} s")
            return
        yield _latency(home)
        dispatcher.terminate()
        dispatcher.wait(DEADLINE_S)
    report = judge(home, Plan(seed=1, lasts_s=WRITE_S), Tally())
    yield Finding(
        "deliveries",
        not report.problems,
        report.problems[0]
        if report.problems
        else f"{report.delivered} delivered, {report.dead_lettered} dead letters, none lost, "
        "doubled or out of order",
    )


def _latency(home: Home) -> Finding:
    event = Log(home).append("storm.task", source="selftest", data={"n": 0, "k": "k0", "fails": 0})
    appended = time.time_ns() // 1000
    took_ms = {}
    for name in HANDLERS:
        path = home.root / f"{name}.runs"
        if not _waited(partial(_names, path, event.id)):
            return Finding("delivery", False, f"{name} did not run within {DEADLINE_S:.0f} s")
        begun = next(run.begun_ns for run in read_runs(path) if run.event == event.id)
        took_ms[name] = (begun - appended) / 1000
    return Finding(
        "delivery",
        True,
        f"{took_ms['on-storm.py']:.1f} ms from an append to a Python handler, "
        f"{took_ms['on-storm-stream.sh']:.1f} ms to a stream program, "
        f"{took_ms['on-storm-warm.sh']:.1f} ms to a warm shell handler, "
        f"{took_ms['on-storm-task.sh']:.1f} ms to another one",
    )


def _names(path: Path, event: str) -> bool:
    return event in path.read_text()


def _waited(condition: Callable[[], bool]) -> bool:
    gives_up_s = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > gives_up_s:
            return False
        time.sleep(0.02)
    return True
