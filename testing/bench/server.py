"""Servers that peers need: started for one measurement, in a folder of their own, ended by pid."""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from testing.bench.figure import Failed
from testing.bench.installed import program
from testing.bench.load import running

_DEADLINE_S: Final = 20.0


@contextmanager
def redis_server() -> Iterator[Path]:
    """A redis-server with an append-only file, synced each second (its own default): its socket."""
    command = program("redis-server")
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        path = folder / "socket"
        options = ["--port", "0", "--unixsocket", str(path), "--dir", made, "--appendonly", "yes"]
        with running([command, *options], folder / "said"):
            _wait_for_socket(socket.AF_UNIX, str(path), folder / "said")
            yield path


@contextmanager
def nats_server() -> Iterator[int]:
    """A nats-server with JetStream in files, synced as it likes (two minutes): its port."""
    command = program("nats-server")
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        port = _free_port()
        options = ["--jetstream", "--store_dir", made, "--addr", "127.0.0.1", "--port", str(port)]
        with running([command, *options], folder / "said"):
            _wait_for_socket(socket.AF_INET, ("127.0.0.1", port), folder / "said")
            yield port


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _wait_for_socket(family: int, address: str | tuple[str, int], said: Path) -> None:
    gives_up_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < gives_up_s:
        with socket.socket(family) as client:
            try:
                client.connect(address)
            except OSError:
                time.sleep(0.01)  # a server tells nobody that it listens
            else:
                return
    raise Failed(f"does not listen: {said.read_text()[-200:]}")
