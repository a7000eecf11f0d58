"""Following all domains as they grow."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from hookline.log import follow as following
from hookline.log import watch as watching
from hookline.log.errors import LogReplaced
from hookline.log.files import append_line, open_append
from hookline.log.follow import Follower
from hookline.log.home import Home
from hookline.log.query import Query
from hookline.log.rotate import rotate
from hookline.model.position import Position
from testing.unit.log.conftest import Emit, event_line

WAIT_S = 5.0


@pytest.fixture
def troubles() -> list[LogReplaced]:
    return []


@pytest.fixture
def follow(home: Home, troubles: list[LogReplaced]) -> Iterator[Callable[..., Follower]]:
    followers: list[Follower] = []

    def follow(pattern: str = "*", start: Mapping[str, Position] | None = None) -> Follower:
        follower = Follower(home, Query(pattern=pattern), troubles.append, start=start)
        followers.append(follower)
        return follower

    yield follow
    for follower in followers:
        follower.close()


def got(follower: Follower, count: int, wait_s: float = WAIT_S) -> list[str]:
    """The ids of so many events, waited for."""
    found: list[str] = []
    deadline_s = time.monotonic() + wait_s
    while len(found) < count and time.monotonic() < deadline_s:
        found += [each.record.event.id for each in follower.tick() if each.record.event]
        if len(found) < count:
            follower.wait(deadline_s - time.monotonic())
    return found


def test_it_begins_now(emit: Emit, follow: Callable[..., Follower]) -> None:
    emit(1)
    follower = follow()
    assert follower.tick() == []
    emit(2)
    emit(3, "other.done")
    assert got(follower, 2) == ["e2", "e3"]


def test_it_wakes_for_an_append(emit: Emit, follow: Callable[..., Follower]) -> None:
    emit(1)
    follower = follow()
    follower.tick()
    timer = threading.Timer(0.05, emit, (2,))
    timer.start()
    started_s = time.monotonic()
    assert got(follower, 1) == ["e2"]
    assert time.monotonic() - started_s < following.LOOK_S / 2
    timer.join()


def test_it_begins_where_it_is_told(emit: Emit, follow: Callable[..., Follower]) -> None:
    first = emit(1)
    emit(2)
    follower = follow(start={"test": Position(1, len(first) + 1)})
    assert got(follower, 1) == ["e2"]
    assert follower.positions == {"test": Position(1, 2 * (len(first) + 1))}


def test_a_new_domain_is_followed_from_its_beginning(
    emit: Emit, follow: Callable[..., Follower]
) -> None:
    follower = follow()
    assert follower.tick() == []
    emit(1, "new.done")
    emit(2, "new.done")
    assert got(follower, 2) == ["e1", "e2"]


def test_a_pattern_keeps_other_domains_out(emit: Emit, follow: Callable[..., Follower]) -> None:
    follower = follow("a.*")
    emit(1, "b.x")
    emit(2, "a.x")
    assert got(follower, 1) == ["e2"]
    assert list(follower.positions) == ["a"]


def test_rotations_lose_nothing_and_late_writers_are_waited_for(
    home: Home, emit: Emit, follow: Callable[..., Follower]
) -> None:
    follower = follow()
    emit(1)
    paused = open_append(home.live("test"))
    rotate(home, "test")
    emit(3)
    assert got(follower, 1) == ["e1"]
    append_line(paused, event_line(2))
    os.close(paused)
    assert got(follower, 2) == ["e2", "e3"]


def test_a_lost_notice_costs_time_but_no_event(
    emit: Emit, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever inotify does not tell (a folder moved above ours, another machine)."""
    monkeypatch.setattr(following, "LOOK_S", 0.05)
    emit(1)
    follower = follow()
    monkeypatch.setattr(follower._watch, "read", set)
    monkeypatch.setattr(follower._watch, "wait", time.sleep)
    emit(2)
    emit(3, "new.done")
    assert sorted(got(follower, 2)) == ["e2", "e3"]


def test_an_overflow_costs_no_event(
    emit: Emit, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    emit(1)
    follower = follow()
    follower.tick()
    emit(2)
    emit(3, "new.done")
    real = follower._watch.read
    monkeypatch.setattr(follower._watch, "read", lambda: real() and None)
    found = [each.record.event.id for each in follower.tick() if each.record.event]
    assert sorted(found) == ["e2", "e3"]


def test_it_works_by_the_clock_alone(
    emit: Emit, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_inotify", lambda: -1)
    follower = follow()
    emit(1)
    assert got(follower, 1) == ["e1"]


def test_a_replaced_log_is_told_and_read_on(
    home: Home, emit: Emit, follow: Callable[..., Follower], troubles: list[LogReplaced]
) -> None:
    emit(1)
    follower = follow()
    follower.tick()
    emit(2)
    home.live("test").unlink()
    emit(3)
    assert got(follower, 2) == ["e2", "e3"]
    assert [str(each) for each in troubles] == [
        "segment 1 of test-events was removed or replaced: it is read from its start"
    ]


def test_rounds_end_when_nothing_comes(emit: Emit, follow: Callable[..., Follower]) -> None:
    emit(1)
    follower = follow(start={"test": Position(1, 0)})
    assert [len(each) for each in follower.rounds(idle_s=0.05)] == [1]


def test_a_long_backlog_comes_in_rounds(home: Home, follow: Callable[..., Follower]) -> None:
    home.live("test").write_bytes(b"".join(event_line(n % 3000) + b"\n" for n in range(20_000)))
    follower = follow(start={"test": Position(1, 0)})
    sizes = [len(each) for each in follower.rounds(idle_s=0.05)]
    assert sum(sizes) == 20_000
    assert len(sizes) > 1


def test_everything_is_given_back(home: Home, emit: Emit) -> None:
    for number in range(5):
        emit(number, f"d{number}.x")
    before = os.listdir("/proc/self/fd")
    with Follower(home, Query(), lambda _: None) as follower:
        follower.tick()
    assert os.listdir("/proc/self/fd") == before
