# run: python   timeout: 5s   attempts: 3
"""Watch the machine's load: a health alert when each core has more than two waiting for it."""

import os
from datetime import datetime, timedelta

from hookline import Event, Log, Reject, on

WAITING_PER_CORE = 2.0
QUIET = timedelta(minutes=5)

log = Log(os.environ["HOOKLINE_HOME"])
last_alert: datetime | None = None


@on("system.load_measured")
def watch(event: Event) -> None:
    """Alert at most once in five minutes of the events' own time."""
    global last_alert  # noqa: PLW0603  # the module lives as long as its host; a restart may alert again
    figures = event.value()
    try:
        load, cores = float(figures["load_1m"]), int(figures["cores"])
    except (KeyError, TypeError, ValueError) as error:
        raise Reject(f"load_1m and cores are wanted as numbers: {error}") from error
    now = datetime.fromisoformat(event.time)
    if cores < 1 or load / cores <= WAITING_PER_CORE:
        return
    if last_alert is not None and now - last_alert < QUIET:
        return
    log.append(
        "system.health_alert",
        source="on-system-load-measured",
        # The same event delivered twice appends the same alert, which is then delivered once.
        id=f"overload.{event.id}",
        priority="medium",
        data={"alert_type": "overload", "load_1m": load, "cores": cores},
    )
    last_alert = now
