"""A writer of the storm in Python: appends events until it is killed, and notes each one that was
acknowledged.

Usage: python -m hookline.app.selftest.writer HOME NOTES NAME append|sync|batch SEED PACE_S
"""

import random
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from hookline.log.log import Log
from hookline.model.ids import uuid7

BATCH = 10


class Writer:
    """One writer. What was tried and not acknowledged when it was killed, it tries once more."""

    def __init__(self, home: Path, notes: Path, name: str, seed: str) -> None:
        self._log = Log(home)
        self._name = name
        self._dice = random.Random(seed)  # noqa: S311 - dice, no secret
        self._numbers = count(1)
        self._untold = list(_unacknowledged(notes))
        self._notes = notes.open("ab", buffering=0)

    def append(self, *, sync: bool = False) -> None:
        """Append one event, and say before and after that."""
        identity, type = self._untold.pop() if self._untold else (uuid7(time.time_ns()), "")
        type = type or self._type()
        self._notes.write(f"try {identity} {type}\n".encode())
        self._log.append(type, source=self._name, data=self._data(), id=identity, sync=sync)
        self._notes.write(f"{identity} {type}\n".encode())

    def batch(self) -> None:
        """Append some in one write."""
        with self._log.batch() as log:
            events = [
                log.append(self._type(), source=self._name, data=self._data()) for _ in range(BATCH)
            ]
        self._notes.write(b"".join(f"{e.id} {e.type}\n".encode() for e in events))

    def _type(self) -> str:
        return "storm.note" if self._dice.random() < 0.75 else "storm.task"

    def _data(self) -> dict[str, Any]:
        """Its number, its key, how often its handlers are to fail, and a text to check."""
        number = next(self._numbers)
        kind = self._dice.random()
        length = self._dice.randrange(1, 900)
        if kind > 0.95:
            length = self._dice.randrange(900, 20_000 if kind < 0.995 else 200_000)
        return {
            "n": number,
            "k": f"k{self._dice.randrange(4)}",
            "fails": self._dice.choices((0, 1, 2, 9), (90, 5, 4, 1))[0],
            "len": length,
            "text": chr(97 + number % 26) * length,
        }


def _unacknowledged(notes: Path) -> Iterator[tuple[str, str]]:
    """The event that the one before was at when it was killed."""
    lines = notes.read_bytes().splitlines() if notes.exists() else []
    if lines and lines[-1].startswith(b"try "):
        _, identity, type = lines[-1].decode().split()
        yield identity, type


def main(home: str, notes: str, name: str, kind: str, seed: str, pace_s: str) -> None:
    """Append until somebody ends it."""
    writer = Writer(Path(home), Path(notes), name, seed)
    while True:
        if kind == "batch":
            writer.batch()
        else:
            writer.append(sync=kind == "sync")
        # Its pace; a batch takes its time for all that is in it.
        time.sleep(float(pace_s) * (BATCH if kind == "batch" else 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
