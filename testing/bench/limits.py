"""What no way of doing it can be quicker than, in the same language on the same disk."""

import os
import time
from pathlib import Path

import msgspec

from testing.bench.ours import Hookline


class _Payload(msgspec.Struct):
    n: int
    last: int
    text: str


class _Line(msgspec.Struct):
    id: str
    type: str
    data: _Payload


def write_rate(folder: Path, count: int) -> float:
    """One write(2) for each line, and no more: lines a second."""
    line = _log_of(1)
    path = folder / "lines"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        began_s = time.perf_counter()
        for _ in range(count):
            os.write(file, line)
        return count / (time.perf_counter() - began_s)
    finally:
        os.close(file)
        path.unlink()


def read_rate(count: int) -> float:
    """Read a log and parse each of its lines: lines a second."""
    text = _log_of(count)
    decoder = msgspec.json.Decoder(_Line)
    began_s = time.perf_counter()
    for line in text.splitlines():
        if decoder.decode(line).data.n < 0:
            raise AssertionError
    return count / (time.perf_counter() - began_s)


def _log_of(count: int) -> bytes:
    with Hookline().open() as queue:
        queue.append(count)
        return queue.home.live("bench").read_bytes()
