"""The public API of a home's log."""

import os
import threading
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hookline.log.home import Home
from hookline.log.log import Log, LogWarning
from hookline.log.rotate import rotate
from hookline.model.attributes import Fields
from hookline.model.cause import Cause
from hookline.model.envelope import LINE_BYTES_MAX
from hookline.model.errors import BadData, CannotCreate
from hookline.model.event import decode
from hookline.model.position import Position
from testing.unit.log.clocks import HandClock


@pytest.fixture
def log(home: Home) -> Log:
    return Log(home.root)


def test_what_is_appended_is_returned_and_read(log: Log) -> None:
    event = log.append("worker.done", source="test", data={"n": 2**53 + 1, "t": "é"})
    assert list(log.read()) == [event]
    assert event.value() == {"n": 2**53 + 1, "t": "é"}
    assert log.value(event) == event.value()


def test_the_line_is_the_event(log: Log, home: Home) -> None:
    event = log.append("worker.done", source="test", subject="s", priority="high", hops=2)
    assert decode(home.live("worker").read_bytes()[:-1]) == event
    assert bytes(event.data) == b""


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "../../x.y"}, {"type": "x"}, {"source": ""}, {"data": float("nan")},
        {"data": {1: 2}}, {"data": "\ud800"}, {"data": "\0"}, {"priority": "urgent"},
        {"id": "../x"}, {"time": "tomorrow"}, {"data": b"x"},
    ],
)  # fmt: skip
def test_bad_events_are_refused_and_nothing_is_stored(
    log: Log, home: Home, bad: dict[str, object]
) -> None:
    said: dict[str, Any] = {"type": "worker.done", "source": "test", **bad}
    with pytest.raises(BadData):
        log.append(**said)
    assert not list(home.events.glob("**/*.jsonl"))
    assert not list(home.data.iterdir())


def test_no_home_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match="hookline init"):
        Log(tmp_path / "nowhere").append("a.b", source="test")
    assert list(Log(tmp_path / "nowhere").read()) == []


def test_long_data_lies_beside_the_log_and_is_found_there(log: Log, home: Home) -> None:
    text = "x" * LINE_BYTES_MAX
    event = log.append("worker.done", source="test", data=text)
    assert event.dataref == f"data/{event.id}.json"
    assert event.value() is None
    (found,) = log.read()
    assert found == event
    assert log.value(found) == text
    (home.events / event.dataref).unlink()
    with pytest.raises(BadData, match="No such file"):
        log.value(found)


def test_a_synced_append_is_synced(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    )
    log.append("worker.done", source="test")
    assert synced == []
    log.append("worker.done", source="test", sync=True)
    assert [os.path.basename(each) for each in synced] == ["worker-events.jsonl"]


def test_fields_from_outside_are_appended(log: Log) -> None:
    fields = Fields(
        id="x", source="queue", type="worker.done", time="2026-11-21T01:35:31.123456Z", data=b"[1]"
    )
    event = log.append_fields(fields)
    assert (event.id, event.value()) == ("x", [1])
    assert list(log.read()) == [event]


def test_an_event_is_same_as_caused_it(home: Home) -> None:
    cause = Cause("first", "all", hops=2)
    log = Log(home, cause=cause)
    event = log.append("worker.done", source="test", data=1, correlationid="own")
    assert (event.causationid, event.correlationid, event.hops) == ("first", "own", 3)
    assert list(log.read()) == [event]
    assert Log(home).append("worker.done", source="test").causationid is None


def test_what_is_being_handled_counts_before_what_the_process_was_started_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(home, cause=Cause("started-for"))
    monkeypatch.setattr("hookline.model.cause.handling", Cause("handled"))
    event = log.append("worker.done", source="test", id="own")
    assert event.causationid == log.append("worker.done", source="test").causationid == "handled"


def test_a_batch_is_written_at_its_end(log: Log) -> None:
    with log.batch() as batch:
        events = [batch.append("worker.done", source="test", data=n) for n in range(50)]
        assert list(log.read()) == []
    assert list(log.read()) == events


def test_a_batch_that_fails_has_what_was_appended_before(log: Log) -> None:
    def work() -> None:
        with log.batch() as batch:
            batch.append("worker.done", source="test")
            batch.append("bad", source="test")

    with pytest.raises(BadData):
        work()
    assert len(list(log.read())) == 1


def test_threads_append_whole_and_distinct_events(log: Log) -> None:
    def work() -> None:
        for n in range(200):
            log.append("worker.done", source="test", data={"n": n})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({event.id for event in log.read()}) == 800


def test_reading_takes_patterns_and_times(log: Log) -> None:
    at = [datetime(2026, 11, 21, hour, tzinfo=UTC) for hour in range(4)]
    events = [log.append("a.x", source="test", time=time) for time in at]
    log.append("b.x", source="test", time=at[1])
    assert list(log.read("a.*")) == events
    assert list(log.read("a.x", since=at[1], until=at[3])) == events[1:3]
    assert list(log.read("a.x", since="2026-11-21T04:00:00+02:00")) == events[2:]
    with pytest.raises(BadData, match="pattern"):
        log.read("a")
    with pytest.raises(BadData, match="time"):
        log.read(since="yesterday")


def test_what_cannot_be_read_is_warned_of(log: Log, home: Home) -> None:
    (home.segments / "worker-events.00000001.jsonl.zst").write_bytes(b"no frame")
    event = log.append("worker.done", source="test")
    with pytest.warns(LogWarning, match="segment 1 of worker-events is damaged"):
        assert list(log.read()) == [event]


def test_following_begins_with_the_call(log: Log) -> None:
    log.append("worker.done", source="before")
    following = log.follow(idle_s=0.05)
    event = log.append("worker.done", source="after")
    assert list(following) == [event]


def test_following_since_a_time_begins_with_the_past(log: Log, home: Home) -> None:
    first = log.append("worker.done", source="test")
    rotate(home, "worker")
    second = log.append("worker.done", source="test")
    following = log.follow("worker.*", since="2020-01-01T00:00:00Z", idle_s=0.3)
    assert next(following) == first
    third = log.append("worker.done", source="test")
    assert list(following) == [second, third]


def test_the_log_is_rotated(log: Log) -> None:
    assert log.rotate("worker") is None
    log.append("worker.done", source="test")
    assert log.rotate("worker") == Position(2, 0)


def test_the_clock_can_be_given(home: Home) -> None:
    clock = HandClock()
    event = Log(home, clock=clock).append("worker.done", source="test")
    assert event.time[:19] == clock.now().isoformat()[:19]


def test_nothing_has_to_be_closed(home: Home) -> None:
    log = Log(home)
    for _ in range(3):
        log.append("worker.done", source="test")
    before = os.listdir("/proc/self/fd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(log.read())
        log.follow()
        log.follow(since="2020-01-01T00:00:00Z")
        next(log.follow(since="2020-01-01T00:00:00Z"))
    assert os.listdir("/proc/self/fd") == before
