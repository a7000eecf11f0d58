"""One dispatcher for each home."""

from typing import Final

from hookline.log.home import Home
from hookline.log.only_one import OnlyOne, holder_of

_KIND: Final = "dispatcher"


class Lock(OnlyOne):
    """It is on the folder `coordination/` itself."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, home.coordination, _KIND)


def holder(home: Home) -> int | None:
    """The process that dispatches for a home (0: it cannot be told), or None when nobody does."""
    return holder_of(home, home.coordination, _KIND)
