"""RQ: a job a fork, as `rq worker` does it."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from testing.bench.installed import library
from testing.bench.load import CHECKOUT, Process, ping, running, tick
from testing.bench.notes import NOTES
from testing.bench.server import redis_server

NAME: Final = "RQ"
DURABILITY: Final = "as Redis: synced each second"
HANDLER: Final = "testing.bench.notes.handle"
"""In a module that is light to import: each job does so anew."""


class RqQueue:
    """A queue of jobs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        connection = library("redis").Redis(unix_socket_path=str(path))
        self._queue = library("rq").Queue("bench", connection=connection)

    def append(self, count: int) -> None:
        """Ticks, one by one."""
        for n in range(count):
            self._queue.enqueue(HANDLER, tick(n, count - 1))

    def ping(self) -> None:
        """One job."""
        self._queue.enqueue(HANDLER, ping())

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """The worker that the documentation starts."""
        program = Path(sys.executable).with_name("rq")
        options = ["--url", f"unix://{self._path}", "--path", str(CHECKOUT), "--quiet", "bench"]
        return running([program, "worker", *options], notes.with_name("said"), {NOTES: str(notes)})


class Rq:
    """With a server of its own."""

    @contextmanager
    def open(self) -> Iterator[RqQueue]:
        """A queue in a new server."""
        with redis_server() as path:
            yield RqQueue(path)
