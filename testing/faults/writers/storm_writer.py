"""Appends numbered events as fast as it can until it is told to stop.

Usage: storm_writer.py HOME NAME burst|single
`burst` is a long-lived program that uses Log, `single` opens the log anew for each event. How many
were appended goes to HOME/NAME.count.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hookline.log.append import append_event
from hookline.log.log import Log
from hookline.model.clock import SystemClock, rfc3339
from hookline.model.ids import uuid7
from hookline.model.jsontext import dumps

BURST = 100


def text_bytes(rng: random.Random) -> int:
    """Lines of 100 bytes to 200 KB, most of them short."""
    kind = rng.random()
    if kind < 0.95:
        return rng.randrange(1, 900)
    return rng.randrange(900, 20_000) if kind < 0.995 else rng.randrange(20_000, 200_000)


def writer(home: Path, name: str, mode: str) -> Callable[[dict[str, object]], None]:
    """What appends one event."""
    log = Log(home)
    if mode == "burst":
        return lambda data: void(log.append("storm.python", source=name, data=data))

    def single(data: dict[str, object]) -> None:
        now = rfc3339(SystemClock().now())
        id = uuid7(time.time_ns())
        append_event(
            home,
            {"id": id, "source": name, "type": "storm.python", "time": now, "data": dumps(data)},
        )

    return single


def void(_: object) -> None:
    """For an expression's result."""


def main(home: Path, name: str, mode: str) -> None:
    rng = random.Random(name)  # noqa: S311 - dice, no secret
    append = writer(home, name, mode)
    count = 0
    while not (home / "stop").exists():
        for _ in range(BURST):
            size = text_bytes(rng)
            append({"n": count + 1, "len": size, "text": chr(97 + count % 26) * size})
            count += 1
        time.sleep(0.005)
    (home / f"{name}.count").write_text(str(count))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
