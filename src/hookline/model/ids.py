"""Identifiers: UUIDv7 (RFC 9562), in order within a process."""

import os
import re

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")

# RFC 9562, 6.2, method 3: the 12 bits beside the millisecond hold the fraction of it.
_TICKS_PER_MS = 4096


class _Sequence:
    """What keeps ids in order while the clock stands still or goes back: it counts on."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0

    def uuid7(self, now_ns: int) -> str:
        """A UUIDv7 in lower case for a moment in nanoseconds since 1970.

        Within a process each one is greater than all before it (with threads: almost always).
        """
        self.last = ticks = max(now_ns * _TICKS_PER_MS // 1_000_000, self.last + 1)
        ms, fraction = divmod(ticks, _TICKS_PER_MS)
        random = int.from_bytes(os.urandom(8)) >> 2 | 1 << 63
        text = f"{ms:012x}7{fraction:03x}{random:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


uuid7 = _Sequence().uuid7


def is_id(text: str) -> bool:
    """Whether the text may be an id: 1 to 128 of `A-Za-z0-9._:-`, the first a letter or digit."""
    return ID.match(text) is not None
