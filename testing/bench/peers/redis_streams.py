"""Redis Streams with redis-py: XADD in pipelines, a group that reads some hundred at a time and
acknowledges each lot when its last event was handled (at least once, as we do).

As a program it is the handler's process: `redis_streams.py SOCKET`.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from testing.bench.installed import library
from testing.bench.load import Process, ping, running, tick
from testing.bench.notes import NOTES, handle
from testing.bench.server import redis_server

NAME: Final = "Redis Streams"
DURABILITY: Final = "append-only file, synced each second (`appendfsync everysec`)"
STREAM: Final = "bench"
GROUP: Final = "handlers"
LOT: Final = 1000
"""Events in a pipeline, and at most in an answer."""


class RedisQueue:
    """A stream and its group."""

    def __init__(self, path: Path, lot: int) -> None:
        self._path, self._lot = path, lot
        self._client = library("redis").Redis(unix_socket_path=str(path))
        self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)

    def append(self, count: int) -> None:
        """Ticks, some in each pipeline."""
        for first in range(0, count, self._lot):
            pipeline = self._client.pipeline(transaction=False)
            for n in range(first, min(first + self._lot, count)):
                pipeline.xadd(STREAM, {"data": msgspec.json.encode(tick(n, count - 1))})
            pipeline.execute()

    def ping(self) -> None:
        """One event."""
        self._client.xadd(STREAM, {"data": msgspec.json.encode(ping())})

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """This file, as a program."""
        command = [sys.executable, "-m", "testing.bench.peers.redis_streams", str(self._path)]
        return running(command, notes.with_name("said"), {NOTES: str(notes)})


class RedisStreams:
    """With a server of its own."""

    def __init__(self, lot: int = LOT) -> None:
        self._lot = lot

    @contextmanager
    def open(self) -> Iterator[RedisQueue]:
        """A stream in a new server."""
        with redis_server() as path:
            yield RedisQueue(path, self._lot)


def main() -> None:
    """Handle what comes, for ever."""
    client = library("redis").Redis(unix_socket_path=sys.argv[1])
    while True:
        streams = client.xreadgroup(GROUP, "one", {STREAM: ">"}, count=LOT, block=1000)
        for _, entries in streams or ():
            for _, fields in entries:
                handle(msgspec.json.decode(fields[b"data"]))
            client.xack(STREAM, GROUP, *(identity for identity, _ in entries))


if __name__ == "__main__":
    main()
