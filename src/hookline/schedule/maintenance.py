"""Maintenance: while its marker file is there nothing fires; what came due fires after it."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from hookline.log.home import Home
from hookline.log.watch import Watch
from hookline.model.clock import Clock, SystemClock

LOOK_S: Final = 5.0
"""How often to look, told or not: a parent folder's move is not told, for one."""
_REASON_BYTES_MAX: Final = 4096


class Maintenance(NamedTuple):
    """Since when (seconds since 1970) a home is in maintenance, and why, if anybody said so."""

    since_s: float
    reason: str


def is_maintenance(home: Home) -> bool:
    """Whether a home is in maintenance: `touch coordination/maintenance`, and `rm` ends it."""
    return os.path.exists(home.maintenance)


def maintenance(home: Home) -> Maintenance | None:
    """What is known of a home's maintenance; None when it is in none."""
    try:
        since_s = os.stat(home.maintenance).st_mtime
    except OSError:
        return None
    try:
        with open(home.maintenance, "rb") as marker:
            text = marker.read(_REASON_BYTES_MAX).decode(errors="replace")
    except OSError:
        text = ""
    return Maintenance(since_s, " ".join(text.split()))


def wait_for_normal_mode(
    home: Home | Path | str, timeout_s: float | None = None, *, clock: Clock | None = None
) -> bool:
    """Wait until a home is in no maintenance, at most so long; whether it is in none.

    At once where it is in none. It waits for the file to go and does not look in between, but
    where nobody tells of that (`Watch`).
    """
    if not isinstance(home, Home):
        home = Home(Path(home))
    if not is_maintenance(home):
        return True
    clock = clock or SystemClock()
    until_s = None if timeout_s is None else clock.monotonic_s() + timeout_s
    with Watch([home.coordination]) as watch:
        while is_maintenance(home):
            left_s = LOOK_S if until_s is None else until_s - clock.monotonic_s()
            if left_s <= 0:
                return False
            watch.wait(min(left_s, LOOK_S))
            watch.read()
    return True
