"""For tests of your own handlers: `pytest_plugins = ["hookline.testing.plugin"]`, or in bats
`source scripts/events/lib/handler-testing.bash`."""

from hookline.app.trial import Change, Trial
from hookline.testing.golden import matches_golden
from hookline.testing.handler import try_handler

__all__ = ["Change", "Trial", "matches_golden", "try_handler"]
