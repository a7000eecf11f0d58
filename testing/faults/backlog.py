"""A long log with closed segments, made quickly; and how much memory a process has had."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from hookline.log.home import Home
from hookline.log.rotate import rotate, seal_segment
from hookline.log.stream import Stream

SEGMENTS = 10
BLOCK_LINES = 10_000

# Ids are UUIDv7, 64 of them of the same millisecond.
LINE = (
    b'{"specversion":"1.0","id":"%08x-%04x-7000-8000-%012x","source":"backlog",'
    b'"type":"backlog.line","time":"2026-11-21T01:35:31.123456Z",'
    b'"data":{"n":%d,"text":"a worker found something and said so at some length"}}\n'
)


def lines_of(numbers: range) -> bytes:
    """The lines of these events, each with its number in `data.n`."""
    since_ms = 1_795_224_931_123
    return b"".join(
        LINE % ((since_ms + n // 64) >> 16, (since_ms + n // 64) & 0xFFFF, n, n) for n in numbers
    )


def blocks(first: int, end: int) -> Iterator[range]:
    """The numbers, some thousand at a time."""
    for begin in range(first, end, BLOCK_LINES):
        yield range(begin, min(end, begin + BLOCK_LINES))


def write_backlog(home: Home, lines: int, segments: int = SEGMENTS) -> None:
    """So many lines in a live log and closed segments, every other one of these compressed."""
    bounds = [lines * n // segments for n in range(segments + 1)]
    for ordinal, (first, end) in enumerate(pairwise(bounds), 1):
        with home.live("backlog").open("xb") as log:
            for numbers in blocks(first, end):
                log.write(lines_of(numbers))
        if ordinal < segments:
            rotate(home, "backlog")
        if ordinal < segments and ordinal % 2:
            seal_when_final(home, ordinal)


def seal_when_final(home: Home, ordinal: int) -> None:
    """Compress a closed segment as soon as that may be done."""
    with Stream.of_domain(home, "backlog") as stream:
        gives_up_s = time.monotonic() + 60
        while not seal_segment(stream, ordinal):
            assert time.monotonic() < gives_up_s
            time.sleep(0.05)  # a segment is final 100 ms after its rotation: nobody tells


def peak_kb(pid: int) -> int:
    """The most memory that a process has had; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM:")), 0)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
