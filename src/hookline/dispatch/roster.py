"""Who listens: the handlers folder as it is now, against the listeners that were at work before."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from hookline.dispatch.books import Books
from hookline.dispatch.handlers import Handler, Handlers, Snapshot
from hookline.dispatch.intake import Intake
from hookline.dispatch.ledger import Entry, Ledger, Pending, Progress
from hookline.dispatch.listener import Listener, key_of
from hookline.dispatch.settlement import Settlement
from hookline.dispatch.spectator import Spectator
from hookline.dispatch.subscription import SERIAL_BYTES_MAX, Delivery
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import HooklineError
from hookline.model.position import Position

KEPT_BYTES_ALL: Final = 4 << 20
KEPT_BYTES_MIN: Final = 1 << 16
"""How much of their lines all serial handlers may have in memory together, and each in any case."""

Forget = Callable[[Handler], bool]
"""Ends what idles for a handler; False while it still ends."""


class Folder(Protocol):
    """Where the handlers lie: `HandlersFolder`."""

    def snapshot(self) -> Snapshot:
        """What it looks like from outside: equal while nothing has changed."""

    def discover(self, known: Iterable[Handler]) -> Handlers:
        """What lies in it; those that are `known` in their version need no reading."""


class Roster:
    """The listeners of a dispatcher."""

    def __init__(
        self,
        *,
        folder: Folder,
        intake: Intake,
        books: Books,
        settlement: Settlement,
        clock: Clock,
        spectator: Spectator,
        load: Callable[[], Ledger],
        forget: Forget,
    ) -> None:
        self._folder = folder
        self._intake = intake
        self._books = books
        self._settlement = settlement
        self._clock = clock
        self._spectator = spectator
        self._load = load
        self._forget = forget
        self._found = Handlers()
        self._seen = Snapshot()
        self._progress: dict[str, Progress] = {}
        self.listeners: dict[str, Listener] = {}
        self.awake: dict[Listener, None] = {}
        """Those for which there may be something to do."""
        self._readers: dict[str, list[Listener]] = {}
        """By domain; empty when it is to be made again."""

    def __iter__(self) -> Iterator[Listener]:
        return iter(self.listeners.values())

    def readers(self, domain: str) -> list[Listener]:
        """Those that follow a domain."""
        if not self._readers:
            for listener in self:
                for each in listener.subscription.domains:
                    self._readers.setdefault(each, []).append(listener)
        return self._readers.get(domain, [])

    def _drop(self, name: str) -> None:
        listener = self.listeners.pop(name, None)
        if listener is not None:
            self.awake.pop(listener, None)
            self._readers.clear()

    def changed(self) -> bool:
        """Whether a file came, went or changed since the last refresh, or a listener is to be let
        go or taken on still; a few system calls."""
        if self._missing() or any(each.leaving and not each.subscription.running for each in self):
            return True
        return self._seen != self._folder.snapshot()

    def refresh(self, domains: list[str]) -> None:
        """Look at the folder again; listeners of changed files leave first and come back with the
        new file."""
        seen = self._folder.snapshot()
        found = self._folder.discover(self._found.handlers)
        for refused in found.refused:
            if refused not in self._found.refused:
                self._spectator.noted(f"refused: {refused.reason}")
        self._found = found
        wanted = {handler.name: handler for handler in found.handlers}
        for listener in self:
            handler = wanted.get(listener.name)
            listener.leaving = handler is None or handler.version != listener.handler.version
        self.let_go(domains)
        self._share()
        # Not before: what a shortage has cut short is done once more.
        self._seen = seen

    def _share(self) -> None:
        """What is read ahead for all of them together fits into memory."""
        share = KEPT_BYTES_ALL // max(len(self.listeners), 1)
        for listener in self:
            listener.subscription.bytes_max = max(KEPT_BYTES_MIN, min(share, SERIAL_BYTES_MAX))

    def let_go(self, domains: list[str]) -> None:
        """Part with the leaving listeners that have nothing running, and take on those that are
        missing."""
        gone = [each for each in self if each.leaving and not each.subscription.running]
        for listener in gone:
            if self._forget(listener.handler):
                self._drop(listener.name)
        missing = self._missing()
        if not missing:
            return
        ledger = self._load()
        for handler in missing:
            progress = ledger.handlers.get(handler.name, Progress())
            try:
                self._take_on(handler, progress, domains)
            except Exception:
                # As a whole or not at all: it is missing, and will be taken on at the next look.
                self._drop(handler.name)
                raise

    def _missing(self) -> list[Handler]:
        return [each for each in self._found.handlers if each.name not in self.listeners]

    def follow(self, domains: list[str]) -> None:
        """Domains have come: who wants them? And can be read now what could not before?"""
        for listener in self:
            self._follow(listener, domains)
            unread, listener.unread = listener.unread, []
            for delivery in unread:
                self._replay(listener, delivery)

    def replay(self, entry: Entry) -> Delivery:
        """Somebody wants an event again: its delivery; its listener has it if there is one."""
        delivery = _replayed(entry)
        listener = self.listeners.get(entry.handler)
        if listener is not None:
            self._replay(listener, delivery)
        return delivery

    def _replay(self, listener: Listener, delivery: Delivery) -> None:
        """Give a listener a replay; its key is in its line."""
        if listener.handler.key:
            try:
                line = self._intake.line_of(delivery, self._books.buried)
            except (HooklineError, OSError, MemoryError):
                listener.unread.append(delivery)
                return
            delivery.key = key_of(listener.handler, line or b"{}")
        listener.replay(delivery)

    def _take_on(self, handler: Handler, progress: Progress, domains: list[str]) -> None:
        is_new = not progress.since_s
        if is_new:
            progress.since_s = handler.installed_s
        listener = Listener(handler, progress, self._clock, self.awake)
        self.listeners[handler.name] = listener
        self._progress[handler.name] = progress
        self._books.handler(listener.name, progress)
        is_other = progress.installed_s not in (handler.installed_s, math.inf)
        if (progress.paused or progress.failures) and is_other:
            self._settlement.resume(listener, "its file was changed")
        for pending in listener.replays():
            self._replay(listener, _waiting(listener, pending))
        self._follow(listener, domains, is_new=is_new)

    def _follow(self, listener: Listener, domains: list[str], *, is_new: bool = False) -> None:
        known = listener.subscription.domains
        started: dict[str, Position] = {}
        progress = self._progress[listener.name]
        for domain in listener.handler.domains(domains):
            if domain in known:
                continue
            try:
                position = self._intake.follow(listener, domain, progress)
            except (HooklineError, OSError, MemoryError):
                # Its log cannot be read, as the inbox says. At the next look, perhaps.
                continue
            self._readers.clear()
            if position is not None:
                started[domain] = position
        if started or is_new:
            now = rfc3339(self._clock.now())
            self._books.write(
                Entry(
                    action="subscribed",
                    time=now,
                    handler=listener.name,
                    since=progress.since_s,
                    start=started,
                )
            )
            self._books.started(listener.name, started)
            listener.moved.update(started)


def _replayed(entry: Entry) -> Delivery:
    return Delivery(
        domain=entry.domain,
        position=entry.position,
        end=entry.position,
        event=entry.event,
        source=entry.source,
        type=entry.type,
        replay=entry.replay,
    )


def _waiting(listener: Listener, pending: Pending) -> Delivery:
    delivery = Delivery(
        domain=pending.domain,
        position=pending.position,
        end=pending.position,
        event=pending.event,
        source=pending.source,
        type=pending.type,
        replay=pending.replay,
    )
    listener.restore(delivery, pending)
    return delivery
