"""Hookline: an event bus made of files.

The public names load on first use, because `hookline emit` has 60 ms for all of its life.
"""

from typing import TYPE_CHECKING

from hookline.loading import on_first_use

if TYPE_CHECKING:
    from hookline.app.log import Log
    from hookline.dispatch.python_api import Reject, Retry, on
    from hookline.model.event import Event
    from hookline.schedule.maintenance import wait_for_normal_mode
    from hookline.schedule.wait import Ticks

__version__ = "0.1.0"

__all__ = ["Event", "Log", "Reject", "Retry", "Ticks", "on", "wait_for_normal_mode"]

__getattr__ = on_first_use(
    __name__,
    {
        "Event": "hookline.model.event",
        "Log": "hookline.app.log",
        "Reject": "hookline.dispatch.python_api",
        "Retry": "hookline.dispatch.python_api",
        "Ticks": "hookline.schedule.wait",
        "on": "hookline.dispatch.python_api",
        "wait_for_normal_mode": "hookline.schedule.maintenance",
    },
)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
