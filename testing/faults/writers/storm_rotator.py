"""Rotates the storm's log every 50 ms until HOME/stop is there; prints how often it did.

Usage: storm_rotator.py HOME
"""

import sys
import time
from pathlib import Path

from hookline.log.home import Home
from hookline.log.rotate import rotate

EVERY_S = 0.05


def main(home: Home) -> None:
    rotations = 0
    next_s = time.monotonic()
    while not (home.root / "stop").exists():
        rotations += rotate(home, "storm") is not None
        next_s = max(next_s + EVERY_S, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))  # its pace
    print(rotations)


if __name__ == "__main__":
    main(Home(Path(sys.argv[1])))
