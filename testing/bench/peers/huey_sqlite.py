"""Huey with SQLite: `SqliteHuey`, one worker thread (the default).

As a module it is what `huey_consumer` loads.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from testing.bench.installed import library
from testing.bench.load import Process, ping, running, tick
from testing.bench.notes import NOTES, handle

NAME: Final = "Huey (SQLite)"
DURABILITY: Final = "SQLite in WAL mode, never synced (`fsync=False`; the default syncs each task)"
DATABASE: Final = "BENCH_DATABASE"
POLL_S: Final = "0.001"
"""Between two looks at the database; nobody tells the worker, and the default is 0.1 s and more."""


class HueyQueue:
    """A database, and the task that is called."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._task = task_of(huey_on(str(database)))

    def append(self, count: int) -> None:
        """Ticks, one by one: there is no other way."""
        for n in range(count):
            self._task(tick(n, count - 1))

    def ping(self) -> None:
        """One task."""
        self._task(ping())

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """The worker that the documentation starts."""
        program = Path(sys.executable).with_name("huey_consumer")
        options = ["--quiet", "--delay", POLL_S, "--max-delay", POLL_S]
        return running(
            [program, "testing.bench.peers.huey_sqlite.worker", *options],
            notes.with_name("said"),
            {NOTES: str(notes), DATABASE: str(self._database)},
        )


class Huey:
    """With a database of its own."""

    @contextmanager
    def open(self) -> Iterator[HueyQueue]:
        """A new database."""
        with tempfile.TemporaryDirectory(prefix="bench-") as made:
            yield HueyQueue(Path(made) / "huey.db")


def huey_on(database: str) -> Any:
    """A Huey on this database."""
    return library("huey").SqliteHuey("bench", filename=database, results=False, fsync=False)


def task_of(huey: Any) -> Any:
    """The one task, under the same name in all processes."""
    return huey.task(name="handle")(handle)


if DATABASE in os.environ:
    worker = huey_on(os.environ[DATABASE])
    task_of(worker)
