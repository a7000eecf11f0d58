"""Old dead letters go, and no open one goes without a word."""

import os
import time
import tracemalloc
from datetime import timedelta

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from hookline.dispatch import letters
from hookline.dispatch.journal import event_of_letter
from hookline.dispatch.purge import purge
from hookline.dispatch.subscription import Delivery
from hookline.log.rotate import rotate
from hookline.model.clock import SystemClock
from hookline.model.position import Position

DAY_S = 86_400.0


class Later:
    """The clock of a day to come."""

    def __init__(self, days):
        self._ahead = timedelta(days=days)

    def now(self):
        return SystemClock().now() + self._ahead

    def monotonic_s(self):
        return time.monotonic()


def replay_of(letter):
    """The delivery that repeats it."""
    event = letter.identity
    return Delivery(
        domain=letter.domain, position=Position(1, 0), end=Position(1, 0), event=event.id,
        source=event.source, type=event.type, replay=letter.letter,
    )  # fmt: skip


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


def test_letters_are_not_kept_in_memory_until_all_are_read(two):
    (letter,) = letters.open_letters(two.home)
    letter.stdout = "x" * 50_000
    with two.home.dead_letters.open("ab") as queue:
        for n in range(300):
            queue.write(encode(replace(letter, letter=f"{letter.letter}:{n}")) + b"\n")
    size = two.home.dead_letters.stat().st_size
    tracemalloc.start()
    try:
        assert purge(two.home, 30 * DAY_S, Later(31), lambda _: None).dropped[letter.handler] == 301
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 3
    assert letters.open_letters(two.home) == []


def test_a_dry_run_changes_nothing(two):
    purged = purge(two.home, 30 * DAY_S, Later(31), pytest.fail, dry_run=True)
    assert purged.dropped == {"on-a-b.sh": 1}
    assert len(letters.open_letters(two.home)) == 1
    assert list(two.home.segments.iterdir()) == []


def test_a_day_of_letters_is_closed_and_still_read(two):
    purge(two.home, 30 * DAY_S, Later(2), pytest.fail)
    assert two.home.dead_letters.read_bytes() == b""
    (letter,) = letters.open_letters(two.home)
    assert event_of_letter(two.home, replay_of(letter)) == bytes(letter.event)
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


def parts(home):
    return sorted(path.name for path in home.segments.glob("dead-letters.*"))


def letters_in_parts(bench, count):
    """So many letters, in old closed parts of the queue, one in each."""
    for data in range(count):
        bench.emit("a.b", data)
        bench.drain()
        purge(bench.home, 30 * DAY_S, Later(2), pytest.fail)
    for path in bench.home.segments.glob("dead-letters.*"):
        os.utime(path, (0, 0))
    return letters.open_letters(bench.home)


def lose(home, domain):
    """Delete what there is of a domain's log."""
    for _ in range(2):
        rotate(home, domain)
        home.live(domain).write_bytes(b"\n")
    home.segments.joinpath(f"{domain}-events.00000001.jsonl").unlink()


def test_a_part_stays_for_the_letter_of_a_replay_that_is_pending(bench):
    bench.shell("on-a-b.sh", "exit 65")
    first, second, last = letters_in_parts(bench, 3)
    letters.drop_all(bench.home, [first, last], SystemClock())
    letters.replay(bench.home, second, SystemClock())
    for dry_run in (True, False):
        purged = purge(bench.home, 30 * DAY_S, Later(31), pytest.fail, dry_run=dry_run)
        assert (purged.files, purged.held_files, purged.held) == (1, 1, {"on-a-b.sh": 1})
    assert parts(bench.home) == ["dead-letters.00000002.jsonl", "dead-letters.00000003.jsonl"]

    lose(bench.home, "a")
    bench.shell("on-a-b.sh", 'jq .data "$1" >>"$OUT"')
    bench.drain()
    assert bench.said() == ["1"]
    purged = purge(bench.home, 30 * DAY_S, Later(31), pytest.fail)
    assert (purged.files, purged.held_files, purged.held) == (1, 0, {})


def test_a_replay_that_is_asked_for_meanwhile_counts(bench):
    """The letters are dropped first; one that somebody was quicker to replay is kept."""
    bench.shell("on-a-b.sh", "exit 65")
    first, _ = letters_in_parts(bench, 2)

    def say(_):
        letters.replay(bench.home, first, SystemClock())

    assert purge(bench.home, 30 * DAY_S, Later(31), say).held == {"on-a-b.sh": 1}
    assert len(parts(bench.home)) == 2
