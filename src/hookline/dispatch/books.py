"""Writing down what happens: the journal, the dead letters and the index over them, in an order
that any death may cut.

A dead letter is on disk before the journal says so; the journal says a verdict before the index
does; the index commits a cursor only when the log is on disk up to there.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, Protocol

import msgspec

from hookline.dispatch import ledger as journal
from hookline.dispatch.changes import Changes, Rows
from hookline.dispatch.dead_letter import DeadLetter
from hookline.dispatch.ledger import Entry, Ledger, Pending, Standing, begun
from hookline.dispatch.paper import Paper, catch_up, entries
from hookline.dispatch.subscription import Cursor, Delivery, end_of
from hookline.log.stream import chunks
from hookline.log.sync import Sync, sync_now
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import HooklineError
from hookline.model.position import Position

CURSORS_S: Final = 30.0
SETTLED_MAX: Final = 20_000
"""After so many the journal is told the cursors: who folds it keeps each in memory until then."""
_OURS: Final = (b'{"action":"attempt"', b'{"action":"begun"')
"""How most lines begin: they are no commands."""
SETTLED_BYTES_MAX: Final = 16 << 20
_COMMANDS: Final = frozenset({"replay", "drop", "paused", "resumed"})


class Index(Rows, Protocol):
    """The index over the journal: `State`. Everything raises HooklineError when it cannot be
    written."""

    def prepared(self) -> AbstractContextManager[None]:
        """What is written within waits for `commit`; what waited before is given up."""

    def commit(self) -> bool:
        """Have what is prepared, all of it or nothing; False when it was given up since."""

    def give_up(self) -> None:
        """Nothing is prepared any more."""

    def transaction(self) -> AbstractContextManager[None]:
        """All of it or nothing of it, at once; what is prepared is given up."""

    def folded(self, position: Position, journal: str) -> None:
        """The journal of that name is in the index up to here."""

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was ever saved in it: to be done before anything else is."""

    def load(self) -> Ledger:
        """The ledger as it was committed last; an empty one, of a fresh index."""

    def save(self, ledger: Ledger) -> None:
        """Replace everything by this ledger."""


