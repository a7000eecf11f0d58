"""Old dead letters go, and no open one goes without a word."""

import os
import time
from datetime import timedelta

import pytest

from hookline.dispatch import letters
from hookline.dispatch.journal import event_of_letter
from hookline.dispatch.purge import purge
from hookline.model.clock import SystemClock

DAY_S = 86_400.0


class Later:
    """The clock of a day to come."""

    def __init__(self, days):
        self._ahead = timedelta(days=days)

    def now(self):
        return SystemClock().now() + self._ahead

    def monotonic_s(self):
        return time.monotonic()


@pytest.fixture
def two(bench):
    """A home with an open letter and one that was dropped."""
    bench.shell("on-a-b.sh", "exit 65")
    for _ in range(2):
        bench.emit("a.b")
    bench.drain()
    letters.drop(bench.home, letters.open_letters(bench.home)[0], SystemClock())
    return bench


def test_young_letters_stay(two):
    assert purge(two.home, 30 * DAY_S, SystemClock(), pytest.fail).dropped == {}
    assert len(letters.open_letters(two.home)) == 1
    assert two.home.dead_letters.exists()


def test_old_open_letters_are_counted_and_said_and_dropped(two):
    said = []
    purged = purge(two.home, 30 * DAY_S, Later(31), said.append)
    assert purged.dropped == {"on-a-b.sh": 1}
    assert said == [purged]
    assert letters.open_letters(two.home) == []
    assert len(list(letters.letters(two.home))) == 2
    assert purge(two.home, 30 * DAY_S, Later(31), pytest.fail).dropped == {}


def test_a_dry_run_changes_nothing(two):
    purged = purge(two.home, 30 * DAY_S, Later(31), pytest.fail, dry_run=True)
    assert purged.dropped == {"on-a-b.sh": 1}
    assert len(letters.open_letters(two.home)) == 1
    assert list(two.home.segments.iterdir()) == []


def test_a_day_of_letters_is_closed_and_still_read(two):
    purge(two.home, 30 * DAY_S, Later(2), pytest.fail)
    assert two.home.dead_letters.read_bytes() == b""
    (letter,) = letters.open_letters(two.home)
    assert event_of_letter(two.home, letter.letter) == bytes(letter.event)
    two.emit("a.b")
    two.drain()
    assert len(letters.open_letters(two.home)) == 2


def test_a_closed_part_goes_when_its_last_letter_is_old_but_never_the_newest(two):
    purge(two.home, 30 * DAY_S, Later(2), pytest.fail)
    two.emit("a.b")
    two.drain()
    purge(two.home, 30 * DAY_S, Later(2), pytest.fail)
    parts = sorted(two.home.segments.iterdir())
    assert [part.name for part in parts] == [
        "dead-letters.00000001.jsonl",
        "dead-letters.00000002.jsonl",
    ]
    for part in parts:
        os.utime(part, (0, 0))
    said = []
    purged = purge(two.home, 30 * DAY_S, Later(31), said.append)
    assert (purged.files, purged.dropped) == (1, {"on-a-b.sh": 2})
    assert [part.name for part in two.home.segments.iterdir()] == ["dead-letters.00000002.jsonl"]
