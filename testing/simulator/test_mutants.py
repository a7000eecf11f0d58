"""The simulator finds what is wrong: each of these breaks the product in one place."""

import pytest

from hookline.dispatch import core, decide, ledger, settlement, snapshot
from hookline.dispatch.books import Books
from hookline.dispatch.commits import Commits
from hookline.dispatch.feed import Feed
from hookline.dispatch.intake import Intake
from hookline.dispatch.settlement import Settlement
from hookline.dispatch.subscription import Cursor, Subscription
from hookline.model.position import Position
from testing.simulator.disk import SimSyncer
from testing.simulator.world import OF_MANY, World

HOURS = 3.0
SEEDS = (18, 1, 2, 9, 19, *range(1, 60))
"""Worlds that find much are tried first."""


def no_sync(monkeypatch):
    """Commit without bringing the log to disk."""
    monkeypatch.setattr(Intake, "begin_sync", lambda *_: {})


def no_letter(monkeypatch):
    """Give up a delivery without a dead letter."""
    monkeypatch.setattr(Books, "bury", lambda *_: None)


def cursor_ahead(monkeypatch):
    """Commit how far was read instead of how far is settled."""
    monkeypatch.setattr(Subscription, "cursor", lambda self, domain: self._tracks[domain].read)


def attempt_not_counted(monkeypatch):
    """Start without writing down before that it starts."""
    monkeypatch.setattr(Books, "begun", lambda *_: True)


def settled_ahead_forgotten(monkeypatch):
    """Begin again at the cursor, whatever was settled beyond it."""
    track = Subscription.track
    monkeypatch.setattr(
        Subscription, "track", lambda self, domain, cursor, _: track(self, domain, cursor, {})
    )


def retry_behind_its_key(monkeypatch):
    """Let those that wait for the same key go first when one is tried again."""
    settle = Subscription.settle

    def settle_last(self, delivery, plan, now_s):
        if plan.then == "retry":
            self._lanes[delivery.key].rotate(-1)
        settle(self, delivery, plan, now_s)

    monkeypatch.setattr(Subscription, "settle", settle_last)


def letter_not_closed(monkeypatch):
    """Obey a replay without noting that the letter was decided on."""
    monkeypatch.setattr(Books, "close_letter", lambda *_: True)


def batch_folded_to_its_first(monkeypatch):
    """Take a batch for its first event."""

    def fold(progress, entry):
        progress.settled.setdefault(entry.domain, {})[entry.position] = entry.event

    monkeypatch.setattr(ledger, "_fold_batch", fold)


def journal_not_folded(monkeypatch):
    """Begin with what the index knows, whatever the journal says beyond it."""
    monkeypatch.setattr(Books, "load", lambda self: self._index.load())


def no_last_attempt(monkeypatch):
    """Try again for ever."""

    def patient(outcome, attempt, policy, jitter):
        return decide.decide(outcome, min(attempt, 1), policy, jitter)

    monkeypatch.setattr(settlement, "decide", patient)


def snapshot_without_what_waits(monkeypatch):
    """Leave out of a snapshot what was tried and waits."""
    monkeypatch.setattr(snapshot, "_of_pending", lambda *_: iter(()))


def rest_of_a_stretch_done(monkeypatch):
    """Take a whole stretch for done when its first was."""
    ended = Settlement.ended

    def all_done(self, listener, deliveries, told):
        if told.done:
            told = core.Ended(len(deliveries), told.outcome)
        ended(self, listener, deliveries, told)

    monkeypatch.setattr(Settlement, "ended", all_done)


def command_for_nobody(monkeypatch):
    """Pass over a command while its handler's file is away."""
    commands = Books.commands

    def heard(self):
        return [each for each in commands(self) if each.letter or each.handler in here]

    here = set()
    look = core.Core.look

    def look_around(self, domains):
        here.clear()
        here.update(self._roster.listeners)
        return look(self, domains)

    monkeypatch.setattr(Books, "commands", heard)
    monkeypatch.setattr(core.Core, "look", look_around)


def what_waits_goes_with_the_cut(monkeypatch):
    """Forget all that waits of a domain when a part of its log was cut."""
    rewind = Subscription.rewind

    def rewind_all(self, domain, position):
        rewind(self, domain, Position(1, 0))
        self._tracks[domain].read = Cursor(position)

    monkeypatch.setattr(Subscription, "rewind", rewind_all)


def cursor_that_is_no_more(monkeypatch):
    """Believe a cursor, whatever lies there now."""
    monkeypatch.setattr(Feed, "still_there", lambda _, cursor: cursor)


def late_line_never(monkeypatch):
    """Take every line for one that was read ahead when the dispatcher began."""
    monkeypatch.setattr(Books, "_foreseen", lambda *_: True)


def letter_without_its_log(monkeypatch):
    """Replay a letter from the log alone."""
    monkeypatch.setattr(Books, "buried", lambda *_: None)


def one_log_less_to_sync(monkeypatch):
    """Commit though a log cannot be synced."""
    end_sync = Intake.end_sync

    def sync_if_one_can(self, syncs):
        end_sync(self, syncs)
        self.unsynced.clear()
        return True

    monkeypatch.setattr(Intake, "end_sync", sync_if_one_can)


def no_wait_for_the_disk(monkeypatch):
    """Commit while the syncs run."""

    def start(self, syncs):
        del self, syncs

    monkeypatch.setattr(SimSyncer, "start", start)


def cursors_of_after_the_sync(monkeypatch):
    """Commit what was read while the syncs ran."""

    def end(self):
        self._intake.end_sync(self._under_way.logs)
        self._books.end_commit(synced=False)
        cursors = self._cursors()
        self._begin_commit(cursors)
        self._end_commit(self._under_way._replace(cursors=cursors), synced=True)
        self._under_way = None

    monkeypatch.setattr(Commits, "_end", end)


MUTANTS = [
    no_sync, no_letter, cursor_ahead, attempt_not_counted, settled_ahead_forgotten,
    retry_behind_its_key, letter_not_closed, batch_folded_to_its_first, journal_not_folded,
    no_last_attempt, snapshot_without_what_waits, rest_of_a_stretch_done, command_for_nobody,
    what_waits_goes_with_the_cut, cursor_that_is_no_more,
    late_line_never, letter_without_its_log, one_log_less_to_sync,
    no_wait_for_the_disk, cursors_of_after_the_sync,
]  # fmt: skip


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda each: each.__name__)
def test_a_broken_core_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    assert any(World(seed, HOURS).run() for seed in SEEDS), mutate.__doc__


def test_a_failed_batch_that_is_taken_for_done_is_found(monkeypatch):
    fold = ledger._fold_batch

    def fold_as_settled(progress, entry):
        entry.then = "settled"
        fold(progress, entry)

    monkeypatch.setattr(ledger, "_fold_batch", fold_as_settled)
    assert any(World(seed, HOURS, OF_MANY).run() for seed in (11, *SEEDS))
