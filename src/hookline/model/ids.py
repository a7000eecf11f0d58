"""Identifiers: UUIDv7 (RFC 9562), in order within a process."""

import os
import re
from collections.abc import Iterator

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")

# RFC 9562, 6.2, method 3: the 12 bits beside the millisecond hold the fraction of it.
_TICKS_PER_MS = 4096
_LAST_DIGITS = tuple(f"{number:02x}" for number in range(256))


class _Sequence:
    """What keeps ids in order while the clock stands still or goes back: it counts on."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0

    def uuid7s(self, now_ns: int) -> Iterator[str]:
        """256 UUIDv7s in lower case for a moment in nanoseconds since 1970, in order.

        Within a process each one is greater than all of the calls before (with threads: almost
        always). They differ in the last byte only (RFC 9562, 6.2, method 2), so that the child of
        a fork may not go on with them.
        """
        self.last = ticks = max(now_ns * _TICKS_PER_MS // 1_000_000, self.last + 1)
        ms, random = f"{ticks // _TICKS_PER_MS:012x}", os.urandom(7).hex()
        fraction = ticks % _TICKS_PER_MS
        begin = f"{ms[:8]}-{ms[8:]}-7{fraction:03x}-8{random[:3]}-{random[3:13]}"
        return map(begin.__add__, _LAST_DIGITS)

    def uuid7(self, now_ns: int) -> str:
        """The first of `uuid7s`."""
        return next(self.uuid7s(now_ns))


_sequence = _Sequence()
uuid7, uuid7s = _sequence.uuid7, _sequence.uuid7s


def is_id(text: str) -> bool:
    """Whether the text may be an id: 1 to 128 of `A-Za-z0-9._:-`, the first a letter or digit."""
    return ID.match(text) is not None
