"""What tells one fault from another: dead letters with the same fingerprint have the same cause, as
far as words can tell.

A bucket by what failed and a message whose variable parts are masked: the buckets are those of
Glerum et al., "Debugging in the (Very) Large" (SOSP 2009), the masks those with which log parsers
begin (He et al., "Drain", ICWS 2017). Pure.
"""

import re
from hashlib import blake2b
from typing import Final

LENGTH: Final = 10
"""Hex digits: of a thousand faults, two are taken for one with a chance of 5e-7."""
_TEXT_MAX: Final = 2000
_DATE: Final = r"\d{4}-\d\d-\d\d"
_CLOCK: Final = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"

_MASKS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.ASCII), mask)
    for pattern, mask in (
        (r"\x1b\[[0-9;?]*[ -/]*[@-~]", ""),
        (rf"{_DATE}(?:[Tt ]{_CLOCK})?(?:Z|[+-]\d\d:?\d\d)?|\b{_CLOCK}\b", "<time>"),
        (r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "<id>"),
        (r"(/(?:tmp|shm)/)[^/\s:'\"]+", r"\1<tmp>"),
        (r"\btmp[._-]?(?=\w*\d)\w{6,}", "<tmp>"),
        # Not the apostrophe of "can't".
        (r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|`[^`']*[`']", "<text>"),
        (r"\b\d+(?:[.,]\d+)*\b", "<n>"),
        (r"\b0[xX][0-9A-Fa-f]+\b|\b(?=[A-Fa-f]*\d)[0-9A-Fa-f]{8,}\b", "<n>"),
        (r"\d+(?:[.,]\d+)*", "<n>"),
        (r"\s+", " "),
    )
)


def normalised(text: str) -> str:
    """The last line of a message that says something, its variable parts masked."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1][-_TEXT_MAX:] if lines else ""
    for pattern, mask in _MASKS:
        last = pattern.sub(mask, last)
    return last.strip()


def fingerprint(
    handler: str, verdict: str, exit: int | None, signal: int | None, error: str
) -> str:
    """Ten hex digits."""
    parts = (handler, verdict, str(exit), str(signal), normalised(error))
    text = "\0".join(parts).encode("utf-8", "replace")
    return blake2b(text, digest_size=16).hexdigest()[:LENGTH]
