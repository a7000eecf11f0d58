"""Follows the storm's log and checks every line of it; several may do so at once.

Usage: storm_reader.py HOME NAME
Where it is goes to HOME/NAME.position now and then. Ends when HOME/stopped is there and there is
nothing more to read; prints what it found as JSON.
"""

import json
import sys
import time
from pathlib import Path

import msgspec

from hookline.log.home import Home
from hookline.log.read import Record, records
from hookline.log.stream import BEGINNING, Stream
from hookline.log.watch import Watch


class Data(msgspec.Struct):
    """What each event of the storm says of itself."""

    n: int
    len: int
    text: str


class Tally:
    """What was read so far."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.damaged: list[str] = []
        self.misplaced: list[str] = []

    def add(self, record: Record) -> None:
        """Check one record: whole, and the next one of its writer."""
        event = record.event
        if event is None:
            self.damaged.append(f"{record.position}: {record.why} {record.raw[:80]!r}")
            return
        data = msgspec.json.decode(event.data, type=Data)
        if len(data.text) != data.len or data.text.strip(data.text[:1] or "x"):
            self.damaged.append(f"{record.position}: {event.source} {data.n}")
        if data.n != self.last.get(event.source, 0) + 1:
            before = self.last.get(event.source, 0)
            self.misplaced.append(f"{record.position}: {event.source} {data.n} after {before}")
        self.last[event.source] = data.n


def main(home: Home, name: str) -> None:
    tally = Tally()
    position = BEGINNING
    with Stream.of_domain(home, "storm") as stream, Watch([home.events]) as watch:
        told_s = 0.0
        while True:
            over = (home.root / "stopped").exists()
            chunk = stream.read(position)
            for record in records(chunk):
                tally.add(record)
            position = chunk.next
            if time.monotonic() - told_s > 0.1:
                told_s = time.monotonic()
                (home.root / f"{name}.position").write_text(str(position.segment))
            if chunk.at_end:
                if over and chunk.again_s is None:
                    break
                watch.read()
                watch.wait(0.02 if chunk.again_s is None else chunk.again_s)
    print(
        json.dumps(
            {"last": tally.last, "damaged": tally.damaged[:20], "misplaced": tally.misplaced[:20]}
        )
    )


if __name__ == "__main__":
    main(Home(Path(sys.argv[1])), sys.argv[2])
