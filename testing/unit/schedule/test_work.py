"""Which ticks are still handled, and which handlers were successful, by a real dispatcher."""

import json

import pytest

from hookline.dispatch.handlers import discover
from hookline.dispatch.python_runner import describe
from hookline.log.query import Query, select
from hookline.log.stream import BEGINNING
from hookline.model.clock import parse_rfc3339
from hookline.model.errors import TryAgain
from hookline.schedule.recurrence import microseconds
from hookline.schedule.work import Successes, Work

DONE = "# from: beginning"


@pytest.fixture
def work(bench):
    return Work(bench.home, lambda: discover(bench.home.handlers, describe, ()).handlers)


@pytest.fixture
def successes(bench):
    successes = Successes(bench.home, BEGINNING)
    yield successes
    successes.close()


def places(bench, type="a.b"):
    """Where the events of a type lie."""
    found = select(bench.home, Query(pattern=type), lambda _: None)
    return [each.record.position for each in found]


def unsettled(work, bench):
    work.look()
    return work.unsettled("a.b", places(bench))


def test_who_has_never_listened_has_nothing_to_do(bench, work):
    bench.shell("on-a-b.sh", "exit 0", DONE)
    bench.emit("a.b")
    assert unsettled(work, bench) == {"on-a-b.sh": 0}


def test_without_handlers_nobody_is_at_work(bench, work):
    bench.emit("a.b")
    assert unsettled(work, bench) == {}


def test_what_was_handled_is_settled_whatever_came_of_it(bench, work):
    bench.shell("on-a-b.sh", "exit 0", DONE)
    bench.shell("on-bad.sh", "exit 65", "# on: a.b\n" + DONE)
    bench.emit("a.b")
    bench.emit("a.b")
    bench.drain()
    assert unsettled(work, bench) == {"on-a-b.sh": 0, "on-bad.sh": 0}


def test_what_has_come_since_is_still_to_do(bench, work):
    bench.shell("on-a-b.sh", "exit 0", DONE)
    bench.emit("a.b")
    bench.drain()
    bench.emit("a.b")
    assert unsettled(work, bench) == {"on-a-b.sh": 1}
    bench.drain()
    assert unsettled(work, bench) == {"on-a-b.sh": 0}


def test_what_is_to_be_tried_again_is_still_to_do(bench, work):
    bench.shell("on-a-b.sh", "exit 75", DONE)
    for _ in range(3):
        bench.emit("a.b")
    bench.drain()
    assert unsettled(work, bench) == {"on-a-b.sh": 3}


def test_who_is_paused_holds_nobody_up(bench, work):
    bench.shell("on-a-b.sh", "exit 78", DONE)
    bench.emit("a.b")
    bench.drain()
    bench.emit("a.b")
    assert unsettled(work, bench) == {}


def test_a_handler_that_is_removed_is_not_at_work(bench, work):
    path = bench.shell("on-a-b.sh", "exit 75", DONE)
    bench.emit("a.b")
    bench.drain()
    assert unsettled(work, bench) == {"on-a-b.sh": 1}
    path.unlink()
    assert unsettled(work, bench) == {}


def test_an_index_that_is_lost_costs_nothing(bench, work):
    bench.shell("on-a-b.sh", "exit 75", DONE)
    bench.emit("a.b")
    bench.drain()
    for path in bench.home.state.iterdir():
        if path.is_file():
            path.unlink()
    assert unsettled(work, bench) == {"on-a-b.sh": 1}


def test_a_journal_that_is_replaced_is_read_anew(bench, work):
    bench.shell("on-a-b.sh", "exit 75", DONE)
    bench.emit("a.b")
    bench.drain()
    assert unsettled(work, bench) == {"on-a-b.sh": 1}
    text = bench.home.deliveries.read_bytes()
    bench.home.deliveries.unlink()
    bench.home.deliveries.write_bytes(text)
    assert unsettled(work, bench) == {"on-a-b.sh": 1}


def test_a_look_that_is_interrupted_is_done_over(bench, work, monkeypatch):
    """What was folded by half is not folded on from."""
    bench.shell("on-a-b.sh", "exit 75", DONE)
    bench.emit("a.b")
    bench.drain()
    work.look()

    def broken(*_):
        raise TryAgain("too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("hookline.schedule.work.catch_up", broken)
        with pytest.raises(TryAgain):
            work.look()
    bench.emit("a.b")
    assert unsettled(work, bench) == {"on-a-b.sh": 2}


def test_the_handlers_are_looked_at_once_for_all_schedules(bench):
    looks = []
    work = Work(bench.home, lambda: looks.append(1) or ())
    work.look()
    for _ in range(10):
        work.unsettled("a.b", [])
    assert len(looks) == 1


def test_each_success_is_told_once(bench, successes):
    bench.shell("on-a-b.sh", "exit 0", DONE)
    bench.shell("on-bad.sh", "exit 65", "# on: a.b\n" + DONE)
    bench.emit("a.b")
    bench.drain()
    ((handler, at_us),) = successes.news()
    assert handler == "on-a-b.sh"
    told = [entry.time for entry in bench.attempts(handler)]
    assert [at_us] == [microseconds(parse_rfc3339(time)) for time in told]
    assert list(successes.news()) == []
    bench.emit("a.b")
    bench.drain()
    assert [handler for handler, _ in successes.news()] == ["on-a-b.sh"]


def test_it_goes_on_where_it_was_and_over_what_is_no_entry(bench, successes):
    bench.shell("on-a-b.sh", "exit 0", DONE)
    bench.emit("a.b")
    bench.drain()
    assert len(list(successes.news())) == 1
    with bench.home.deliveries.open("ab") as journal:
        journal.write(b"\xff\0{\n")
        for time in ("soon", "9999-99-99T00:00:00Z"):
            entry = {"action": "attempt", "time": time, "handler": "on-x.sh", "verdict": "done"}
            text = json.dumps(entry) + "\n"
            journal.write(text.encode())
    bench.emit("a.b")
    bench.drain()
    again = Successes(bench.home, successes.position)
    assert [handler for handler, _ in again.news()] == ["on-a-b.sh"]
    assert list(again.news()) == []
    again.close()


def test_a_journal_that_is_lost_is_read_on_in_the_next(bench, successes):
    bench.shell("on-a-b.sh", "exit 0", DONE)
    bench.emit("a.b")
    bench.drain()
    list(successes.news())
    bench.home.deliveries.unlink()
    bench.emit("a.b")
    bench.drain()
    assert [handler for handler, _ in successes.news()] == ["on-a-b.sh"]
