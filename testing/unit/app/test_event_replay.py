"""Which events are replayed, and what is said of each; the rest is in bats."""

import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from hookline.app import event_replay
from hookline.app.event_replay import Choice, chosen, deliver, enqueue, rehearse
from hookline.app.pausing import set_paused
from hookline.dispatch import asks, dropbox, replays
from hookline.dispatch.asks import write_some
from hookline.dispatch.ledger import Entry
from hookline.log.log import Log
from hookline.log.rotate import rotate
from hookline.model.clock import SystemClock
from testing.unit.app.archives import archive, told

NOW = "2026-11-21T01:35:31.123456Z"


@pytest.fixture
def no_trouble():
    def trouble(why):
        raise AssertionError(why)

    return trouble


def emit(home, id, type="a.b", **more):
    return Log(home).append(type, source="test", id=id, **more).id


def ids(found):
    return [each.record.event.id for each in found]


def test_an_identity_is_replayed_once(home, no_trouble):
    for id in ("x", "y", "x"):
        emit(home, id)
    emit(home, "x", "c.d")
    assert ids(chosen(home, Choice(), no_trouble)) == ["x", "y", "x"]


def test_what_comes_of_a_replay_is_not_replayed(home, no_trouble):
    for id in ("x", "y"):
        emit(home, id)
    found = chosen(home, Choice(), no_trouble)
    first = next(found)
    emit(home, "news")
    emit(home, "more", "c.d")
    assert ids([first, *found]) == ["x", "y"]


def test_what_a_queue_made_of_an_event_is_replayed_only_by_its_name(home, no_trouble):
    emit(home, "x", data={"n": 12345678901234567890})
    (queued,) = enqueue(home, chosen(home, Choice(), no_trouble), SystemClock())
    new = dropbox.take(home, *dropbox.waiting(home), SystemClock())
    assert queued.why == f"queued as {new}"
    again = next(event for event in Log(home).read() if event.id == new)
    assert (again.replayof, bytes(again.data)) == ("x", b'{"n":12345678901234567890}')
    assert ids(chosen(home, Choice(), no_trouble)) == ["x"]
    assert ids(chosen(home, Choice(event_id=new), no_trouble)) == [new]


def test_events_of_two_sources_with_one_id_are_both_queued(home, no_trouble):
    for source in ("a", "b"):
        Log(home).append("a.b", source=source, id="same")
    queued = list(enqueue(home, chosen(home, Choice(), no_trouble), SystemClock()))
    assert [each.result for each in queued] == ["successful"] * 2
    took = [dropbox.take(home, name, SystemClock()) for name in dropbox.waiting(home)]
    assert [f"queued as {new}" for new in took] == [each.why for each in queued]


def test_an_event_whose_payload_is_gone_is_told_and_the_others_are_queued(home, no_trouble):
    emit(home, "x", data={"text": "x" * 300_000})
    emit(home, "y")
    (home.data / "x.json").unlink()
    outcomes = list(enqueue(home, chosen(home, Choice(), no_trouble), SystemClock()))
    assert [(each.event, each.result) for each in outcomes] == [
        ("x", "failed"),
        ("y", "successful"),
    ]
    assert "No such file" in outcomes[0].why


def test_many_events_are_replayed_some_at_a_time(bench, no_trouble, monkeypatch):
    monkeypatch.setattr(event_replay, "TOGETHER", 2)
    for name, status in (("on-a-b.sh", 0), ("on-too.sh", 99)):
        bench.shell(name, f'echo "$EVENT_ID" >>"$HOOKLINE_HOME/out"; exit {status}', "# on: a.b")
    events = [emit(bench.home, f"e{n}") for n in range(5)]
    bench.drain()
    (bench.home.root / "out").unlink()
    outcomes = list(deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock()))
    assert [each.event for each in outcomes] == events
    assert {each.result for each in outcomes} == {"successful"}
    assert outcomes[0].handlers == {"on-a-b.sh": "done", "on-too.sh": "skipped"}
    assert sorted(bench.said()) == sorted(2 * events)


