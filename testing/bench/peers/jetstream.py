"""NATS JetStream with nats-py: events published without waiting for each answer; a durable
subscription that either pulls some hundred at a time (what NATS recommends for new projects) or
has them pushed into a callback; each event acknowledged when it was handled.

As a program it is the handler's process: `jetstream.py PORT pull|push`.
"""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from testing.bench.installed import library
from testing.bench.load import Process, ping, running, tick
from testing.bench.notes import NOTES, handle
from testing.bench.server import nats_server

NAME: Final = "NATS JetStream"
DURABILITY: Final = "files, synced every two minutes (the default `sync_interval`)"
STREAM: Final = "bench"
SUBJECT: Final = "bench.tick"
LOT: Final = 500


class JetStreamQueue:
    """A stream, and the connection that publishes to it."""

    def __init__(self, port: int, way: str) -> None:
        self._port, self._way = port, way
        self._loop = asyncio.new_event_loop()
        self._nats = self._run(library("nats").connect(f"nats://127.0.0.1:{port}"))
        self._stream = self._nats.jetstream()
        self._run(self._stream.add_stream(name=STREAM, subjects=[SUBJECT]))

    def append(self, count: int) -> None:
        """Ticks, as many under way as the library allows."""

        async def publish() -> None:
            for n in range(count):
                payload = msgspec.json.encode(tick(n, count - 1))
                await self._stream.publish_async(SUBJECT, payload)
            await self._stream.publish_async_completed()

        self._run(publish())

    def ping(self) -> None:
        """One event, and its answer."""
        self._run(self._stream.publish(SUBJECT, msgspec.json.encode(ping())))

    def working(self, notes: Path) -> AbstractContextManager[Process]:
        """This file, as a program."""
        module = "testing.bench.peers.jetstream"
        command = [sys.executable, "-m", module, str(self._port), self._way]
        return running(command, notes.with_name("said"), {NOTES: str(notes)})

    def close(self) -> None:
        """The connection too."""
        self._run(self._nats.close())
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(what)


class JetStream:
    """With a server of its own; `way` is pull or push."""

    def __init__(self, way: str = "pull") -> None:
        self._way = way

    @contextmanager
    def open(self) -> Iterator[JetStreamQueue]:
        """A stream in a new server."""
        with nats_server() as port:
            queue = JetStreamQueue(port, self._way)
            try:
                yield queue
            finally:
                queue.close()


async def work(port: str, way: str) -> None:
    """Handle what comes, for ever."""
    nats = library("nats")
    connection = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = connection.jetstream()

    async def handle_one(message: Any) -> None:
        handle(msgspec.json.decode(message.data))
        await message.ack()

    if way == "push":
        await stream.subscribe(SUBJECT, durable="handlers", cb=handle_one, manual_ack=True)
        await asyncio.Event().wait()
    pulled = await stream.pull_subscribe(SUBJECT, durable="handlers")
    while True:
        try:
            messages = await pulled.fetch(LOT, timeout=1)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            await handle_one(message)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
