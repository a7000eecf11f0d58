"""Appends numbered events until it is told to stop.

Usage: storm_writer.py HOME NAME burst|single|slow
`burst` is a long-lived program that uses Log, `single` opens the log anew for each event, `slow`
falls asleep between opening the log and writing. How many were appended goes to HOME/NAME.count.
"""

import os
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from hookline.log.append import append_event
from hookline.log.compose import dumps
from hookline.log.files import append_line, open_append
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model import envelope
from hookline.model.attributes import Fields
from hookline.model.clock import SystemClock, rfc3339
from hookline.model.ids import uuid7

PAUSE_S = 0.05
SLEEP_S = 0.3


class Writer(ABC):
    """One writer of the storm."""

    # Readers must keep up, or they meet only segments that are long closed, and no race.
    burst = 30

    def __init__(self, home: Path, name: str) -> None:
        self.home = Home(home)
        self.name = name
        self.random = random.Random(name)  # noqa: S311 - dice, no secret
        self.count = 0

    @abstractmethod
    def append(self, data: object) -> None:
        """Append one event."""

    def data(self) -> object:
        """What the next event says: its number, and a text to check."""
        self.count += 1
        size = self.size()
        return {"n": self.count, "len": size, "text": chr(97 + self.count % 26) * size}

    def size(self) -> int:
        """Lines of 100 bytes to 200 KB, most of them short."""
        kind = self.random.random()
        if kind < 0.95:
            return self.random.randrange(1, 900)
        return self.random.randrange(900, 20_000 if kind < 0.995 else 200_000)

    def fields(self, data: object) -> Fields:
        """A whole event."""
        return {
            "id": uuid7(time.time_ns()),
            "source": self.name,
            "type": "storm.python",
            "time": rfc3339(SystemClock().now()),
            "data": dumps(data),
        }

    def run(self) -> None:
        """Append until there is a file `stop`."""
        while not (self.home.root / "stop").exists():
            for _ in range(self.burst):
                self.append(self.data())
            time.sleep(PAUSE_S)  # its pace
        (self.home.root / f"{self.name}.count").write_text(str(self.count))


class Burst(Writer):
    """Uses Log, which holds the log open while appends follow each other closely."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home, name)
        self.log = Log(home)

    def append(self, data: object) -> None:
        self.log.append("storm.python", source=self.name, data=data)


class Single(Writer):
    """Opens the log for each event."""

    def append(self, data: object) -> None:
        append_event(self.home.root, self.fields(data))


class Slow(Writer):
    """Is caught by rotations between opening the log and writing to it."""

    burst = 1

    def append(self, data: object) -> None:
        fd = open_append(self.home.live("storm"))
        try:
            for _ in range(self.random.randrange(1, 4)):
                time.sleep(self.random.random() * SLEEP_S)  # what it is there for
                append_line(fd, envelope.line(**self.fields(data)))
                data = self.data()
            append_line(fd, envelope.line(**self.fields(data)))
        finally:
            os.close(fd)


WRITERS: dict[str, Callable[[Path, str], Writer]] = {
    "burst": Burst,
    "single": Single,
    "slow": Slow,
}

if __name__ == "__main__":
    WRITERS[sys.argv[3]](Path(sys.argv[1]), sys.argv[2]).run()