class Books:
    """What the dispatcher writes. Lines that a full disk refuses wait here, and nothing moves past
    them."""

    def __init__(self, paper: Paper, index: Index) -> None:
        self._paper = paper
        self._index = index
        self._folded = self._read = Position(1, 0)
        self._indexed = Position(1, 0)
        """How far the journal is folded into the index on disk."""
        self._ahead: dict[int, int] = {}
        self._known_closed: set[str] = set()
        self._letters: list[bytes] = []
        self._entries: list[bytes] = []
        self._changes = Changes()
        self._commit: _Commit | None = None
        """The one that is under way."""
        self._cursors: dict[tuple[str, str], Cursor] = {}
        """Those that this has put into the index, or is about to, and that have not gone back
        since."""
        self._told: dict[tuple[str, str], Cursor] = {}
        self._turn_again_s = 0.0
        self._unreadable = 0
        """The segment in which a snapshot was written that does not read back."""
        self._unwritten = self._uncommitted = self._told_trouble = ""
        """Why lines wait, why the index stays where it is, and what was said of it."""
        self._untold = 0
        self.cursors_due_s = 0.0

    @property
    def trouble(self) -> str:
        """What could last not be written, and why; nothing new may start. Empty for nothing."""
        return self._unwritten or self._uncommitted

    @property
    def full(self) -> bool:
        """Whether a commit is due, since much is kept in memory until then."""
        return self._changes.kept_bytes >= SETTLED_BYTES_MAX

    def new_trouble(self) -> str:
        """What is wrong after a commit, when it was not asked for before; empty for nothing new."""
        told, self._told_trouble = self._told_trouble, self.trouble
        return self.trouble if self.trouble != told else ""

    def bury(self, letter: DeadLetter) -> None:
        """Write down a dead letter, before the entry that says so."""
        self._letters.append(msgspec.json.encode(letter))

    def write(self, entry: Entry) -> None:
        """Write down an entry, at the next flush."""
        self._entries.append(journal.encode(entry))

    def settled(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """For the next commit: these are over."""
        known = self._changes.settled.setdefault(handler, [])
        for delivery in deliveries:
            known.append(delivery)
            self._untold += delivery.events
            self._changes.kept_bytes += delivery.kept_bytes
            if delivery.stretch:
                delivery.stretch.forget()
        if self._untold >= SETTLED_MAX:
            self.cursors_due_s = 0.0

    def asked(self, handler: str, delivery: Delivery) -> None:
        """For the next commit: somebody wants this one once more."""
        self._changes.asked.setdefault(handler, []).append(delivery)

    def waiting(self, handler: str, delivery: Delivery) -> None:
        """For the next commit: this one is tried again."""
        self._changes.waiting.setdefault(handler, []).append(delivery)

    def handler(self, name: str, standing: Standing) -> None:
        """For the next commit: how a handler stands by then."""
        self._changes.handlers[name] = standing

    def load(self) -> Ledger:
        """The index, brought up to date by what the journal says beyond it, on disk by then."""
        sync_now(self._paper.begin_sync())
        return catch_up(self._index.load(), self._paper)

    def known(self) -> Ledger:
        """What this dispatcher knows, right after a commit: what others have asked for since then
        is obeyed in its turn, and not twice."""
        self._freshen()
        return self._index.load()

    def started(self, handler: str, starts: Mapping[str, Position]) -> None:
        """For the next commit: a handler begins to listen there."""
        self._changes.starts += [(handler, domain, start) for domain, start in starts.items()]

    def rewound(self, handler: str, domain: str, position: Position, clock: Clock) -> None:
        """A domain's log is another than it was, and the handler's cursor goes back: with the next
        commit, whether or not the log can be synced."""
        self._changes.rewound.append((handler, domain, position))
        self._cursors.pop((handler, domain), None)
        segment, offset = position
        self.write(
            Entry(
                action="rewound",
                time=rfc3339(clock.now()),
                handler=handler,
                domain=domain,
                segment=segment,
                offset=offset,
            )
        )

    def take_over(self, ledger: Ledger) -> None:
        """Go on where this ledger ends."""
        self._index.save(ledger)
        self._folded = self._read = self._indexed = ledger.folded
        self._ahead = ledger.ahead
        self._known_closed = set(ledger.closed)

    def close_letter(self, letter: str) -> bool:
        """For the next commit: somebody decided on a dead letter; False when that was done
        before."""
        if letter in self._known_closed:
            return False
        self._known_closed.add(letter)
        self._changes.closed.add(letter)
        return True

    def buried(self, delivery: Delivery) -> bytes | None:
        """The event of the dead letter that a delivery repeats, for when its log is gone."""
        return self._paper.buried(delivery)

    def flush(self, last: Iterable[bytes] = ()) -> None:
        """Append what waits, each kind in one write: the dead letters before the entries that say
        so, and entries that are `last` and need not wait, should that fail."""
        lines = [*self._entries, *last]
        try:
            if lines and not self._index.is_fresh:
                self._follow()
            if self._letters:
                self._paper.bury(b"\n".join(self._letters))
                self._letters.clear()
            if lines:
                self._paper.enter(b"\n".join(lines))
                self._entries.clear()
        except (HooklineError, OSError) as error:
            self._unwritten = f"cannot write: {error}"
            return
        self._unwritten = ""

    def _follow(self) -> None:
        """Where the journal is gone, go over to the one that is about to begin."""
        anew = self._paper.begun_anew(self._indexed)
        if anew is not None:
            with self._index.transaction():
                self._index.folded(anew, self._paper.name(anew))
            self._folded = self._read = self._indexed = anew
            self._ahead = {}

    def commands(self) -> list[Entry]:
        """Entries that others have appended since the last call: what they ask for. None while our
        own cannot be appended, since the order of all is what counts."""
        found: list[Entry] = []
        replaced, read = False, self._read
        self.flush()
        if self._unwritten:
            return found
        try:
            for chunk in chunks(self._paper.read, read):
                read = chunk.next
                if chunk.replaced:
                    replaced, self._ahead = True, {}
                told = entries(
                    line.raw
                    for line in chunk.lines
                    if not line.raw.startswith(_OURS) and not self._foreseen(line.position)
                )
                found += [entry for entry in told if entry.action in _COMMANDS]
        except HooklineError:
            if not found:
                raise
        if replaced:
            found = self._unanswered(found)
        # Not before: what a shortage has cut short is read once more.
        self._read = read
        return found

    def _unanswered(self, commands: list[Entry]) -> list[Entry]:
        """Of the commands in a journal that somebody has put in the place of another, which may
        have them from there, those that were not obeyed."""
        ledger = catch_up(Ledger(), self._paper)
        return [
            entry
            for entry in commands
            if entry.action != "replay" or entry.place in ledger.progress(entry.handler).pending
        ]

    def obeyed(self) -> None:
        """For the next commit: all that `commands` has given is done. Whoever comes after a death
        before that is asked again."""
        self._folded = self._read

    def _foreseen(self, position: Position) -> bool:
        """Whether a line was folded ahead of a closed segment, when this began. What has come to
        stand behind that in a segment since then was not: there may be late writers to many."""
        return position.offset < self._ahead.get(position.segment, 0)

    def begun(self, runs: list[tuple[str, list[Delivery]]], clock: Clock) -> bool:
        """Count these attempts, whatever happens next; False when that cannot be written."""
        now = rfc3339(clock.now())
        self.flush(journal.encode(_begun(handler, run, now)) for handler, run in runs)
        if self._unwritten:
            return False
        self._changes.begun += runs
        return True

    def goes_on(self, handler: str, rest: list[Delivery], clock: Clock) -> None:
        """The first events of a stretch are over: these, which began with them, are under way
        still."""
        self.write(_begun(handler, rest, rfc3339(clock.now())))
        self._changes.begun.append((handler, rest))

    def blamed(self, handler: str, deliveries: list[Delivery], clock: Clock) -> None:
        """These were at work when the last dispatcher died: with the next flush and commit, since
        what is known of their stretch goes with its first event."""
        now = rfc3339(clock.now())
        for delivery in deliveries:
            self.write(begun(handler, delivery, now))
            self._changes.begun.append((handler, [delivery]))

    def blameless(self, given_back: Iterable[tuple[str, Pending]], clock: Clock) -> None:
        """These have their attempt back in the ledger that was taken over: the journal is told."""
        now = rfc3339(clock.now())
        for handler, pending in given_back:
            self.write(journal.unbegun(handler, pending, now))

    def give_back(self, firsts: Iterable[tuple[str, Delivery]], clock: Clock) -> None:
        """The runs that begin with these did not come about after all: at once, since this may be
        the last that is written."""
        now = rfc3339(clock.now())
        for handler, first in firsts:
            self.write(journal.unbegun(handler, first, now))
            self.waiting(handler, first)
        self.flush()

    def write_cursors(self, clock: Clock) -> None:
        """Tell the journal where every handler has got to, now and then: a rebuild begins there."""
        self.cursors_due_s = clock.monotonic_s() + CURSORS_S
        self._untold = 0
        now = rfc3339(clock.now())
        for (handler, domain), cursor in self._cursors.items():
            if self._told.get((handler, domain)) == cursor:
                continue
            self._told[handler, domain] = cursor
            segment, offset = cursor.position
            self.write(
                Entry(
                    action="cursor",
                    time=now,
                    handler=handler,
                    domain=domain,
                    segment=segment,
                    offset=offset,
                    mark=cursor.mark,
                    event=cursor.event,
                    source=cursor.source,
                )
            )
        self.flush()

    def begin_commit(self, cursors: Mapping[str, Mapping[str, Cursor]]) -> Sync | None:
        """Prepare to move the index to where the journal is now, and to these cursors. What has to
        run before `end_commit`, beside the syncs of the logs up to the cursors; None when something
        is in the way."""
        # One that something has cut short.
        self.end_commit(synced=False)
        self.flush()
        if self._unwritten:
            return None
        moved = {
            (handler, domain): cursor
            for handler, domains in cursors.items()
            for domain, cursor in domains.items()
            if self._cursors.get((handler, domain)) != cursor
        }
        try:
            self._freshen()
            # An idle bus writes nothing.
            has_news = bool(moved or self._changes or self._folded != self._indexed)
            with self._index.prepared() if has_news else nullcontext():
                if has_news:
                    self._changes.write(self._index, moved, {**self._cursors, **moved})
                    self._index.folded(self._folded, self._paper.name(self._folded))
                sync = self._paper.begin_sync()
        except HooklineError as error:
            self._uncommitted = str(error)
            return None
        changes, newer = self._changes, Changes()
        self._commit = _Commit(sync, changes, moved, self._folded, is_prepared=has_news)
        self._changes = newer
        self._cursors |= moved
        return sync

    def end_commit(self, *, synced: bool = True) -> bool:
        """What `begin_commit` gave has run: have the index there, if all logs were `synced`. False
        when something is in the way: then it is as if it had never begun."""
        commit, self._commit = self._commit, None
        if commit is None:
            return False
        done = False
        try:
            commit.sync.end()
            done = synced and (not commit.is_prepared or self._index.commit())
        except HooklineError as error:
            self._uncommitted = str(error)
        finally:
            if done:
                self._uncommitted = ""
                self._indexed = commit.folded
            else:
                self._index.give_up()
                for place in commit.moved:
                    self._cursors.pop(place, None)
                commit.changes.add(self._changes)
                self._changes = commit.changes
        return done

    def turn_over(self, clock: Clock) -> str:
        """Keep the journal short, right after a commit: a large one is closed, and the next begins
        with a snapshot when nobody can write to the closed one any more. Why that cannot be done
        just now; it only grows on until it can."""
        if clock.monotonic_s() < self._turn_again_s:
            return ""
        try:
            segment = self._indexed.segment
            if segment != self._unreadable and self._paper.lacks_snapshot(self._indexed):
                self.write_cursors(clock)
                self._freshen()
                ledger = self._index.load()
                # A damage that was found just now leaves nothing to take a picture of.
                if not self._index.is_fresh and not self.trouble:
                    # Nobody asks again what was decided on a letter that was purged.
                    ledger.closed = self._paper.in_queue(ledger.closed)
                    self._paper.snap(ledger, rfc3339(clock.now()))
                    if self._paper.lacks_snapshot(self._indexed):
                        # One more would be no better: not before the journal is closed again.
                        self._unreadable = segment
                        return "a snapshot does not read back: the closed parts of the journal stay"
                    # It is to know no more than who begins with the snapshot.
                    self._index.save(ledger)
                    self._known_closed = ledger.closed | self._changes.closed
            else:
                self._paper.turn()
        except (HooklineError, OSError) as error:
            self._turn_again_s = clock.monotonic_s() + CURSORS_S
            return f"the journal cannot be closed and begun anew: {error}"
        return ""

    def _freshen(self) -> None:
        """An index that was damaged knows nothing any more: give it what the journal says."""
        if self._index.is_fresh:
            self.flush()
            self._index.save(self.load())


class _Commit(NamedTuple):
    """One that is under way: the journal as it will be on disk, and what the index is told."""

    sync: Sync
    changes: Changes
    moved: Mapping[tuple[str, str], Cursor]
    folded: Position
    is_prepared: bool


def _begun(handler: str, run: list[Delivery], time: str) -> Entry:
    return begun(handler, run[0], time, end_of(run))
