"""A command that is told to end."""

import signal
from typing import NoReturn


def end_on_term() -> None:
    """TERM goes through all that cleans up and says how to go on, as Ctrl-C does; exit 143. So does
    a terminal that is closed, unless nohup(1) was asked for; exit 129."""
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _end)


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)
