"""One scheduler for each home."""

from typing import Final

from hookline.log.home import Home
from hookline.log.only_one import OnlyOne, holder_of, pid_file_of

_KIND: Final = "scheduler"


class Lock(OnlyOne):
    """It is on the folder `coordination/config/`, beside that of the dispatcher."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, home.config, _KIND)


def holder(home: Home) -> int | None:
    """The process that schedules for a home (0: it cannot be told), or None when nobody does."""
    return holder_of(home, home.config, _KIND)


def began_s(home: Home) -> float | None:
    """When the last scheduler of a home began, in seconds since 1970; None: it cannot be told."""
    try:
        return pid_file_of(home, _KIND).stat().st_mtime
    except OSError:
        return None
