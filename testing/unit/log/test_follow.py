"""Following all domains as they grow."""

import os
import select
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

WAIT_S = 60.0


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


def test_it_wakes_for_an_append(
    emit: Emit, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_S", 10 * WAIT_S)
    emit(1)
    follower = follow()
    follower.tick()
    timer = threading.Timer(0.05, emit, (2,))
    timer.start()
    assert got(follower, 1) == ["e2"]
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


def test_only_some_domains_are_followed(home: Home, emit: Emit) -> None:
    emit(1, "a.x")
    with Follower(home, Query(), lambda _: None, only={"b", "c"}) as follower:
        emit(2, "a.x")
        emit(3, "b.x")
        assert got(follower, 1) == ["e3"]
        emit(4, "a.x")
        emit(5, "c.x")
        assert got(follower, 1) == ["e5"]
        assert sorted(follower.positions) == ["b", "c"]
    with Follower(home, Query(pattern="a.*"), lambda _: None, only={"b"}) as follower:
        assert sorted(follower.positions) == ["a"]


def test_all_that_there_is_comes_without_waiting(
    home: Home, emit: Emit, follow: Callable[..., Follower]
) -> None:
    home.live("test").write_bytes(b"".join(event_line(n % 3000) + b"\n" for n in range(20_000)))
    emit(1, "other.done")
    begin = Position(1, 0)
    follower = follow(start={"test": begin, "other": begin})
    assert sum(map(len, follower.news())) == 20_001
    assert list(follower.news()) == []


def test_how_long_nothing_is_to_be_done_is_known(
    home: Home, emit: Emit, follow: Callable[..., Follower]
) -> None:
    emit(1)
    follower = follow()
    assert follower.tick() == []
    assert following.LOOK_S - 1 < follower.pause_s() <= following.LOOK_S
    rotate(home, "test")
    list(follower.news())
    # Until the closed segment is taken for final.
    assert 0 < follower.pause_s() < 1
    emit(2)
    assert select.select([follower.fd], [], [], WAIT_S)[0]


def test_what_was_read_and_what_was_not_is_brought_to_disk(
    home: Home, emit: Emit, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    emit(1)
    follower = follow(start={"test": Position(1, 0)})
    synced: list[str] = []
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    assert got(follower, 1) == ["e1"]
    rotate(home, "test")
    emit(2)
    follower.sync()
    closed = home.segments / "test-events.00000001.jsonl"
    assert set(synced) == {os.fspath(closed), os.fspath(home.live("test"))}


def test_what_stands_behind_a_segment_that_may_grow_can_be_seen(
    home: Home, emit: Emit, follow: Callable[..., Follower]
) -> None:
    emit(1)
    follower = follow(start={"test": Position(1, 0)})
    assert got(follower, 1) == ["e1"]
    paused = open_append(home.live("test"))
    rotate(home, "test")
    emit(2)
    assert list(follower.news()) == []
    seen = [
        each.record.event.id for found in follower.ahead() for each in found if each.record.event
    ]
    assert seen == ["e2"]
    append_line(paused, event_line(3))
    os.close(paused)
    assert got(follower, 2) == ["e3", "e2"]
    assert list(follower.ahead()) in ([], [[]])
