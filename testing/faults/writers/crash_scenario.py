"""A short life of a home, to be recorded: every operation that promises something to last.

Usage: crash_scenario.py HOME
What was acknowledged is noted in HOME/../acknowledged, an id a line, before anything else is done.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from hookline.log.home import Home
from hookline.log.rotate import rotate, seal
from testing.faults.recovery import DISPATCHER, Recovery, event_line, wait_until

REJECTED: Final = 65


class Scenario:
    """What happens, in this order."""

    def __init__(self, home: Home) -> None:
        self.recovery = Recovery(home)
        self.home = home

    def run(self) -> None:
        """All of it."""
        self.emit("k", 2)
        self.logger()
        self.recovery.emit("b", 3, "batch")
        self.recovery.emit("f", 4, "fast")
        self.recovery.once()
        self.emit("k", 1)
        rotate(self.home, "a")
        self.recovery.emit("f", 2, "fast")
        self.emit("k", 1)
        self.emit("x", 1, exit=REJECTED)
        self.large()
        self.recovery.once()
        self.drop()
        wait_until(lambda: seal(self.home, "a") != [], "the segment is sealed")
        self.emit("k", 1)
        self.recovery.emit("f", 1, "fast")
        self.recovery.once()

    def emit(self, key: str, count: int, exit: int = 0) -> None:
        """Append with a sync."""
        for _ in range(count):
            self.acknowledge(*self.recovery.emit(key, sync=True, exit=exit))

    def logger(self) -> None:
        """The same from bash, into a log that is not there yet."""
        identity, line = event_line("s", 0, "shell")
        logger = DISPATCHER.parent / "lib/event-logger.sh"
        subprocess.run([logger, "--sync", line.decode()], check=True, stdout=subprocess.DEVNULL)
        self.acknowledge(identity)

    def large(self) -> None:
        """Data that goes to a file of its own."""
        path = self.home.root.parent / "large"
        path.write_text('"' + "x" * 300_000 + '"')
        command = [
            sys.executable,
            "-m",
            "hookline",
            "emit",
            "a.made",
            "--sync",
            "--data",
            f"@{path}",
        ]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        self.acknowledge(said.stdout.strip())

    def drop(self) -> None:
        """A file in the drop box; whoever put it there has synced it."""
        part = self.home.queue / ".dropped.json.part"
        with part.open("w") as file:
            file.write('{"specversion":"1.0","type":"a.made","id":"dropped","data":{"k":"d"}}')
            file.flush()
            os.fsync(file.fileno())
        part.rename(self.home.queue / "dropped.json")
        folder = os.open(self.home.queue, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.acknowledge("dropped")

    def acknowledge(self, *ids: str) -> None:
        """From here on, these may not be lost."""
        with (self.home.root.parent / "acknowledged").open("a") as file:
            file.writelines(f"{identity}\n" for identity in ids)


if __name__ == "__main__":
    Scenario(Home(Path(sys.argv[1]))).run()
