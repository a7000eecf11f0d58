"""From the logs to the subscriptions: which stretch each listener reads next, and what of it is for
it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

from hookline.dispatch.feed import Chunk, Feed, Log, line_of
from hookline.dispatch.identities import Identities
from hookline.dispatch.ledger import Progress
from hookline.dispatch.listener import Listener, key_of
from hookline.dispatch.spectator import Spectator
from hookline.dispatch.subscription import Delivery
from hookline.log.stretch import Stretch
from hookline.log.sync import Sync
from hookline.model.errors import HooklineError
from hookline.model.position import Position

_WATCHER: Final = ""
"""The reader that is no handler."""
KEPT_BYTES_MAX: Final = 4 << 20
"""How much of unsettled lines a listener keeps in memory; what is behind is read again in time."""


class Intake:
    """The feeds of all domains."""

    def __init__(
        self,
        open_log: Callable[[str], Log],
        identities: Identities,
        spectator: Spectator,
        rewound: Callable[[str, str, Position, Position], None],
    ) -> None:
        """`rewound` is told that a handler reads a domain again, from where on, and its cursor."""
        self._open_log = open_log
        self._rewound = rewound
        self._identities = identities
        self._arrived = spectator.arrived
        self._noted = spectator.noted
        self._feeds: dict[str, Feed] = {}
        self._seen: dict[str, Position] = {}
        self._unlooked: set[str] = set()
        self._starts: dict[str, Position] = {}
        """Of the domains whose events could not be remembered yet, from where on they are to be."""
        self._unread = ""
        """Why a log could last not be read."""
        self._written: set[str] = set()
        self._begun: set[str] = set()
        """Those of a sync that has not ended."""
        self.unsynced: dict[str, str] = {}
        """The domains that could last not be brought to disk, and why."""
        self.admitted = 0
        """How many deliveries were admitted, ever."""

    def feed(self, domain: str) -> Feed:
        """The feed of a domain."""
        feed = self._feeds.get(domain)
        if feed is None:
            log = self._open_log(domain)
            feed = self._feeds[domain] = Feed(domain, log, self._identities, self._noted)
        return feed

    def follow(self, listener: Listener, domain: str, progress: Progress) -> Position | None:
        """Let a listener follow a domain; where it starts, when it never did before. Raises
        HooklineError for a log that cannot be read."""
        self._remember(domain)
        feed = self.feed(domain)
        known = progress.cursors.get(domain)
        if known is not None:
            cursor = feed.still_there(known)
            feed.begin(cursor.position)
            feed.join(listener.name)
            listener.track(domain, cursor, progress.settled.get(domain, {}))
            if cursor.position < known.position:
                self._went_back(listener, domain, cursor.position)
            return None
        position = feed.log.start(listener.handler)
        feed.begin(position)
        feed.join(listener.name)
        listener.track(domain, feed.marked(position), {})
        return position

    def remember(self, starts: Mapping[str, Position], domains: Iterable[str]) -> None:
        """Know all events again since somebody first listened, also if what was known is lost; of a
        log that cannot be read, before anybody follows it."""
        self._starts = {domain: starts[domain] for domain in domains if domain in starts}
        for domain in domains:
            with suppress(HooklineError):
                self._remember(domain)

    def _remember(self, domain: str) -> None:
        if domain in self._starts:
            try:
                self.feed(domain).begin(self._starts[domain])
            except HooklineError as error:
                self._cannot_read(domain, error)
                raise
            del self._starts[domain]

    def look_from_here(self, domain: str) -> None:
        """What lies in a domain already is no news."""
        with suppress(HooklineError):
            self._seen[domain] = self.feed(domain).log.end()
            self.feed(domain).begin(self._seen[domain])

    def hear(self, domains: Iterable[str]) -> None:
        """These domains changed."""
        for domain in domains:
            self.feed(domain).changed()
            self._unlooked.add(domain)
            # Their writers await a sync, whether somebody reads them or not.
            self._written.add(domain)

    def look(self) -> None:
        """Read what arrived, for whoever watches: never before the handlers' reading has come so
        far."""
        for domain in sorted(self._unlooked):
            # One that cannot be read just now is looked at with the next.
            with suppress(HooklineError):
                if not self._look(domain):
                    self._unlooked.discard(domain)

    def _look(self, domain: str) -> bool:
        feed = self.feed(domain)
        position = self._seen.get(domain)
        if position is None:
            position = feed.log.first()
            feed.begin(position)
            self._seen[domain] = position
        position = feed.replaced_for(_WATCHER) or position
        if not feed.looked_at(position):
            return True
        chunk = feed.read(position)
        if chunk.events:
            self._arrived(domain, chunk.events)
        self._seen[domain] = chunk.next
        return chunk.next != position

    def distrust(self) -> None:
        """Every log may have changed, whatever was heard."""
        for feed in self._feeds.values():
            feed.changed()

    def close(self) -> None:
        """Write down what is known and let go of the logs."""
        self._identities.close()
        for feed in self._feeds.values():
            feed.log.close()

    def pull(self, listener: Listener, domain: str) -> bool:
        """Admit what a listener has room for of the next stretch; False when the end of the domain
        was reached."""
        feed = self.feed(domain)
        subscription = listener.subscription
        if subscription.room <= 0:
            return True
        resume = feed.replaced_for(listener.name)
        if resume is not None and subscription.head(domain) > resume:
            subscription.rewind(domain, resume)
            self._went_back(listener, domain, resume)
        head = subscription.head(domain)
        chunk = feed.read(head)
        if chunk.replaced:
            return True
        if chunk.next == head:
            return feed.catching_up
        wanted = chunk.wanted(listener.wants)
        if wanted is None or self._admit(listener, domain, wanted):
            self._pass_over(listener, feed, chunk)
        return True

    def _admit(self, listener: Listener, domain: str, wanted: Stretch) -> bool:
        """Let a listener have these events, as many as it has room for; whether that was all."""
        if listener.takes_whole(domain, wanted):
            listener.admit(Delivery.of(domain, wanted))
            self.admitted += len(wanted)
            return True
        room = listener.subscription.room
        for delivery in islice(Delivery.of(domain, wanted).singles(), room):
            if listener.handler.key:
                delivery.key = key_of(listener.handler, delivery.line)
            if listener.subscription.kept_bytes >= KEPT_BYTES_MAX:
                delivery.raw = None
            listener.admit(delivery)
            self.admitted += 1
        return len(wanted) <= room

    def line_of(
        self, delivery: Delivery, buried: Callable[[Delivery], bytes | None]
    ) -> bytes | None:
        """The line of a delivery, read again; that of its dead letter, if it repeats one, or None
        when the log has another there, or none.

        Raises HooklineError, noted once, when that cannot be told now.
        """
        try:
            record = self.feed(delivery.domain).line_at(delivery.position)
            event = record.event if record is not None else None
            if record is not None and event and delivery.is_of(event.id, event.source):
                return line_of(record)
            return buried(delivery) if delivery.replay else None
        except HooklineError as error:
            self._cannot_read(delivery.domain, error)
            raise

    def _cannot_read(self, domain: str, error: HooklineError) -> None:
        if self._unread != str(error):
            self._unread = str(error)
            self._noted(f"{domain}: {error}")

    def save_beginnings(self) -> None:
        """Write down what a restart could not find out again."""
        self._identities.save_beginnings()

    def begin_sync(self, domains: Iterable[str]) -> dict[str, Sync]:
        """The syncs of what was read of these domains, and of whatever was written, but of those
        domains that are `unsynced` then."""
        syncs: dict[str, Sync] = {}
        # What an earlier one has not ended is in it again.
        self._written |= self._begun
        for domain in sorted(self._written.union(domains)):
            try:
                syncs[domain] = self.feed(domain).log.begin_sync(whole=domain in self._written)
                self._begun.add(domain)
                self._written.discard(domain)
            except HooklineError as error:
                self._cannot_sync(domain, error)
        return syncs

    def end_sync(self, syncs: Mapping[str, Sync]) -> bool:
        """These have run; whether all of it is on disk. What is not is `unsynced`."""
        failed = 0
        for domain, sync in syncs.items():
            self._begun.discard(domain)
            try:
                sync.end()
                self.unsynced.pop(domain, None)
            except HooklineError as error:
                failed += 1
                self._written.add(domain)
                self._cannot_sync(domain, error)
        return not failed

    def _cannot_sync(self, domain: str, error: HooklineError) -> None:
        if self.unsynced.get(domain) != str(error):
            self.unsynced[domain] = str(error)
            self._noted(f"{error}: no cursor passes it")

    def restless(self) -> list[str]:
        """The domains that are to be read again soon, though nothing will say so."""
        return [domain for domain, feed in self._feeds.items() if feed.restless]

    def _went_back(self, listener: Listener, domain: str, resume: Position) -> None:
        cursor = listener.subscription.cursor(domain)
        self._rewound(listener.name, domain, resume, cursor.position)

    @staticmethod
    def _pass_over(listener: Listener, feed: Feed, chunk: Chunk) -> None:
        cursor = chunk.mark or feed.marked(chunk.next)
        listener.subscription.pass_over(feed.domain, cursor)
        listener.moved.add(feed.domain)
