"""What every peer's handler does with an event. Light to import: some do so for each event."""

import os
import time
from typing import Any, Final

NOTES: Final = "BENCH_NOTES"
"""The variable that names the file for the notes."""

_files: list[int] = []


def handle(data: dict[str, Any]) -> None:
    """Note the first and the last tick, and how long ago a ping was sent."""
    if "sent" in data:
        _note(time.monotonic_ns() - data["sent"])
    elif data["n"] == 0 or data["n"] == data["last"]:
        _note(time.monotonic_ns())


def _note(number: int) -> None:
    if not _files:
        _files.append(os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    os.write(_files[0], b"%d\n" % number)
