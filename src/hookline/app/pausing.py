"""Stopping a handler, and letting it go again, through the journal."""

from hookline.app.survey import find_handlers
from hookline.dispatch.asks import write_some
from hookline.dispatch.ledger import Entry
from hookline.log.home import Home
from hookline.model.clock import SystemClock, rfc3339
from hookline.model.errors import Usage, shown


def set_paused(home: Home, handler: str | None, action: str, reason: str) -> None:
    """Pause or resume a handler; a running dispatcher hears it within a second.

    Raises Usage when there is no such handler.
    """
    found = find_handlers(home)
    for refused in found.refused:
        if refused.name == handler:
            raise Usage(f"{handler} is refused: {refused.reason}")
    names = [each.name for each in found.handlers]
    if handler not in names:
        known = ", ".join(names) or "there is none"
        which = f"no handler {shown(handler)}" if handler else f"{action} which handler?"
        raise Usage(f"{which}; in {home.handlers}: {known}")
    asked = Entry(
        action="paused" if action == "pause" else "resumed",
        time=rfc3339(SystemClock().now()),
        handler=handler,
        reason=reason or "by hand",
        by="hand",
    )
    write_some(home, [asked])
