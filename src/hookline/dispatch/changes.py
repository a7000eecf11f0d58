"""What the index has still to be told: what happened since the last commit began."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Protocol

from hookline.dispatch.ledger import Standing
from hookline.dispatch.subscription import Cursor, Delivery
from hookline.model.position import Position


class Rows(Protocol):
    """The index, to be written to: `State`."""

    def running(self, handler: str, deliveries: list[Delivery]) -> None:
        """One run of these is under way."""

    def asked(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """Somebody wants these once more; those that are there already stay as they are."""

    def waiting(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """These have been tried and will be again."""

    def settled(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """These are over."""

    def move(self, handler: str, domain: str, cursor: Cursor) -> None:
        """Everything before the cursor is settled."""

    def rewind(self, handler: str, domain: str, position: Position) -> None:
        """A cursor that is not before this position goes back to it."""

    def handler(self, name: str, standing: Standing) -> None:
        """How a handler stands."""

    def close_letters(self, letters: Iterable[str]) -> None:
        """Somebody decided on these dead letters."""

    def start(self, handler: str, domain: str, position: Position) -> None:
        """A handler begins to listen to a domain there, if it did not before."""


class Changes:
    """Everything but where the cursors are, by handler."""

    __slots__ = (
        "asked", "begun", "closed", "handlers", "kept_bytes", "rewound", "settled", "starts",
        "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.asked: dict[str, list[Delivery]] = {}
        self.waiting: dict[str, list[Delivery]] = {}
        self.begun: list[tuple[str, list[Delivery]]] = []
        self.settled: dict[str, list[Delivery]] = {}
        self.rewound: list[tuple[str, str, Position]] = []
        self.handlers: dict[str, Standing] = {}
        self.closed: set[str] = set()
        self.starts: list[tuple[str, str, Position]] = []
        self.kept_bytes = 0
        """How much memory they keep."""

    def __bool__(self) -> bool:
        return any(
            (
                self.asked, self.waiting, self.begun, self.settled, self.rewound, self.handlers,
                self.closed, self.starts,
            )
        )  # fmt: skip

    def add(self, newer: "Changes") -> None:
        """Let these be followed by newer ones."""
        for known, others in (
            (self.asked, newer.asked),
            (self.waiting, newer.waiting),
            (self.settled, newer.settled),
        ):
            for handler, deliveries in others.items():
                known.setdefault(handler, []).extend(deliveries)
        self.begun += newer.begun
        self.rewound += newer.rewound
        self.handlers |= newer.handlers
        self.closed |= newer.closed
        self.starts += newer.starts
        self.kept_bytes += newer.kept_bytes

    def write(
        self,
        rows: Rows,
        moved: Mapping[tuple[str, str], Cursor],
        cursors: Mapping[tuple[str, str], Cursor],
    ) -> None:
        """Write them as they are by now, and the cursors that `moved`, by handler and domain;
        `cursors` are all."""

        def is_beyond(handler: str, delivery: Delivery) -> bool:
            # What lies before the cursor needs no word.
            cursor = cursors.get((handler, delivery.domain))
            return cursor is None or delivery.end > cursor.position or delivery.replay != ""

        for handler, deliveries in self.asked.items():
            rows.asked(handler, deliveries)
        for handler, deliveries in self.waiting.items():
            rows.waiting(handler, (each for each in deliveries if not each.running))
        for handler, run in self.begun:
            if run[0].running or run[0].interrupted:
                rows.running(handler, run)
        for handler, deliveries in self.settled.items():
            beyond = (each.singles() for each in deliveries if is_beyond(handler, each))
            rows.settled(handler, chain.from_iterable(beyond))
        for back in self.rewound:
            rows.rewind(*back)
        for (handler, domain), cursor in moved.items():
            rows.move(handler, domain, cursor)
        for handler, standing in self.handlers.items():
            rows.handler(handler, standing)
        rows.close_letters(self.closed)
        for start in self.starts:
            rows.start(*start)
