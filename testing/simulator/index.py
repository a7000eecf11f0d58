"""What is derived, in memory: the index over the journal, and the identities.

A power cut leaves of the index what it was at some commit, or nothing; a run of identities is on
disk whole, or not at all.
"""

from contextlib import contextmanager
from types import SimpleNamespace

from msgspec.structs import replace

from hookline.dispatch.identities import Identities
from hookline.dispatch.ledger import Ledger, Pending, Standing
from hookline.dispatch.subscription import Cursor, end_of
from hookline.dispatch.twins import Twins
from hookline.model.errors import WriteFailed


class SimIndex:
    """The index as a ledger that moves in transactions."""

    def __init__(self, world):
        self.world = world
        self.ledger = Ledger()
        self.older = Ledger()
        self.is_fresh = True
        self.is_prepared = False
        self._todo = []

    @contextmanager
    def prepared(self):
        self._todo = []
        self.is_prepared = False
        yield
        self.is_prepared = True

    def commit(self):
        if not self.is_prepared:
            return False
        self.world.step("index")
        if self.world.full:
            raise WriteFailed("index: no space left")
        for change, *values in self._todo:
            change(*values)
        self.is_prepared = False
        if self.world.random.random() < 0.05:
            self.older = _copied(self.ledger)
        self.world.step("indexed")
        return True

    def give_up(self):
        self.is_prepared = False

    @contextmanager
    def transaction(self):
        with self.prepared():
            yield
        self.commit()

    def _later(self, change, *values):
        self._todo.append((change, *values))

    def running(self, handler, deliveries):
        end = end_of(deliveries)
        self._later(self._put, handler, _pending(deliveries[0], running=True, end=end))

    def asked(self, handler, deliveries):
        for each in deliveries:
            self._later(self._ask, handler, _pending(each, running=False))

    def waiting(self, handler, deliveries):
        for each in deliveries:
            if each.attempt or each.replay:
                self._later(self._put, handler, _pending(each, running=False))
            else:
                self._later(self._drop, handler, each.place)

    def settled(self, handler, deliveries):
        for each in deliveries:
            self._later(self._drop, handler, each.place)
            if not each.replay:
                self._later(self._settle, handler, each.domain, each.position, each.event)

    def move(self, handler, domain, cursor):
        self._later(self._move, handler, domain, cursor)

    def rewind(self, handler, domain, position):
        self._later(self._rewind, handler, domain, position)

    def handler(self, name, standing):
        self._later(self._handler, name, replace(standing))

    def close_letters(self, letters):
        self._later(self.ledger.closed.update, set(letters))

    def start(self, handler, domain, position):
        self._later(self._start, handler, domain, position)

    def folded(self, position, journal):
        self._later(self._folded, position, journal)

    def load(self):
        return _copied(self.ledger)

    def save(self, ledger):
        self.is_prepared = False
        self.world.step("save")
        self.ledger = _copied(ledger)
        self.is_fresh = False
        self.world.step("saved")

    def cut(self):
        """What a power cut leaves of it."""
        how = self.world.random.choice(("kept", "older", "lost"))
        if how == "older":
            self.ledger = _copied(self.older)
        if how == "lost":
            self.ledger = Ledger()
        self.is_fresh = not self.ledger.journal
        return how

    def _put(self, handler, pending):
        self.ledger.progress(handler).pending[pending.place] = pending

    def _ask(self, handler, pending):
        self.ledger.progress(handler).pending.setdefault(pending.place, pending)

    def _drop(self, handler, place):
        self.ledger.progress(handler).pending.pop(place, None)

    def _start(self, handler, domain, position):
        progress = self.ledger.progress(handler)
        progress.starts.setdefault(domain, position)
        progress.cursors.setdefault(domain, Cursor(position))

    def _settle(self, handler, domain, position, event):
        self.ledger.progress(handler).settled.setdefault(domain, {})[position] = event

    def _move(self, handler, domain, cursor):
        self.world.committed(handler, domain, cursor)
        progress = self.ledger.progress(handler)
        progress.cursors[domain] = cursor
        settled = progress.settled.pop(domain, {})
        if ahead := {place: event for place, event in settled.items() if place >= cursor.position}:
            progress.settled[domain] = ahead
        for place, pending in list(progress.pending.items()):
            behind = pending.domain == domain and pending.position < cursor.position
            if behind and not pending.replay:
                del progress.pending[place]

    def _rewind(self, handler, domain, position):
        cursors = self.ledger.progress(handler).cursors
        if domain in cursors and cursors[domain].position >= position:
            cursors[domain] = Cursor(position)

    def _handler(self, name, standing):
        progress = self.ledger.progress(name)
        for field in Standing.__struct_fields__:
            setattr(progress, field, getattr(standing, field))

    def _folded(self, position, journal):
        self.ledger.folded, self.ledger.journal = position, journal


def _copied(ledger):
    handlers = {
        name: replace(
            each,
            starts=dict(each.starts),
            cursors=dict(each.cursors),
            settled={domain: dict(settled) for domain, settled in each.settled.items()},
            pending={place: replace(pending) for place, pending in each.pending.items()},
        )
        for name, each in ledger.handlers.items()
    }
    return replace(ledger, handlers=handlers, closed=set(ledger.closed))


def _pending(delivery, *, running, end=None):
    return Pending(
        domain=delivery.domain, position=delivery.position, replay=delivery.replay,
        event=delivery.event, source=delivery.source, type=delivery.type,
        attempt=delivery.attempt, due_at_s=delivery.due_at_s, running=running, end=end,
    )  # fmt: skip


class SimIdentities(Identities):
    """The identities, whose runs lie in a list: each is whole and on disk, or not there."""

    def __init__(self, runs):
        self._begin()
        self._disk = runs
        self._flush_at = 16
        self._runs = list(runs)
        if runs:
            newest = runs[-1].header
            self._key = bytes.fromhex(newest.key)
            self._domains = dict(newest.reached)
            self._twins = {name: Twins(found) for name, found in newest.twins.items()}
        for run in runs:
            for series, id in run.newest.items():
                self._newest[series] = max(self._newest.get(series, ""), id)

    def _store(self, header, identities):
        run = _Run(header, b"".join(identities))
        run.path = SimpleNamespace(unlink=lambda **_: self._disk.remove(run))
        self._disk.append(run)
        self._runs.append(run)


class _Run:
    def __init__(self, header, text):
        self.header, self._text = header, text
        self.newest, self.others = header.newest, header.others
        self._known = {text[at : at + 16] for at in range(0, len(text), 16)}

    def __contains__(self, wanted):
        return wanted in self._known

    def __len__(self):
        return len(self._text) // 16

    def __getitem__(self, at):
        return self.text(at, at + 1)

    def text(self, start, stop):
        return self._text[start * 16 : stop * 16]
