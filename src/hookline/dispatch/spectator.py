"""Who watches a dispatcher at work: a terminal, a test, a metric. Nothing depends on what it
does."""

from typing import Protocol

from hookline.dispatch.ledger import Entry
from hookline.log.stretch import Stretch


class Spectator(Protocol):
    """Is told what happens, as it happens."""

    def arrived(self, domain: str, events: Stretch) -> None:
        """Events have come to lie in a log."""

    def entered(self, entry: Entry) -> None:
        """Something was written to the journal."""

    def noted(self, text: str) -> None:
        """Something that is neither: a handler refused, a disk full."""


class Nobody:
    """The spectator where nobody watches."""

    def arrived(self, domain: str, events: Stretch) -> None:
        """Not looked at."""

    def entered(self, entry: Entry) -> None:
        """Not looked at."""

    def noted(self, text: str) -> None:
        """Not looked at."""