def test_who_is_told_to_stop_asks_for_no_more(bench, no_trouble, monkeypatch):
    monkeypatch.setattr(event_replay, "TOGETHER", 1)
    bench.shell("on-a-b.sh", '[[ ! $EVENT_REPLAYOF ]] || kill -INT "$PPID"')
    for n in range(3):
        emit(bench.home, f"e{n}")
    bench.drain()
    outcomes = deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock())
    assert next(outcomes).event == "e0"
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)
    asked = [entry for entry in bench.journal() if entry["action"] == "replay"]
    assert [entry["event"] for entry in asked] == ["e0"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name
)
def test_whatever_told_its_own_dispatcher_to_stop_is_its_exit_status(bench, number):
    bench.shell("on-a-b.sh", f'[[ ! $EVENT_REPLAYOF ]] || kill -{number} "$PPID"')
    emit(bench.home, "x")
    bench.drain()
    ended = subprocess.run(
        [sys.executable, "-m", "hookline", "event-replay", "--event-id", "x"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOOKLINE_HOME": str(bench.home.root),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # Whoever runs the tests in the background, or with nohup, has it ignored in all of them.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert (ended.returncode, "ended before all" in ended.stderr) == (128 + number, True)


def archived(home, found, steps):
    """These events, with a run of the archiver that finds them old behind each."""
    for each in found:
        steps += archive(home, "cleanup", days=91)
        yield each


@pytest.mark.parametrize("work", [deliver, enqueue])
def test_an_archiver_deletes_nothing_of_what_is_replayed(bench, no_trouble, monkeypatch, work):
    monkeypatch.setattr(event_replay, "TOGETHER", 2)
    monkeypatch.setattr(replays, "LOCK_WAIT_S", 0.0)
    bench.shell("on-a-b.sh", "true")
    for n in range(6):
        emit(bench.home, f"e{n}", data={"text": "x" * 300_000} if n == 0 else None)
        if n % 2:
            rotate(bench.home, "a")
    bench.drain()
    steps = []
    events = archived(bench.home, chosen(bench.home, Choice(), no_trouble), steps)
    outcomes = [(each.event, each.result) for each in work(bench.home, events, SystemClock())]
    assert outcomes == [(f"e{n}", "successful") for n in range(6)]
    assert {(step.action, step.exit) for step in steps} == {("failed", os.EX_TEMPFAIL)}
    assert "events are being replayed" in steps[0].why
    gone = told(archive(bench.home, "cleanup", days=91))
    assert gone[:2] == [("deleted", "a", 1), ("deleted", "a", 2)]


def test_a_handler_that_is_paused_keeps_no_other_from_the_events(bench, no_trouble, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    monkeypatch.setattr(event_replay, "TOGETHER", 1)
    bench.shell("on-a-b.sh", "exit 78")
    bench.shell("on-a.sh", "true", "# on: a.*")
    for n in range(3):
        emit(bench.home, f"e{n}")
    bench.drain()
    outcomes = list(deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock()))
    assert [each.result for each in outcomes] == ["waiting"] * 3
    assert outcomes[2].handlers == {"on-a-b.sh": "", "on-a.sh": "done"}
    assert "hookline handlers resume on-a-b.sh" in outcomes[2].why


def test_a_delivery_that_is_to_be_tried_again_waits(bench, no_trouble):
    bench.shell("on-a-b.sh", "exit 75", "# backoff: 1h")
    emit(bench.home, "x")
    (outcome,) = deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock())
    assert (outcome.result, outcome.handlers) == ("waiting", {"on-a-b.sh": "retry"})


def test_a_dispatcher_that_is_busy_with_other_things_is_not_waited_for_for_ever(
    bench, no_trouble, monkeypatch
):
    monkeypatch.setattr(event_replay, "QUIET_S", 0.3)
    monkeypatch.setattr(event_replay, "holder", lambda _: os.getpid())
    monkeypatch.setattr(event_replay.time, "sleep", lambda _: other_news(bench.home))
    bench.shell("on-a-b.sh", "exit 0")
    emit(bench.home, "x")
    (outcome,) = deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock())
    assert (outcome.result, outcome.handlers) == ("waiting", {"on-a-b.sh": ""})


def other_news(home):
    write_some(home, [Entry(action="attempt", time=NOW, handler="on-c-d.sh", verdict="done")])


@pytest.mark.parametrize("header", ["# on: a.*", "# backoff: 1s\n# backoff: 1s"])
def test_one_that_is_refused_and_may_want_it_keeps_it_waiting(bench, no_trouble, header):
    bench.shell("on-a-b.sh", "true")
    bench.shell("on-bad.sh", "true", header).chmod(0o640)
    emit(bench.home, "x")
    bench.drain()
    everything = list(chosen(bench.home, Choice(), no_trouble))
    clock = SystemClock()
    for replayed in (rehearse(bench.home, everything), deliver(bench.home, everything, clock)):
        (outcome,) = replayed
        assert outcome.result == "waiting"
        assert "refused: " in outcome.why
    assert outcome.handlers == {"on-a-b.sh": "done"}


def test_one_that_is_refused_and_wants_other_events_does_not(bench, no_trouble):
    bench.shell("on-a-b.sh", "true")
    bench.shell("on-c-d.sh", "true").chmod(0o640)
    emit(bench.home, "x")
    bench.drain()
    (outcome,) = deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock())
    assert outcome.result == "successful"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_running_dispatcher_is_not_waited_for_where_a_handler_is_stopped(
    bench, no_trouble, monkeypatch, when
):
    slept = []

    def sleep(_):
        slept.append(1)
        assert len(slept) < 1000
        pause()

    pause = partial(set_paused, bench.home, "on-two.sh", "pause", "a holiday")
    monkeypatch.setattr(event_replay, "QUIET_S", float("inf"))
    monkeypatch.setattr(event_replay, "STOPPED_LOOK_S", 0.01)
    monkeypatch.setattr(event_replay, "holder", lambda _: os.getpid())
    monkeypatch.setattr(event_replay.time, "sleep", sleep)
    bench.shell("on-two.sh", "exit 0", "# on: a.b")
    emit(bench.home, "x")
    if when == "before":
        pause()
    (outcome,) = deliver(bench.home, chosen(bench.home, Choice(), no_trouble), SystemClock())
    assert bool(slept) == (when == "meanwhile")
    assert (outcome.result, outcome.why) == (
        "waiting",
        "on-two.sh is paused (a holiday): hookline handlers resume on-two.sh",
    )
