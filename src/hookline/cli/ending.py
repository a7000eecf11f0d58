"""A command that is told to end."""

import signal
from typing import NoReturn


def end_on_term() -> None:
    """TERM goes through all that cleans up and says how to go on, as Ctrl-C does; exit 143."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)
