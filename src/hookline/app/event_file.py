"""The file that a handler gets as `$1`."""

from pathlib import Path
from typing import Final

from hookline.model import event as events
from hookline.model.errors import BadData, TryAgain, is_shortage
from hookline.model.event import Event

EVENT_BYTES_MAX: Final = 16 << 20


def read_event_file(path: Path) -> tuple[bytes, Event]:
    """The line of it, and the event that it is. Raises BadData, TryAgain."""
    try:
        with path.open("rb") as file:
            line = file.read(EVENT_BYTES_MAX).strip()
    except OSError as error:
        kind = TryAgain if is_shortage(error) else BadData
        raise kind(f"{path}: {error.strerror}") from error
    return line, events.decode(line)
