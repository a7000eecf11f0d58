"""For tests of your own handlers, in pytest; in bats
`source scripts/events/lib/handler-testing.bash`.

The names load on first use, because pytest loads the plugin beside them wherever it runs.
"""

from typing import TYPE_CHECKING

from hookline.loading import on_first_use

if TYPE_CHECKING:
    from hookline.app.trial import Change, Trial
    from hookline.testing.golden import matches_golden
    from hookline.testing.handler import try_handler

__all__ = ["Change", "Trial", "matches_golden", "try_handler"]

__getattr__ = on_first_use(
    __name__,
    {
        "Change": "hookline.app.trial",
        "Trial": "hookline.app.trial",
        "matches_golden": "hookline.testing.golden",
        "try_handler": "hookline.testing.handler",
    },
)
