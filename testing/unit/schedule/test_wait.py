"""Waiting for ticks: the table that the shell obeys too, in virtual time; the ears in real time."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hookline import Log, Ticks
from hookline.app.schedules import trigger
from hookline.log import rotate
from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import BadData
from hookline.model.event import decode
from hookline.schedule import memory
from hookline.schedule.scheduler import ADAPT_S

TYPE = "trigger.introspection"
VECTORS = Path(__file__).parents[2] / "vectors" / "ticks.jsonl"
LONG_S = 3600.0


def vectors():
    lines = VECTORS.read_text(encoding="utf-8").splitlines()
    return [pytest.param(json.loads(line), id=f"{number}") for number, line in enumerate(lines, 1)]


class Story:
    """A vector, lived through: the clock, the ears and the maintenance of it."""

    def __init__(self, home, vector):
        self._home, self._vector = home, vector
        self._logged = [(at, decode(json.dumps(event).encode())) for at, event in vector["logged"]]
        self.now_ms = 0.0

    def now(self):
        return datetime(2026, 1, 2, tzinfo=UTC) + timedelta(milliseconds=self.now_ms)

    def monotonic_s(self):
        return self.now_ms / 1000

    def pass_time(self, to_ms):
        self.now_ms = max(self.now_ms, to_ms)
        begin, end = self._vector.get("maintenance", (0, 0))
        if begin <= self.now_ms < end:
            self._home.maintenance.touch()
        else:
            self._home.maintenance.unlink(missing_ok=True)

        if not {"paused", "speed"} & self._vector.keys():
            return
        begin, end = self._vector.get("paused", (0, 0))
        introspection = {"when": "", "since_us": 0, "paused": begin <= self.now_ms < end}
        begin, end, speed = self._vector.get("speed", (0, 0, 1.0))
        introspection["speed"] = speed if begin <= self.now_ms < end else 1.0
        saved = {"schedules": {"introspection": introspection}, "positions": {}}
        (self._home.state / "schedule.json").write_text(json.dumps(saved))

    def hear(self, timeout_s):
        at_ms = min((at for at, _ in self._logged), default=LONG_S * 1e6)
        until_ms = self.now_ms + max(0.0, timeout_s) * 1000
        if min(at_ms, until_ms) > self._vector["until_ms"]:
            raise StopIteration
        self.pass_time(min(at_ms, until_ms))
        came = [event for at, event in self._logged if at <= self.now_ms]
        self._logged = [each for each in self._logged if each[0] > self.now_ms]
        return [event for event in came if event.type == TYPE]

    def wake(self):
        """Nobody waits."""

    def close(self):
        """There is nothing open."""


@pytest.mark.parametrize("vector", vectors())
def test_the_table(home, vector):
    story, said, returned = Story(home, vector), [], []
    busy_ms = iter(vector.get("busy_ms", ()))
    ticks = Ticks(
        home, TYPE, every_s=seconds(vector["interval"]), schedule=vector.get("schedule"),
        clock=story, ears=story, say=lambda text: said.append((story.now_ms, text)),
    )  # fmt: skip
    for tick in ticks:
        returned.append([story.now_ms, "local" if ticks.is_local else tick.id])
        story.pass_time(story.now_ms + next(busy_ms, 0))
    assert returned == vector["ticks"], vector["name"]
    events = [each.value() for each in Log(home).read("schedule.*")]
    assert all(event.pop("pid") for event in events)
    types = [each.type for each in Log(home).read("schedule.*")]
    told = [[at, *rest] for (at, _), *rest in zip(said, types, events, strict=True)]
    assert told == vector["said"], vector["name"]


def test_a_local_tick_is_same_as_a_tick_says(home):
    vector = {"until_ms": 30000, "logged": [], "name": "", "interval": "5s"}
    story = Story(home, vector)
    ticks = Ticks(home, TYPE, every_s=5, schedule="s", clock=story, ears=story, say=lambda _: None)
    first = next(ticks)
    story.pass_time(16500)
    late = next(ticks)
    assert (first.type, first.source) == (TYPE, "wait-for-tick")
    assert late.value() == {
        "schedule": "s", "nominal": "2026-01-02T00:00:15.000000Z",
        "fired": "2026-01-02T00:00:16.500000Z", "late_ms": 1500.0, "factor": 1.0,
        "reason": "fallback", "coalesced": 0, "missed": 0,
    }  # fmt: skip
    assert list(Log(home).read("trigger.*")) == []


def test_a_tick_that_a_person_asks_for_says_the_speed_of_its_schedule(home):
    (home.config / "schedules.toml").write_text(
        f'[schedule.scan]\nevery = "5s"\nevent = "{TYPE}"\nadaptive = true\n'
    )
    told = {"schedule": "scan", "from": 1.0, "to": 0.5, "cause": "load", "reason": "busy"}
    Log(home).append("schedule.adapted", source="hookline.schedule", data=told)
    assert trigger(home, "scan").value()["factor"] == 0.5


@pytest.mark.parametrize(("type", "every_s"), [("nonsense", 5), (TYPE, 0), (TYPE, float("nan"))])
def test_what_cannot_be_waited_for_is_refused(home, type, every_s):
    with pytest.raises(BadData):
        Ticks(home, type, every_s=every_s)


def emit(home, number=0):
    return Log(home).append(TYPE, source="test", data={"number": number}).id


def test_it_hears_a_log_that_is_made_rotated_and_replaced_meanwhile(home):
    with Ticks(home, TYPE, every_s=LONG_S) as ticks:
        assert emit(home) == next(ticks).id
        rotate.rotate(home, "trigger")
        assert emit(home, 1) == next(ticks).id
        copy = home.root / "copy"
        copy.write_bytes(b"")
        copy.rename(home.live("trigger"))
        assert emit(home, 2) == next(ticks).id


def test_what_lay_in_the_log_before_is_no_tick(home):
    emit(home)
    with Ticks(home, TYPE, every_s=LONG_S) as ticks:
        assert emit(home, 1) == next(ticks).id


def test_there_need_be_no_home_yet(tmp_path):
    said = []
    with Ticks(tmp_path / "later", TYPE, every_s=0.05, say=said.append) as ticks:
        next(ticks)
        assert ticks.is_local
        assert not (tmp_path / "later").exists()
        home = Home(tmp_path / "later")
        home.events.mkdir(parents=True)
        wanted = emit(home)
        assert any(tick.id == wanted for tick in ticks)
    assert len(said) == 2


def test_a_home_that_cannot_be_written_to_is_no_reason_to_stop(home):
    home.live("schedule").mkdir()
    said = []
    with Ticks(home, TYPE, every_s=0.02, say=said.append) as ticks:
        next(ticks)
        next(ticks)
    assert len(said) == 1


def test_a_log_that_cannot_be_read_is_no_reason_to_stop(home):
    home.live("trigger").mkdir()
    with Ticks(home, TYPE, every_s=0.02, say=lambda _: None) as ticks:
        next(ticks)
        assert ticks.is_local


def test_another_thread_may_stop_it_at_once(home):
    ticks = Ticks(home, TYPE, every_s=LONG_S)
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(ticks))
    thread.start()
    ticks.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert seen == []
    ticks.close()
    ticks.close()
    ticks.stop()  # as a signal would that comes late
    assert list(ticks) == []


def test_what_makes_it_stand_still_is_saved_at_once(desk, home):
    made = desk(
        '[schedule.m]\nevery = "1m"\nevent = "m.due"\nadaptive = true\n'
        '[adaptive.on."a.brake"]\nspeed = 0\nuntil = ["a.end"]\n'
    )
    for type, paused, speed in (("a.brake", False, 0.0), ("schedule.paused", True, 0.0)):
        made.tell(type, schedule="m").at(made.now_s + 2 * ADAPT_S)
        known = memory.load(home).schedules["m"]
        assert (known.paused, known.speed) == (paused, speed)
