"""For tests of your own handlers, in pytest; in bats
`source scripts/events/lib/handler-testing.bash`.

The names load on first use, because pytest loads the plugin beside them wherever it runs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookline.app.trial import Change, Trial
    from hookline.testing.golden import matches_golden
    from hookline.testing.handler import try_handler

__all__ = ["Change", "Trial", "matches_golden", "try_handler"]

_HOMES = {
    "Change": "hookline.app.trial",
    "Trial": "hookline.app.trial",
    "matches_golden": "hookline.testing.golden",
    "try_handler": "hookline.testing.handler",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hookline.testing' has no attribute '{name}'")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value
