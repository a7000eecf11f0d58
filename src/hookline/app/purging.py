"""The purge of old dead letters, as the home's configuration has it."""

import math

from hookline.app.bus import alert_of
from hookline.app.config import load_config
from hookline.dispatch.purge import Purged, purge
from hookline.log.home import Home
from hookline.model.clock import SystemClock


def purge_letters(
    home: Home, keep_s: float | None = None, *, dry_run: bool = False
) -> Purged | None:
    """Purge what is older than that, or than the configuration allows; None: it says never.

    Open letters that go are an alert of each handler: `dead_letters_purged`.
    """
    if keep_s is None:
        keep_s = load_config(home).dead_letters.keep_s
    if math.isinf(keep_s):
        return None

    def say(purged: Purged) -> None:
        for handler, count in purged.dropped.items():
            reason = f"{count} open dead letters from before {purged.before} are given up"
            alert_of(home)("dead_letters_purged", handler, reason)

    return purge(home, keep_s, SystemClock(), say, dry_run=dry_run)
