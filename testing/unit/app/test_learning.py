"""The learning cycle of a home: what it writes, tells, and does not do twice."""

import json
import os
from datetime import timedelta

import pytest

from hookline.app.learning import (
    COMPLETED,
    DETECTED,
    REQUESTED,
    SOURCE,
    asked_by,
    asked_now,
    cycle,
    standing,
)  # fmt: skip
from hookline.log.log import Log
from hookline.model.clock import SystemClock, parse_rfc3339
from hookline.model.errors import BadData, TryAgain

# Long ago: files bear real times, and no clock is behind it.
NOW = parse_rfc3339("2020-11-21T03:00:00Z")


class At(SystemClock):
    """Stands still until it is set."""

    def __init__(self, moment):
        self.set(moment)

    def set(self, moment):
        self._now = moment

    def now(self):
        return self._now


class Works:
    """A home in which there was work, and where a cycle can be asked for."""

    def __init__(self, home):
        self.home, self.log, self.clock = home, Log(home), At(NOW)
        self.folder = home.coordination / "moe-learning"
        self.mark = home.coordination / "metrics" / "learning" / "last-daily-run.txt"
        self.warnings = []

    def work(self, count, *, expert="dev", bad=0, ago=timedelta(days=2), confidence=0.5):
        for n in range(count):
            task, time = f"{expert}-{ago}-{n}", self.clock.now() - ago
            data = {"task_id": task, "master": expert, "confidence": confidence}
            self.log.append("routing.decision_made", source="t", data=data, time=time)
            type = "task.failed" if n < bad else "task.completed"
            data = {"task_id": task, "error_type": "timeout"}
            self.log.append(type, source="t", data=data, time=time)

    def ask(self, data, at=NOW, source="test"):
        """The file of a request, as a handler is given it."""
        event = self.log.append(REQUESTED, source=source, data=data, time=at)
        file = self.home.root / event.id
        raw = json.dumps(data)
        file.write_text(
            f'{{"specversion":"1.0","id":"{event.id}","source":"{source}","type":"{REQUESTED}",'
            f'"time":"{event.time}","data":{raw}}}\n'
        )
        return file

    def run(self, file=None, **asked):
        if file is None:
            request = asked_now(self.clock, asked.pop("date", None), **asked)
        else:
            request = asked_by(self.home, file)
        return cycle(self.home, request, self.clock, tell=self.warnings.append)

    def events(self, type):
        return [event.value() for event in self.log.read(type) if event.source == SOURCE]

    def files(self):
        return {
            path.name: path.read_bytes()
            for path in sorted(self.home.coordination.rglob("*"))
            if path.is_file() and "events" not in path.parts
        }

    def confidences(self):
        return json.loads((self.folder / "expert-confidence.json").read_bytes())


@pytest.fixture
def works(home):
    return Works(home)


def test_a_cycle_writes_what_is_believed_and_says_so(works):
    works.work(10, bad=2)
    done = works.run()
    assert (done.decisions, done.outcomes, done.experts) == (10, 10, 1)
    assert works.confidences()["experts"]["dev"]["outcomes"] == 10
    weights = json.loads((works.home.coordination / "routing/expert-weights.json").read_bytes())
    assert weights["weights"] == {"dev": 1.0}
    assert (works.home.root / done.report).read_text().startswith("# Learning, 2020-11-21\n")
    assert works.mark.read_text() == "2020-11-21\n"
    (said,) = works.events(COMPLETED)
    assert (said["date"], said["cycle_type"], said["as_of"]) == (
        "2020-11-21", "daily", "2020-11-21T03:00:00.000000Z",
    )  # fmt: skip


def test_the_same_log_at_the_same_moment_gives_the_same_files(works):
    works.work(10, bad=2)
    works.run()
    before = works.files()
    works.run()
    assert works.files() == before


def test_closed_segments_are_read_too(works):
    works.work(4)
    for domain in ("routing", "task"):
        works.log.rotate(domain)
    works.work(3, ago=timedelta(days=1))
    assert works.run().outcomes == 7


def test_only_the_window_counts(works):
    works.work(4)
    works.work(3, ago=timedelta(days=91))
    works.clock.set(NOW - timedelta(hours=1))
    works.work(2, ago=timedelta(hours=-2))
    assert works.run().outcomes == 4


def test_payloads_in_files_of_their_own_are_read_and_those_that_are_gone_are_told(works):
    works.work(1)
    data = {"task_id": "big", "master": "dev", "routing_reason": "x" * 300_000}
    works.log.append("routing.decision", source="t", data=data, time=NOW - timedelta(days=1))
    assert works.run().decisions == 2
    for file in works.home.data.iterdir():
        file.unlink()
    assert works.run().decisions == 1
    assert len(works.warnings) == 1


def test_what_is_learned_is_never_learned_from(works):
    works.work(20, bad=12, confidence=0.9)
    works.run()
    before = works.confidences()["experts"]
    assert works.events(DETECTED)
    for n in range(20):
        works.log.append(DETECTED, source="x", data={"master": "dev", "outcome": "failure", "n": n})
    works.run()
    assert works.confidences()["experts"] == before


def test_a_pattern_is_told_once_a_week(works):
    works.work(20, bad=12, confidence=0.9)
    for _ in range(3):
        works.run()
    works.clock.set(NOW + timedelta(days=1))
    works.run()
    assert [each["pattern_type"] for each in works.events(DETECTED)] == ["miscalibrated_confidence"]
    works.clock.set(NOW + timedelta(days=8))
    works.run()
    assert len(works.events(DETECTED)) == 2


