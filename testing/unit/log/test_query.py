"""Choosing events from all domains."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hookline.log.errors import LogReplaced
from hookline.log.home import Home
from hookline.log.query import Found, Query, first_since, select, select_last
from hookline.log.rotate import rotate, seal_stream
from hookline.log.stream import Stream
from hookline.model.errors import BadData
from hookline.model.position import Position
from testing.unit.log.clocks import HandClock
from testing.unit.log.conftest import Emit, event_line

OLD = b'{"event_type":"zombie_detected","worker_id":"w"}'


def fail(trouble: LogReplaced) -> None:
    raise trouble


@pytest.fixture
def choose(home: Home) -> Callable[..., list[str]]:
    def choose(pattern: str = "*", **others: Any) -> list[str]:
        return ids(select(home, Query(pattern=pattern, **others), fail))

    return choose


def ids(found: object) -> list[str]:
    assert hasattr(found, "__iter__")
    return [
        each.record.event.id if each.record.event else each.record.raw.decode() for each in found
    ]


def test_domains_are_merged_by_time(emit: Emit, choose: Callable[..., list[str]]) -> None:
    for number, type in [(1, "a.x"), (4, "a.x"), (2, "b.x"), (3, "c.x"), (5, "b.x")]:
        emit(number, type)
    assert choose() == ["e1", "e2", "e3", "e4", "e5"]


def test_a_domain_keeps_the_order_of_its_log(emit: Emit, choose: Callable[..., list[str]]) -> None:
    """A writer's clock may be wrong; the log's order is the only one."""
    for number, type in [(5, "a.x"), (1, "a.x"), (3, "b.x"), (7, "b.x")]:
        emit(number, type)
    assert choose() == ["e3", "e5", "e1", "e7"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*", ["e1", "e2", "e3"]),
        ("a.*", ["e1", "e2"]),
        ("*.failed", ["e2", "e3"]),
        ("a.failed", ["e2"]),
        ("z.*", []),
    ],
)
def test_a_pattern_chooses(
    emit: Emit, choose: Callable[..., list[str]], pattern: str, wanted: list[str]
) -> None:
    emit(1, "a.done")
    emit(2, "a.failed")
    emit(3, "b.failed")
    assert choose(pattern) == wanted


@pytest.mark.parametrize("bad", ["", "a", "A.b", "../x", "a.*.b", "**", "worker"])
def test_what_is_no_pattern_is_told(bad: str) -> None:
    with pytest.raises(BadData, match="is not like"):
        Query(pattern=bad)


def test_times_choose_from_since_up_to_until(emit: Emit, choose: Callable[..., list[str]]) -> None:
    for number in range(1, 6):
        emit(number)
    since, until = "2026-11-21T01:00:02.000000Z", "2026-11-21T01:00:04.000000Z"
    assert choose(since=since, until=until) == ["e2", "e3"]


def test_older_daemons_lines_come_when_asked_for(
    home: Home, emit: Emit, choose: Callable[..., list[str]]
) -> None:
    emit(1, "a.x")
    (home.events / "zombie-cleanup-events.jsonl").write_bytes(OLD + b"\ntorn\n")
    assert choose() == ["e1"]
    assert choose(old=True) == [OLD.decode(), "e1"]
    assert choose("a.*", old=True) == ["e1"]


def test_closed_segments_are_read_too_and_none_is_waited_for(
    home: Home, emit: Emit, choose: Callable[..., list[str]]
) -> None:
    emit(1)
    rotate(home, "test")
    late = HandClock()
    late.advance(3600)
    with Stream.of_domain(home, "test") as stream:
        assert seal_stream(stream, clock=late) == [1]
    emit(2)
    rotate(home, "test")
    emit(3)
    with open(home.segments / "test-events.00000002.jsonl", "ab"):
        assert choose() == ["e1", "e2", "e3"]


def test_where_to_stop_can_be_said(home: Home, emit: Emit) -> None:
    first = emit(1)
    emit(2)
    stop = {"test": Position(1, len(first) + 1)}
    assert ids(select(home, Query(), fail, stop=stop)) == ["e1"]
    assert ids(select_last(home, Query(), 5, fail, stop=stop)) == ["e1"]


def test_segments_long_gone_by_are_not_opened(home: Home, emit: Emit) -> None:
    for number in range(3):
        emit(number)
        rotate(home, "test")
    for ordinal, day in ((1, 1), (2, 10), (3, 20)):
        when = 1_790_000_000 + day * 86_400
        os.utime(home.segments / f"test-events.{ordinal:08d}.jsonl", (when, when))
    with Stream.of_domain(home, "test") as stream:
        assert first_since(stream, None) == Position(1, 0)
        assert first_since(stream, "2026-09-28T00:00:00.000000Z") == Position(2, 0)
        assert first_since(stream, "2027-01-01T00:00:00.000000Z") == Position(4, 0)


def test_what_cannot_be_read_is_told_and_passed_over(home: Home, emit: Emit) -> None:
    emit(1)
    rotate(home, "test")
    (home.segments / "test-events.00000001.jsonl").rename(
        home.segments / "test-events.00000001.jsonl.zst"
    )
    emit(2)
    told: list[LogReplaced] = []
    assert ids(select(home, Query(), told.append)) == ["e2"]
    assert [str(each)[:32] for each in told] == ["segment 1 of test-events is dama"]


@pytest.mark.parametrize("count", [0, 1, 3, 5, 100])
def test_the_last_ones_are_those_of_all_domains(home: Home, emit: Emit, count: int) -> None:
    for number in range(1, 11):
        emit(number, "a.x" if number % 3 else "b.x")
        if number == 6:
            rotate(home, "a")
    wanted = [f"e{number}" for number in range(1, 11)]
    assert ids(select_last(home, Query(), count, fail)) == (wanted[-count:] if count else [])


def test_the_last_ones_are_found_behind_much_else(home: Home, emit: Emit) -> None:
    emit(1, "a.wanted")
    emit(2, "a.wanted")
    for number in range(3, 300):
        emit(number, "a.other")
    assert ids(select_last(home, Query(pattern="a.wanted"), 2, fail)) == ["e1", "e2"]


def test_the_last_ones_cost_no_reading_of_the_rest(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.live("test").write_bytes(b"".join(event_line(n % 3000) + b"\n" for n in range(30_000)))
    read = 0
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        nonlocal read
        data = real(fd, size, offset)
        read += len(data)
        return data

    monkeypatch.setattr(os, "pread", pread)
    assert len(select_last(home, Query(), 10, fail)) == 10
    assert read < 500_000 < Path(home.live("test")).stat().st_size


def test_two_hundred_domains_are_read_in_little_memory(
    home: Home, emit: Emit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        emit(number, f"d{number}.x")
    limits: list[int] = []
    real = Stream.read

    def read(self: Stream, position: Position, limit_bytes: int, *, patient: bool) -> object:
        limits.append(limit_bytes)
        return real(self, position, limit_bytes, patient=patient)

    monkeypatch.setattr(Stream, "read", read)
    found: list[Found] = list(select(home, Query(), fail))
    assert len(found) == 200
    assert max(limits) * 200 <= 1 << 20
