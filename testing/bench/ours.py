"""Hookline among the contenders: a home, a dispatcher as a process, handlers of each kind."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from hookline.app.init import make_folders
from hookline.app.log import Log
from hookline.log.home import Home
from testing.bench.load import CHECKOUT, Process, ping, running, tick
from testing.bench.notes import NOTES

DURABILITY: Final = "`batch`: the running dispatcher syncs each log within 200 ms"
TYPE: Final = "bench.tick"
LIBRARY: Final = Path("scripts/events/lib")

# The same as notes.py, and as little; a home knows nothing of this checkout.
_NOTE: Final = """
import os, time

notes = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(data):
    if "sent" in data:
        os.write(notes, b"%d\\n" % (time.monotonic_ns() - data["sent"]))
    elif data["n"] == 0 or data["n"] == data["last"]:
        os.write(notes, b"%d\\n" % time.monotonic_ns())
"""
ONE_BY_ONE: Final = f"""# run: python   from: beginning
from hookline import on
{_NOTE}
@on("*.tick")
def handle(event):
    note(event.value())
"""
IN_LOTS: Final = f"""# run: python   from: beginning
from hookline import on
{_NOTE}
@on("*.tick", batch=100)
def handle(events):
    for event in events:
        note(event.value())
"""

STREAM: Final = f"""#!/usr/bin/env python3
# run: stream   window: 1000   from: beginning
import json, sys
{_NOTE}
for line in sys.stdin.buffer:
    event = json.loads(line)
    note(event["data"])
    os.write(3, b"%s 0\\n" % event["id"].encode())
"""


class HomeQueue:
    """The log of a home."""

    def __init__(self, home: Home, *, in_batch: bool) -> None:
        self.home = home
        self._log = Log(home)
        self._in_batch = in_batch

    def append(self, count: int) -> None:
        """Ticks, one by one or some hundred in a write."""
        if self._in_batch:
            with self._log.batch() as log:
                _append(log, count)
        else:
            _append(self._log, count)

    def ping(self) -> None:
        """One event."""
        self._log.append(TYPE, source="bench", data=ping())

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """The dispatcher."""
        return dispatching(self.home, notes)


class Hookline:
    """With a home of its own, and one handler."""

    def __init__(self, handler: str = ONE_BY_ONE, *, in_batch: bool = True) -> None:
        self._handler, self._in_batch = handler, in_batch

    @contextmanager
    def open(self) -> Iterator[HomeQueue]:
        """A new home."""
        with new_home() as home:
            install(home, "on-bench-tick.py", self._handler)
            yield HomeQueue(home, in_batch=self._in_batch)


def _append(log: Log, count: int) -> None:
    for n in range(count):
        log.append(TYPE, source="bench", data=tick(n, count - 1))


@contextmanager
def new_home() -> Iterator[Home]:
    """A home with the libraries for its shell handlers, and no handler."""
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        home = Home(Path(made))
        for _ in make_folders(home):
            pass
        home.handlers.mkdir(parents=True)
        shutil.copytree(CHECKOUT / LIBRARY, home.root / LIBRARY)
        (home.config / "hookline.toml").write_text(f'[handlers]\nenv = ["{NOTES}"]\n')
        yield home


def install(home: Home, name: str, text: str) -> Path:
    """A handler of this home."""
    path = home.handlers / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def dispatching(home: Home, notes: Path) -> AbstractContextManager[Process]:
    """The dispatcher, until it is told to end."""
    command = [sys.executable, "-m", "hookline", "dispatch", "--home", str(home.root)]
    return running(command, home.root / "said", {NOTES: str(notes)})
