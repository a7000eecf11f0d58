"""The promise of the log: however many append while it is rotated, every event is there, once."""

import json
import random
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from hookline.app.selftest.storm import ending, environment, notes_folder, start, writer_argv
from hookline.app.selftest.writer import BATCH
from hookline.log.home import Home
from hookline.log.rotate import seal
from hookline.log.stream import Stream

PROGRAMS = Path(__file__).parent / "writers"
KEEP_EVERY_S = 0.1
PAUSE_S = 0.3
PACE_S = 0.002
START_S = 60.0
READERS = ("reader-1", "reader-2")


def commands(home: Home, seed: int) -> dict[str, list[str]]:
    """Sixteen writers: half of them bash, half of them Python."""
    of_the_storm = ("append", "append", "sync", "batch", "sourced", "sourced", "sourced", "process")
    found = {
        f"{kind}-{n}": writer_argv(home, kind, seed + n, PACE_S, name=f"{kind}-{n}")
        for n, kind in enumerate(of_the_storm)
    }
    for n in range(4):
        for kind, program in (
            ("raw", ["bash", f"{PROGRAMS}/storm_raw.sh"]),
            ("slow", [sys.executable, f"{PROGRAMS}/storm_slow.py"]),
        ):
            name = f"{kind}-{n}"
            notes = str(notes_folder(home) / name)
            found[name] = [*program, str(home.root), notes, name, str(seed + n)]
    return found


def listen(home: Home, program: str, *more: str) -> Popen[str]:
    """A program of the tests, and what it says."""
    argv = [sys.executable, f"{PROGRAMS}/{program}", str(home.root), *more]
    settings = environment(home)
    # What bears the home's name ends with the storm, and this is to see the end of it.
    del settings["HOOKLINE_HOME"]
    return Popen(argv, env=settings, stdout=PIPE, stderr=PIPE, text=True)


class Keeper:
    """Compresses, deletes what all readers are past, and pauses writers across rotations."""

    def __init__(self, home: Home, writers: list[Popen[bytes]], chance: random.Random) -> None:
        self._home = home
        self._writers = writers
        self._chance = chance
        self._stream = Stream.of_domain(home, "storm")
        self._paused: list[tuple[float, Popen[bytes]]] = []
        self.sealed = 0

    def tick(self) -> None:
        """One round."""
        writer = self._chance.choice(self._writers)
        writer.send_signal(signal.SIGSTOP)
        self._paused.append((time.monotonic() + self._chance.random() * PAUSE_S, writer))
        self.sealed += len(seal(self._home, "storm"))
        self._delete()
        self._resume(time.monotonic())

    def _resume(self, now_s: float) -> None:
        """Let those go on whose pause is over."""
        for until_s, writer in self._paused:
            if until_s <= now_s:
                writer.send_signal(signal.SIGCONT)
        self._paused = [each for each in self._paused if each[0] > now_s]

    def _delete(self) -> None:
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


def all_have_noted(home: Home, writers: Iterable[str]) -> bool:
    """Whether each writer has come to its first event: on a busy machine one may take seconds."""
    noted = acknowledged(home)
    return all(noted.get(name) for name in writers)


def acknowledged(home: Home) -> dict[str, int]:
    """How many events each writer has noted."""
    noted = {path.name: path.read_bytes() for path in notes_folder(home).iterdir()}
    return {name: text.count(b"\n") - text.count(b"try ") for name, text in noted.items()}


@pytest.mark.timeout(0)
def test_nothing_is_damaged_lost_or_doubled(
    home: Home, chance: random.Random, soak_s: float
) -> None:
    """16 writers, a rotation every 50 ms, writers paused across it, two readers at once."""
    lasts_s = max(30.0, soak_s) if soak_s else 2.5
    notes_folder(home).mkdir()
    readers = [listen(home, "storm_reader.py", name) for name in READERS]
    rotator = listen(home, "storm_rotator.py")
    try:
        with ending(home) as writers:
            argvs = commands(home, chance.randrange(1 << 14))
            for argv in argvs.values():
                start(home, argv, writers)
            keeper = Keeper(home, list(writers), chance)
            end_s = time.monotonic() + lasts_s
            while time.monotonic() < end_s or (
                not all_have_noted(home, argvs) and time.monotonic() < end_s + START_S
            ):
                keeper.tick()
                time.sleep(KEEP_EVERY_S)  # the pace of the storm
            assert [each.poll() for each in writers] == [None] * len(argvs), said(home)
        (home.root / "stop").touch()
        rotations, errors = rotator.communicate(timeout=60)
        assert (rotator.returncode, errors) == (0, "")
        (home.root / "stopped").touch()
        found = [reader.communicate(timeout=120 + lasts_s) for reader in readers]
    finally:
        for process in (*readers, rotator):
            process.kill()
    noted = acknowledged(home)
    print(f"{sum(noted.values())} appends, {rotations.strip()} rotations, {keeper.sealed} sealed")
    assert said(home) == ""
    assert noted.keys() == argvs.keys()
    for output, errors in found:
        assert errors == ""
        read = json.loads(output)
        # A writer that is killed in a long write leaves the beginning of a line. Had it noted that
        # event, or written on, one would be missing.
        torn = [each for each in read["damaged"] if "Input data was truncated" in each]
        assert len(torn) <= len(argvs)
        assert (read["damaged"], read["misplaced"]) == (torn, [])
        # They were killed: what they had no time to note may be there.
        more = {name: read["last"][name] - count for name, count in noted.items()}
        assert {name: n for name, n in more.items() if not 0 <= n <= BATCH} == {}
    assert min(noted.values()) > 0
    assert int(rotations) > lasts_s
    assert keeper.sealed > 0


def said(home: Home) -> str:
    """What the writers wrote on stderr."""
    return (home.root / "said").read_text()
