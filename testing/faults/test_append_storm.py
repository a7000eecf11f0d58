"""The promise of the log: however many append while it is rotated, every event is there, once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hookline.log.home import Home
from hookline.log.rotate import seal
from hookline.log.stream import Stream

WRITERS = Path(__file__).parent / "writers"
KEEP_EVERY_S = 0.1
PAUSE_S = 0.3
READERS = ("reader-1", "reader-2")


def commands() -> dict[str, list[str]]:
    """Sixteen writers: half of them bash, half of them Python."""
    found: dict[str, list[str]] = {}
    for mode, many in (("burst", 3), ("single", 2), ("slow", 3)):
        for i in range(many):
            script = [sys.executable, str(WRITERS / "storm_writer.py")]
            found[f"{mode}-{i}"] = [*script, "{home}", f"{mode}-{i}", mode]
    for kind in ("raw", "emit"):
        for i in range(4):
            script = ["bash", str(WRITERS / f"storm_{kind}.sh")]
            found[f"{kind}-{i}"] = [*script, "{home}", f"{kind}-{i}"]
    return found


@contextmanager
def running(home: Home, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the test."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [part.replace("{home}", str(home.root)) for part in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Keeper:
    """Compresses, deletes what all readers are past, and pauses writers across rotations."""

    def __init__(self, home: Home, writers: list[subprocess.Popen[str]], seed: int) -> None:
        self._home = home
        self._writers = writers
        self._random = random.Random(seed)  # noqa: S311 - dice, no secret
        self._stream = Stream.of_domain(home, "storm")
        self._paused: list[tuple[float, subprocess.Popen[str]]] = []
        self.sealed = 0

    def tick(self) -> None:
        """One round."""
        writer = self._random.choice(self._writers)
        writer.send_signal(signal.SIGSTOP)
        self._paused.append((time.monotonic() + self._random.random() * PAUSE_S, writer))
        self.sealed += len(seal(self._home, "storm"))
        self.delete()
        self.resume(time.monotonic())

    def resume(self, now_s: float) -> None:
        """Let those go on whose pause is over."""
        for until_s, writer in self._paused:
            if until_s <= now_s:
                writer.send_signal(signal.SIGCONT)
        self._paused = [each for each in self._paused if each[0] > now_s]

    def delete(self) -> None:
        """Retention: only what is sealed and read, and never the newest."""
        passed = min(self._reader_segment(name) for name in READERS)
        for ordinal in self._stream.ordinals()[:-1]:
            path = self._stream.path(ordinal)
            if ordinal < passed - 1 and path is not None and path.suffix == ".zst":
                path.unlink()

    def _reader_segment(self, name: str) -> int:
        try:
            return int((self._home.root / f"{name}.position").read_text() or 0)
        except FileNotFoundError:
            return 0


@pytest.mark.timeout(0)
def test_nothing_is_damaged_lost_or_doubled(home: Home, soak_s: float) -> None:
    """16 writers, a rotation every 50 ms, writers paused across it, two readers at once."""
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    lasts_s = max(30.0, soak_s) if soak_s else 5.0
    with ExitStack() as stack:

        def start(*command: str) -> subprocess.Popen[str]:
            return stack.enter_context(running(home, list(command)))

        readers = [
            start(sys.executable, str(WRITERS / "storm_reader.py"), "{home}", name)
            for name in READERS
        ]
        rotator = start(sys.executable, str(WRITERS / "storm_rotator.py"), "{home}")
        writers = {name: start(*command) for name, command in commands().items()}
        keeper = Keeper(home, list(writers.values()), seed)
        end_s = time.monotonic() + lasts_s
        while time.monotonic() < end_s:
            keeper.tick()
            time.sleep(KEEP_EVERY_S)  # the pace of the storm
        (home.root / "stop").touch()
        keeper.resume(end_s + 1e9)
        for name, process in (writers | {"rotator": rotator}).items():
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, f"{name}: exit {process.returncode}: {errors}"
            assert errors == "", name
        rotations = int(output)
        (home.root / "stopped").touch()
        found = [reader.communicate(timeout=120 + lasts_s) for reader in readers]
    written = {name: int((home.root / f"{name}.count").read_text()) for name in writers}
    print(f"{sum(written.values())} appends, {rotations} rotations, {keeper.sealed} sealed")
    for output, errors in found:
        assert errors == ""
        assert json.loads(output) == {"last": written, "damaged": [], "misplaced": []}
    assert min(written.values()) > 0
    assert rotations > lasts_s
    assert keeper.sealed > 0
