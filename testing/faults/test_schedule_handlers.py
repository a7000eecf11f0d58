"""Schedules whose ticks real handlers work on, under a real dispatcher."""

import json
import time

from hookline.app.schedules import trigger
from hookline.log.log import Log
from hookline.model.clock import SystemClock
from hookline.schedule.tick import proof_of
from testing.unit.schedule.desk import Desk

SLOW = 'while [[ ! -e "$HOOKLINE_HOME/go" ]]; do read -rt 0.02 <> <(:) || true; done'
QUICK_S = 0.2


def tables(overlap):
    return f'[schedule.m]\nevery = "1m"\nevent = "m.due"\noverlap = "{overlap}"\n'


def is_begun(bus, count):
    return lambda: len(bus.begun()) >= count


def is_settled(bus, count):
    return lambda: len([then for _, then in bus.verdicts() if then == "settled"]) >= count


def at_work(bus, home, overlap):
    """A scheduler, and a handler that is at work on its first tick."""
    bus.shell(SLOW, name="on-m-due.sh")
    bus.ready()
    desk = Desk(home, tables(overlap))
    desk.at(60)
    bus.wait(is_begun(bus, 1), "nobody handles it")
    return desk


def end(bus, home, desk, count):
    """The handler has done what it has."""
    (home.root / "go").touch()
    bus.wait(is_settled(bus, count), "it is not done")
    desk.turn()


def test_skip_gives_up_what_comes_due_while_the_last_one_is_handled(bus, home):
    desk = at_work(bus, home, "skip")
    assert desk.at(61).at(120).at(180).ticks() == [60]
    end(bus, home, desk, 1)
    assert desk.at(239).ticks() == [60]
    assert desk.at(240).ticks() == [60, 240]
    assert desk.proofs()[-1].missed == 2
    desk.kill()


def test_queue_puts_off_until_the_last_one_is_handled(bus, home):
    desk = at_work(bus, home, "queue")
    assert desk.at(61).at(120).at(150).ticks() == [60]
    assert desk.scheduler._waiting == {"m"}
    end(bus, home, desk, 1)
    assert desk.ticks() == [60, 120]
    desk.kill()


def test_allow_asks_nobody(bus, home):
    desk = at_work(bus, home, "allow")
    assert desk.at(61).at(120).ticks() == [60, 120]
    end(bus, home, desk, 2)
    desk.kill()


def test_a_scheduler_that_is_started_anew_knows_what_is_handled(bus, home):
    desk = at_work(bus, home, "skip")
    desk.at(61).kill()
    desk.open()
    assert desk.at(120).ticks() == [60]
    (home.state / "schedule.json").unlink()
    assert desk.kill().open().at(180).ticks() == [60]
    end(bus, home, desk, 1)
    assert desk.at(240).ticks() == [60, 240]
    desk.kill()


def test_a_tick_that_was_asked_for_is_handled_too(bus, home):
    bus.shell(SLOW, name="on-m-due.sh")
    bus.ready()
    desk = Desk(home, tables("skip"))
    trigger(home, "m")
    bus.wait(is_begun(bus, 1), "nobody handles it")
    assert desk.at(30).at(60).ticks()[1:] == []
    end(bus, home, desk, 1)
    assert desk.at(120).ticks()[1:] == [120]
    desk.kill()


def test_the_end_of_a_handler_wakes_a_scheduler_that_waits_for_it(bus, home):
    """A real one, in real time."""
    bus.shell(SLOW, name="on-m-due.sh")
    bus.ready()
    desk = Desk(home, tables("queue").replace("1m", "200ms")).close()
    process = bus.start_scheduler()
    bus.wait(is_begun(bus, 1), "nobody handles it")
    time.sleep(3 * QUICK_S)  # ticks come due and wait
    ticks = list(Log(home).read("m.*"))
    assert len(ticks) == 1
    (home.root / "go").touch()
    bus.wait(is_begun(bus, 3), "it does not go on")
    bus.stop(process)
    assert desk.scheduler is None


class Clock(SystemClock):
    """Says the time of a desk to a dispatcher, whose waits are real."""

    def __init__(self, desk):
        self._desk = desk

    def now(self):
        return self._desk.clock.now()


def test_silence_of_a_handlers_success_is_told_until_there_is_one(bench):
    for folder in (bench.home.config, bench.home.state):
        folder.mkdir()
    desk = Desk(
        bench.home,
        '[schedule.m]\nsilence = "1m"\nof = "on-a-b.sh"\nevent = "m.due"\ncatch_up = "none"\n',
    )
    bench.shell("on-a-b.sh", '[[ ! -e "$HOOKLINE_HOME/broken" ]]', "# from: beginning")

    def work():
        bench.emit("a.b")
        dispatcher = bench.dispatcher(clock=Clock(desk))
        dispatcher.drain()
        dispatcher.close()

    for seconds in (30, 60, 90, 120):
        desk.at(seconds)
        work()
    assert desk.at(179).ticks() == []
    (bench.home.root / "broken").touch()
    work()
    assert desk.at(180).at(230).ticks() == [180]
    assert desk.kill().open().at(240).ticks() == [180, 240]
    (bench.home.root / "broken").unlink()
    work()
    assert desk.at(299).at(300).ticks() == [180, 240, 300]
    work()
    assert desk.at(359).ticks() == [180, 240, 300]
    desk.kill()


def test_ticks_are_handled_once_each_however_often_the_scheduler_is_killed(bus, home, chance):
    bus.shell("exit 0", header="concurrency: 4", name="on-m-due.sh")
    bus.ready()
    (home.config / "schedules.toml").write_text(
        '[schedule.m]\nevery = "50ms"\nevent = "m.due"\ncatch_up = "all"\n'
        '[schedule.n]\ncron = "* * * * * *"\nevent = "m.due"\ncatch_up = "all"\n'
    )
    for _ in range(5):
        process = bus.start_scheduler()
        before = len(bus.begun())
        bus.wait(is_begun(bus, before + 1), "nobody handles it")
        time.sleep(chance.uniform(0, 0.4))  # it works meanwhile
        if chance.random() < 0.5 and home.live("m").exists():
            ordinal = len(list(home.segments.glob("m-events.*"))) + 1
            home.live("m").rename(home.segments / f"m-events.{ordinal:08d}.jsonl")
        process.kill()
        process.wait()
    process = bus.start_scheduler()
    before = len(bus.begun())
    bus.wait(is_begun(bus, before + 1), "nobody handles it")
    bus.stop(process)
    ids = {event.id for event in Log(home).read("m.*")}
    bus.wait(lambda: set(bus.begun()) == ids, "not all is handled")
    bus.stop(bus.processes[0])
    assert set(bus.runs().values()) == {1}
    assert json.loads((home.state / "schedule.json").read_bytes())["version"] == 1
    times = {name: [] for name in "mn"}
    for event in Log(home).read("m.*"):
        proof = proof_of(event)
        times[proof.schedule].append(proof.nominal)
    assert times["m"] == sorted(set(times["m"]))
    assert times["n"] == sorted(set(times["n"]))
