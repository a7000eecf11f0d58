"""A bus at work on a disk image, the power cut at any moment, and what comes after."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from hookline.log.rotate import rotate, seal
from hookline.model.errors import HooklineError
from testing.faults.disk_image import DiskImage
from testing.faults.recovery import DISPATCHER, NOTING, NOTING_PYTHON, Recovery, event_line

DISK_BYTES: Final = 48 << 20
LOGGER: Final = DISPATCHER.parent / "lib/event-logger.sh"
HOOKLINE: Final = Path(sys.executable).with_name("hookline")

# A handler that stopped long ago, as after `exit 78`: nobody reads its log any more.
STOPPED: Final = "#!/bin/bash\n# on: stopped.seen   from: beginning\nexit 78\n"

Append = Callable[[str, bytes], None]
"""Appends a line to a domain, and returns when that is acknowledged."""


@dataclass(slots=True)
class Told:
    """What a writer was told, and when; microseconds since 1970."""

    id: str
    key: str
    acked_us: int = 0


@dataclass(slots=True)
class Cut:
    """A power cut: when it was, at the latest, and the home as it was found afterwards."""

    at_us: int
    recovery: Recovery
    known: set[str]
    told: dict[str, list[Told]] = field(default_factory=dict)
    """What was acknowledged before, by domain."""

    def lost(self, domain: str) -> list[Told]:
        """What was acknowledged and is not in the log."""
        logged = set(self.recovery.logged().get(domain, ()))
        return [each for each in self.told.get(domain, ()) if each.id not in logged]

    def lost_age_s(self, domain: str) -> float:
        """How long before the cut the oldest event was acknowledged that was lost."""
        ages = (self.at_us - each.acked_us for each in self.lost(domain))
        return max(ages, default=0) / 1e6


class Storm:
    """Writers of all kinds, rotation and a dispatcher, on a disk of their own."""

    def __init__(self, folder: Path, chance: Random, options: str = "defaults") -> None:
        self._folder = folder
        self._chance = chance
        self._disk = DiskImage(folder, DISK_BYTES, options)
        self._home = Home(self._disk.path)
        self._environment = {**os.environ, "HOOKLINE_HOME": str(folder / "disk")}
        self._told: dict[str, list[Told]] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._cuts = 0
        self._failed: list[BaseException] = []
        for part in (self._home.segments, self._home.queue, self._home.state, self._home.handlers):
            part.mkdir(parents=True)
        inside = Recovery(self._home)
        inside.handler("on-made.sh", NOTING.replace("*.made", "each.made batch.made"))
        inside.handler("on-made.py", NOTING_PYTHON.replace("*.made", "fast.made"))
        inside.handler("on-stopped.sh", STOPPED)
        # A disk that has run for a while has all this.
        subprocess.run(["sync", "--file-system", self._home.root], check=True)

    def write(self, domain: str, append: Append, pause_s: float = 0.01) -> None:
        """Append to a domain, in a thread, until the end; each thread has a key of its own."""
        key = f"{domain}{len(self._threads)}"
        told = self._told.setdefault(domain, [])
        pace = Random(self._chance.random())  # noqa: S311  # a test's dice

        def work() -> None:
            while not self._stopping.wait(pace.uniform(0.0, 2 * pause_s)):
                identity, line = event_line(key, len(told), domain)
                entry = Told(identity, key)
                told.append(entry)
                append(domain, line)
                entry.acked_us = time.time_ns() // 1000

        self._begin(work)

    def api(self, sync: bool) -> Append:
        """Append from Python."""
        return lambda domain, line: append_line_to_log(self._home.root, domain, line, sync)

    def logger(self, _domain: str, line: bytes) -> None:
        """Append with `event-logger.sh --sync`."""
        self._run(LOGGER, "--sync", line.decode())

    def emit(self, _domain: str, line: bytes) -> None:
        """Append with `hookline emit --sync`."""
        event = json.loads(line)
        names = ("--id", event["id"], "--subject", event["subject"])
        self._run(
            HOOKLINE, "emit", event["type"], "--sync", *names, "--data", json.dumps(event["data"])
        )

    def rotations(self, domain: str, pause_s: float) -> None:
        """Close and compress segments of a domain, again and again."""

        def work() -> None:
            while not self._stopping.wait(pause_s):
                rotate(self._home, domain)
                seal(self._home, domain)

        self._begin(work)

    @contextmanager
    def dispatching(self) -> Iterator[None]:
        """A dispatcher is at work within the block."""
        process = subprocess.Popen(
            self._disk.command(DISPATCHER),
            env=self._environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
            assert process.poll() is None
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    def wait(self, seconds: float) -> None:
        """Let them work for so long."""
        self._stopping.wait(seconds)

    def cut(self) -> Cut:
        """Cut the power now, for a copy of the disk; here everything goes on."""
        assert self._failed == []
        told = {
            domain: [Told(each.id, each.key, each.acked_us) for each in written if each.acked_us]
            for domain, written in self._told.items()
        }
        at_us = time.time_ns() // 1000
        disk = self._disk.cut()
        noted = (self._folder / "out").read_bytes() if (self._folder / "out").exists() else b""
        known = {each.id for written in self._told.values() for each in written}
        self._cuts += 1
        folder = self._folder / f"cut-{self._cuts}"
        home = folder / "home"
        home.mkdir(parents=True)
        self._disk.after(disk, home)
        recovery = Recovery(Home(home))
        recovery.out.write_bytes(noted[: noted.rfind(b"\n") + 1])
        return Cut(at_us, recovery, known, told)

    def close(self) -> None:
        """Stop all writers."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._disk.__exit__()
        shutil.rmtree(self._folder / "disk", ignore_errors=True)
        if self._failed:
            raise self._failed[0]

    def _begin(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except (HooklineError, OSError, subprocess.SubprocessError) as error:
                self._failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, *command: str | os.PathLike[str]) -> None:
        subprocess.run(
            self._disk.command(*command),
            env=self._environment,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
