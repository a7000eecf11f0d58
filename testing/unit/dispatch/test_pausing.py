"""A handler version that fails everything is paused, not fed."""

import math
import os
from datetime import timedelta

import pytest

from hookline.app.pausing import set_paused
from hookline.dispatch import letters
from hookline.dispatch.decide import failures_after
from hookline.dispatch.journal import load_ledger, read_ledger
from hookline.dispatch.rebuild import rebuild
from hookline.model.clock import SystemClock
from testing.unit.bench import OBEY

ALWAYS = "# attempts: 1"


def drain(bench, pause_after=10, **more):
    dispatcher = bench.dispatcher(pause_after=pause_after, **more)
    try:
        dispatcher.drain()
    finally:
        dispatcher.close()


@pytest.mark.parametrize(
    ("verdict", "then", "after"),
    [
        ("done", "settled", 0),
        ("skipped", "settled", 0),
        ("failed", "dead-letter", 4),
        ("timeout", "dead-letter", 4),
        ("interrupted", "dead-letter", 4),
        ("rejected", "dead-letter", 3),
        ("looped", "dead-letter", 3),
        ("failed", "retry", 3),
        ("broken", "held", 3),
    ],
)
def test_what_a_run_says_of_its_handler(verdict, then, after):
    assert failures_after(3, verdict, then) == after


def test_ten_thousand_events_leave_ten_letters_and_all_are_delivered_when_it_is_mended(bench):
    head = "# run: python   attempts: 1\nimport os\nfrom hookline import on\n@on('a.b')\n"
    bench.handler("on-a.py", head + "def f(event):\n    raise KeyError(event.id)\n")
    events = [bench.emit("a.b", {"n": n}) for n in range(10_000)]
    bench.drain()
    assert [letter["event"]["id"] for letter in bench.letters()] == events[:10]
    ((kind, name, reason),) = bench.alerts
    assert (kind, name) == ("handler_paused", "on-a.py")
    last = bench.letters()[-1]
    assert reason == (
        f"10 dead letters in a row, the last one {last['fingerprint']}: KeyError: '{events[9]}'"
    )
    bench.drain()
    assert len(bench.letters()) == 10

    said = "def f(event):\n    print(event.id, file=open(os.environ['OUT'], 'a'))\n"
    bench.handler("on-a.py", head + said)
    for letter in letters.open_letters(bench.home):
        letters.replay(bench.home, letter, SystemClock())
    bench.drain()
    assert sorted(bench.said()) == sorted(events)
    assert len(bench.alerts) == 1


def test_poison_between_successes_pauses_nobody(bench):
    bench.shell("on-a-b.sh", OBEY, ALWAYS)
    for _ in range(4):
        for status in (1, 1, 0):
            bench.emit("a.b", status)
    drain(bench, pause_after=3)
    assert len(bench.letters()) == 8
    assert bench.alerts == []


def test_rejected_events_pause_nobody(bench):
    bench.shell("on-a-b.sh", "exit 65")
    for _ in range(12):
        bench.emit("a.b")
    drain(bench, pause_after=3)
    assert len(bench.letters()) == 12
    assert bench.alerts == []


def test_zero_pauses_nobody(bench):
    bench.shell("on-a-b.sh", "exit 1", ALWAYS)
    for _ in range(12):
        bench.emit("a.b")
    drain(bench, pause_after=0)
    assert len(bench.letters()) == 12


@pytest.mark.parametrize("index", ["kept", "deleted"])
def test_the_row_goes_on_behind_a_restart(bench, index):
    bench.shell("on-a-b.sh", "exit 1", ALWAYS)
    for count in range(1, 5):
        bench.emit("a.b")
        drain(bench, pause_after=4)
        if index == "deleted":
            for file in bench.home.state.iterdir():
                if file.is_file():
                    file.unlink()
        assert read_ledger(bench.home).handlers["on-a-b.sh"].failures == count
        assert bool(bench.alerts) == (count == 4)
    bench.emit("a.b")
    drain(bench, pause_after=4)
    assert len(bench.letters()) == 4


class SetBack(SystemClock):
    """Files, and whatever came before, have times of an hour and more later."""

    def now(self):
        return super().now() - timedelta(hours=1)


class Ahead(SystemClock):
    """Files have times of the day before."""

    def now(self):
        return super().now() + timedelta(days=1)


