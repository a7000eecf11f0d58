"""Celery with Redis as its broker: a worker as the documentation starts it (prefork, a process for
each core), results ignored.

As a module it is what `celery --app` loads.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from testing.bench.installed import library
from testing.bench.load import Process, ping, running, tick
from testing.bench.notes import NOTES, handle
from testing.bench.server import redis_server

NAME: Final = "Celery (Redis)"
DURABILITY: Final = "as Redis: synced each second; a task is acknowledged before it runs (default)"
BROKER: Final = "BENCH_BROKER"


class CeleryQueue:
    """A broker, and the task that is sent to it."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._task = task_of(application_on(broker))

    def append(self, count: int) -> None:
        """Ticks, one by one."""
        for n in range(count):
            self._task.delay(tick(n, count - 1))

    def ping(self) -> None:
        """One task."""
        self._task.delay(ping())

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """The worker that the documentation starts."""
        return running(
            [
                *(sys.executable, "-m", "celery", "--app", "testing.bench.peers.celery_redis"),
                *("worker", "--loglevel", "ERROR"),
            ],
            notes.with_name("said"),
            {NOTES: str(notes), BROKER: self._broker},
        )


class Celery:
    """With a server of its own."""

    @contextmanager
    def open(self) -> Iterator[CeleryQueue]:
        """A queue in a new server."""
        with redis_server() as path:
            yield CeleryQueue(f"redis+socket://{path}")


def application_on(broker: str) -> Any:
    """An application on this broker."""
    return library("celery").Celery("bench", broker=broker, set_as_current=False)


def task_of(application: Any) -> Any:
    """The one task, under the same name in all processes."""
    return application.task(handle, name="handle", ignore_result=True)


if BROKER in os.environ:
    app = application_on(os.environ[BROKER])
    task_of(app)
