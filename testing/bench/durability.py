"""What each durability level loses and costs, measured here: the figures of
docs/decisions/0006-what-each-durability-level-loses.md.

Usage: .venv/bin/python -m testing.bench.durability [--seconds N] [FOLDER]
FOLDER lies on the disk that is asked about; power is cut on a disk image in it, which wants root.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Final

from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from testing.faults.disk_image import why_not
from testing.faults.power_cut import HOOKLINE, LOGGER, Storm
from testing.faults.recovery import Recovery, event_line

KILLS: Final = 200
CALLS: Final = 2000
COMMANDS: Final = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each series of power cuts")
    args = parser.parse_args()
    chance = random.Random(0)  # noqa: S311  # dice of a measurement
    with tempfile.TemporaryDirectory(dir=args.folder) as made:
        folder = Path(made)
        for sync in (False, True):
            print(
                f"kill -9 of a writer, {'each' if sync else 'none'}:", kills(folder, sync, chance)
            )
        why = why_not(folder)
        if why:
            print(f"power cuts: not measured, {why}")
        else:
            cuts(folder / "with", args.seconds, chance, dispatching=True)
            cuts(folder / "without", args.seconds, chance, dispatching=False)
        costs(folder)


def new_home(folder: Path) -> Home:
    """A home below a folder."""
    home = Home(folder / "home")
    home.segments.mkdir(parents=True)
    return home


def kills(folder: Path, sync: bool, chance: random.Random) -> str:
    """Writers killed in the midst of it: how many of the acknowledged events are not in the log."""
    home = new_home(folder / f"kills-{sync}")
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            while True:
                identity, line = event_line("k", 0)
                append_line_to_log(home.root, "a", line, sync)
                os.write(write, identity.encode() + b"\n")
        os.close(write)
        time.sleep(chance.uniform(0.001, 0.02))  # when the kill comes is the measurement
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(read) as told:
            acknowledged.update(told.read().split("\n")[:-1])
    lost = acknowledged.difference(Recovery(home).logged()["a"])
    return f"{KILLS} kills, {len(acknowledged)} events acknowledged, {len(lost)} lost"


def cuts(folder: Path, seconds: float, chance: random.Random, *, dispatching: bool) -> None:
    """Power cuts under load: what is lost of each level, and how long ago it was acknowledged."""
    folder.mkdir()
    levels = {"each": True, "batch" if dispatching else "none": False}
    lost: dict[str, list[int]] = {level: [] for level in levels}
    ages_s: dict[str, list[float]] = {level: [] for level in levels}
    with closing(Storm(folder, chance)) as storm:
        for level, sync in levels.items():
            storm.write(level, storm.api(sync), 0.005)
        ends_s = time.monotonic() + seconds
        with storm.dispatching() if dispatching else nullcontext():
            while time.monotonic() < ends_s:
                storm.wait(chance.uniform(0.2, 1.5) if dispatching else chance.uniform(1.0, 4.0))
                cut = storm.cut()
                for level in levels:
                    lost[level].append(len(cut.lost(level)))
                    ages_s[level].append(cut.lost_age_s(level))
    for level in levels:
        some = sum(map(bool, lost[level]))
        print(
            f"power cut, {level}: {len(lost[level])} cuts, {some} lost something, at most "
            f"{max(lost[level])} events, acknowledged up to {max(ages_s[level]):.2f} s before "
            f"(median {statistics.median(ages_s[level]):.2f})"
        )


def costs(folder: Path) -> None:
    """What a sync costs, as a ratio to the same without."""
    home = new_home(folder / "costs")
    env = {**os.environ, "HOOKLINE_HOME": str(home.root)}

    def api(sync: bool) -> None:
        append_line_to_log(home.root, "a", event_line("k", 0)[1], sync)

    def command(*words: str | Path) -> None:
        subprocess.run(words, env=env, check=True, capture_output=True)

    def logger(sync: bool) -> None:
        line = event_line("k", 0)[1].decode()
        command(LOGGER, *(["--sync"] if sync else []), line)

    def emit(sync: bool) -> None:
        command(HOOKLINE, "emit", "a.made", *(["--sync"] if sync else []))

    ways: list[tuple[str, Callable[[bool], None], int]] = [
        ("Python, one append", api, CALLS),
        ("event-logger.sh", logger, COMMANDS),
        ("hookline emit", emit, COMMANDS),
    ]
    for name, way, times in ways:
        without, synced = measured(way, False, times), measured(way, True, times)
        ratio = synced[0] / without[0]
        print(f"{name}: {shown(without)} without, {shown(synced)} with --sync: {ratio:.1f} x")


def measured(way: Callable[[bool], None], sync: bool, times: int) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    taken_ms = []
    for _ in range(times):
        began_ns = time.perf_counter_ns()
        way(sync)
        taken_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return statistics.median(taken_ms), statistics.quantiles(taken_ms, n=100)[98]


def shown(taken_ms: tuple[float, float]) -> str:
    """Both, for a reader."""
    return f"{taken_ms[0]:.3f} ms (p99 {taken_ms[1]:.3f})"


if __name__ == "__main__":
    main()