@pytest.mark.parametrize("index", ["kept", "deleted"])
def test_a_row_is_as_long_as_the_journal_is_same_asever_the_clock_said(bench, index):
    bench.shell("on-a-b.sh", "exit 1", ALWAYS)
    for clock, failures in ((SystemClock(), 3), (SetBack(), 2), (SystemClock(), 1)):
        set_paused(bench.home, "on-a-b.sh", "resume", "")
        for count in range(1, failures + 1):
            bench.emit("a.b")
            drain(bench, clock=clock)
            if index == "deleted":
                rebuild(bench.home)
            assert read_ledger(bench.home).handlers["on-a-b.sh"].failures == count
            assert load_ledger(bench.home, None) == read_ledger(bench.home)


@pytest.mark.parametrize("by", ["hand", "file"])
def test_what_failed_behind_a_resume_that_was_heard_later_counts(bench, by):
    handler = bench.shell("on-a-b.sh", "exit 1", ALWAYS)
    dispatcher = bench.dispatcher()

    def fail():
        bench.emit("a.b")
        known = len(bench.verdicts())
        while len(bench.verdicts()) == known or dispatcher.running:
            # What others have written is not looked at yet.
            dispatcher._look_at_s = math.inf
            dispatcher.tick(0.05)

    try:
        fail()
        if by == "hand":
            set_paused(bench.home, "on-a-b.sh", "resume", "")
        else:
            handler.write_text(handler.read_text() + "# changed\n")
        fail()
        fail()
        dispatcher._look_at_s = 0.0
        dispatcher.tick()
        standing = dispatcher.roster.listeners["on-a-b.sh"].standing
        assert standing.failures == load_ledger(bench.home, None).handlers["on-a-b.sh"].failures
        assert standing.failures == (3 if by == "hand" else 2)
    finally:
        dispatcher.close()


def test_a_new_file_begins_a_new_row(bench):
    handler = bench.shell("on-a-b.sh", "exit 1", ALWAYS)
    for _ in range(3):
        bench.emit("a.b")
    drain(bench, pause_after=4)
    handler.write_text(handler.read_text() + "# changed\n")
    for _ in range(3):
        bench.emit("a.b")
    drain(bench, pause_after=4)
    assert bench.alerts == []
    bench.emit("a.b")
    drain(bench, pause_after=4)
    assert len(bench.alerts) == 1


def test_somebody_resumes_it_and_it_gets_a_whole_row_again(bench, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    bench.shell("on-a-b.sh", "exit 1", ALWAYS)
    for _ in range(12):
        bench.emit("a.b")
    drain(bench, pause_after=4)
    assert len(bench.letters()) == 4
    set_paused(bench.home, "on-a-b.sh", "resume", "")
    drain(bench, pause_after=4)
    assert len(bench.letters()) == 8
    assert len(bench.alerts) == 2


def test_a_batch_that_succeeds_ends_the_row(bench):
    bench.handler(
        "on-a.py",
        "# run: python   attempts: 1\nfrom hookline import on\n@on('a.*', batch=10)\n"
        "def f(events):\n    assert not any(event.value() for event in events)\n",
    )
    for _ in range(3):
        for bad in (True, True, False, False):
            bench.emit("a.b", bad)
        drain(bench, pause_after=3)
    assert len(bench.letters()) == 6
    assert bench.alerts == []


def test_a_handler_that_is_new_can_be_paused_before_it_was_seen(bench):
    dispatcher = bench.dispatcher()
    try:
        bench.shell("on-a-b.sh", "true")
        set_paused(bench.home, "on-a-b.sh", "pause", "")
        bench.emit("a.b")
        dispatcher.drain()
    finally:
        dispatcher.close()
    drain(bench)
    assert bench.attempts() == []


def test_a_command_for_a_handler_that_has_gone_counts_when_it_is_back(bench):
    handler = bench.shell("on-a-b.sh", "true")
    set_paused(bench.home, "on-a-b.sh", "pause", "")
    drain(bench)
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        away = handler.rename(bench.home.root / "away")
        dispatcher.drain()
        away.rename(handler)
        set_paused(bench.home, "on-a-b.sh", "resume", "")
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.verdicts() == [("done", "settled")]


def test_a_new_file_lets_it_go_on_though_the_clock_was_set_back(bench):
    handler = bench.shell("on-a-b.sh", "exit 78")
    bench.emit("a.b")
    bench.emit("a.b")
    dispatcher = bench.dispatcher(clock=Ahead())
    try:
        dispatcher.drain()
        assert bench.verdicts() == [("rejected", "dead-letter")]
        handler.write_text("#!/bin/bash\nexit 0\n")
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.verdicts() == [("rejected", "dead-letter"), ("done", "settled")]