def test_a_request_runs_once_however_often_it_is_delivered(works):
    file = works.ask({"date": "2020-11-21", "cycle_type": "weekly"})
    assert works.run(file).request.source == "test"
    works.work(3)
    before = works.files()
    works.clock.set(NOW + timedelta(hours=1))
    assert works.run(file) is None
    assert (works.files(), len(works.events(COMPLETED))) == (before, 1)
    assert "last-daily-run.txt" not in before


def test_a_daily_cycle_runs_once_for_its_date_whoever_asks(works):
    assert works.run(works.ask({"date": "2020-11-21", "cycle_type": "daily"}))
    assert works.run(works.ask({}, source="another")) is None
    assert works.run(works.ask({"force": True}))
    assert works.run(works.ask({"date": "2020-11-20"}))
    assert len(works.events(COMPLETED)) == 3


def test_a_lost_mark_is_made_again_by_whoever_finds_the_cycle_completed(works):
    file = works.ask({})
    works.run(file)
    works.mark.unlink()
    assert works.run(file) is None
    assert works.mark.read_text() == "2020-11-21\n"


@pytest.mark.parametrize(
    ("there", "then"),
    [
        ("2020-11-22\n", "2020-11-22\n"),
        ("2020-11-20\n", "2020-11-21\n"),
        ("2099-01-01\n", "2020-11-21\n"),
        ("2020-11-21 not\n", "2020-11-21\n"),
        ("", "2020-11-21\n"),
    ],
)
def test_the_mark_does_not_go_back_but_for_a_day_that_is_none(works, there, then):
    works.mark.parent.mkdir(parents=True)
    works.mark.write_text(there)
    works.run()
    assert works.mark.read_text() == then


def test_a_day_that_is_over_is_looked_at_as_it_was_and_what_is_believed_stays(works):
    works.work(5)
    works.run()
    works.work(3, expert="old", ago=timedelta(days=4), bad=3)
    before = works.confidences()
    done = works.run(date="2020-11-18")
    assert (done.as_of, done.outcomes) == ("2020-11-19T00:00:00.000000Z", 3)
    assert (works.folder / "reports/2020-11-18.md").exists()
    assert works.confidences() == before
    assert works.mark.read_text() == "2020-11-21\n"


def test_a_lesson_from_the_future_is_replaced(works):
    works.run()
    file = works.folder / "expert-confidence.json"
    file.write_text(file.read_text().replace("2020-11-21T03", "2020-11-21T04"))
    works.run()
    assert works.confidences()["as_of"] == "2020-11-21T03:00:00.000000Z"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"as_of": "x"}', "\x80"])
def test_a_damaged_lesson_is_replaced(works, text):
    works.run()
    (works.folder / "expert-confidence.json").write_text(text)
    works.run()
    assert works.confidences()["as_of"] == "2020-11-21T03:00:00.000000Z"


@pytest.mark.parametrize(
    "data",
    [
        {"date": "2020-02-30"}, {"date": "0001-01-01"}, {"date": "../../x"}, {"date": "2020-11-23"},
        {"date": 7}, {"cycle_type": "a/b"}, {"cycle_type": "Daily"}, {"force": "yes"}, [1],
    ],
)  # fmt: skip
def test_what_nobody_can_have_meant_is_refused_and_nothing_is_written(works, data):
    file = works.ask(data)
    before = works.files()
    with pytest.raises(BadData):
        works.run(file)
    assert works.files() == before


def test_the_calendar_of_who_asks_may_be_a_day_ahead(works):
    assert works.run(works.ask({"date": "2020-11-22"})).date == "2020-11-22"


def test_one_cycle_at_a_time(works, monkeypatch):
    works.run()
    monkeypatch.setattr("hookline.app.learning.LOCK_WAIT_S", 0.0)
    fd = os.open(works.folder, os.O_RDONLY)
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(TryAgain):
        works.run()
    os.close(fd)
    works.run()


def state(works, date="2020-11-21"):
    found = standing(works.home, date, works.clock.now())
    return found.state, found.requests


def letter(works, id, source="test"):
    event = {"id": id, "source": source, "type": REQUESTED}
    line = {
        "letter": f"l-{id}", "time": "2020-11-21T03:00:00.000000Z", "handler": "h.sh",
        "domain": "learning", "attempts": 1, "verdict": "rejected", "event": event,
    }  # fmt: skip
    with works.home.dead_letters.open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_a_day_is_due_requested_and_done(works):
    assert state(works) == ("due", 0)
    file = works.ask({})
    assert state(works) == ("requested", 1)
    works.run(file)
    assert state(works) == ("done", 1)
    assert state(works, "2020-11-20") == ("due", 0)


def test_a_request_that_was_given_up_may_be_made_again(works):
    letter(works, works.ask({"date": "2020-11-21"}).name)
    assert state(works) == ("failed", 1)
    second = works.ask({"date": "2020-11-21"}).name
    assert state(works) == ("requested", 2)
    letter(works, second)
    assert state(works) == ("failed", 2)


def test_a_request_that_waits_for_more_than_a_day_is_overdue(works):
    works.ask({"date": "2020-11-20"}, at=NOW - timedelta(hours=23))
    assert state(works) == ("due", 0)
    works.clock.set(NOW + timedelta(hours=1, minutes=1))
    assert state(works) == ("overdue", 0)
    works.run()
    assert state(works) == ("done", 0)
    works.clock.set(NOW + timedelta(days=1))
    assert state(works, "2020-11-22") == ("due", 0)


def test_other_cycles_and_what_is_no_request_say_nothing_of_the_day(works):
    works.ask({"cycle_type": "weekly"})
    works.ask({"date": "x"})
    works.log.append(COMPLETED, source="x", data={"date": "2020-11-21"})
    assert state(works) == ("due", 0)
    works.run(cycle_type="weekly")
    assert state(works) == ("due", 0)
