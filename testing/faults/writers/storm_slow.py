"""A writer of the storm that falls asleep between opening the log and writing to it, so that
rotations come between.

Usage: storm_slow.py HOME NOTES NAME SEED
"""

import os
import random
import sys
import time
from itertools import count
from pathlib import Path

from hookline.log.files import append_line, open_append
from hookline.log.home import Home
from hookline.model import envelope
from hookline.model.clock import SystemClock, rfc3339
from hookline.model.ids import uuid7

SLEEP_S = 0.3


def main(home: Home, notes: Path, name: str, seed: str) -> None:
    dice = random.Random(seed)  # noqa: S311 - dice, no secret
    numbers = count(1)
    with notes.open("ab", buffering=0) as noted:
        while True:
            fd = open_append(home.live("storm"))
            for _ in range(dice.randrange(1, 4)):
                time.sleep(dice.random() * SLEEP_S)  # what it is there for
                identity = uuid7(time.time_ns())
                text = "x" * dice.randrange(1, 900)
                append_line(
                    fd,
                    envelope.line(
                        id=identity,
                        source=name,
                        type="storm.slow",
                        time=rfc3339(SystemClock().now()),
                        data=f'{{"n":{next(numbers)},"len":{len(text)},"text":"{text}"}}'.encode(),
                    ),
                )
                noted.write(f"{identity} storm.slow\n".encode())
            os.close(fd)


if __name__ == "__main__":
    main(Home(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
