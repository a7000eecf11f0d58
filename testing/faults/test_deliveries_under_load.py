"""Order, bounds and ends when there is much to do: many handlers, many keys, loops, replays,
signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookline.app.selftest import leaks

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", ["shell", "python", "stream"])
def test_thousands_of_runs_leave_nothing_behind(bus, soak_s, kind):
    count = 10_000 if soak_s else {"shell": 600}.get(kind, 2_000)
    if kind == "shell":
        bus.file("on-a-b.sh", "#!/bin/true\n# key: id   concurrency: 8\n")
    elif kind == "python":
        bus.python("pass")
    else:
        bus.stream("pass")
    process = bus.ready()
    bus.emit("k")
    bus.wait(lambda: settled(bus) == 1, "the first is not settled")
    idle = bus.idle(process)
    zombies = 0
    for n in range(count):
        bus.emit("k")
        if n % 500 == 0:
            zombies = max(zombies, sum("zombie" in each for each in idle.problems()))
    bus.wait(lambda: settled(bus) == count + 1, "not all is settled", 120 + soak_s)
    # While they run there may be some that ended this instant, but they do not add up.
    assert zombies <= 16
    assert leaks.settled(bus.home, idle) == []
    bus.stop(process)
    assert leaks.settled(bus.home) == []
    assert bus.letters() == []


def settled(bus):
    """How many deliveries were settled, as the journal tells it; it is long and asked often."""
    journal = bus.home.deliveries.read_bytes()
    stretches = [int(count) for count in re.findall(rb'"events":(\d+)', journal)]
    return journal.count(b'"then":"settled"') - len(stretches) + sum(stretches)


@pytest.mark.timeout(0)
def test_keys_keep_their_order_whatever_fails_beside_them(bus, soak_s):
    bus.shell(
        "((RANDOM % 4)) || exit 1", "key: subject   concurrency: 16   attempts: 50   backoff: 5ms"
    )
    process = bus.ready()
    bus.emit_many(2_000 if soak_s else 300, keys=32)
    bus.wait_answered(60 + soak_s)
    bus.stop(process)
    assert bus.letters() == []
    failed = sum(verdict == "failed" for verdict, _ in bus.verdicts())
    assert failed > 20
    bus.check(attempts_max=50)


def test_a_key_that_is_blocked_holds_up_no_other(bus):
    bus.shell(
        "[[ $EVENT_SUBJECT != stuck ]]",
        "key: subject   concurrency: 2   attempts: 3   backoff: 400ms",
    )
    first = bus.emit("stuck")
    behind = bus.emit("stuck")
    others = [bus.emit(f"k{n}") for n in range(30)]
    process = bus.ready()
    bus.wait_answered()
    bus.stop(process)
    bus.check(attempts_max=3)
    assert [letter["event"]["id"] for letter in bus.letters()] == [first, behind]
    over = ("settled", "dead-letter")
    order = [entry["event"] for entry in bus.journal() if entry.get("then") in over]
    assert max(order.index(event) for event in others) < order.index(first)


def hookline(bus, *arguments):
    """A command in the home."""
    return subprocess.Popen(
        [sys.executable, "-m", "hookline", *arguments, "--home", str(bus.home.root)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("running", [True, False], ids=["running", "not running"])
def test_dead_letters_replayed_twice_at_once_are_delivered_once(bus, running):
    bus.shell("[[ -e $HOOKLINE_HOME/mended ]]", "attempts: 1   key: id   concurrency: 4")
    bus.emit_many(5, keys=5)
    bus.once()
    assert len(bus.letters()) == 5
    (bus.home.root / "mended").touch()
    process = bus.ready() if running else None
    replays = [hookline(bus, "dead-letters", "replay", "--all") for _ in range(3)]
    said = [(each.communicate(timeout=60)[0], each.returncode) for each in replays]
    assert all(status in (0, os.EX_TEMPFAIL) for _, status in said), said
    assert 0 in [status for _, status in said], said
    process = process or bus.ready()
    bus.wait(lambda: all(count >= 2 for count in bus.runs().values()), "not all is replayed")
    bus.stop(process)
    bus.once()
    assert set(bus.runs().values()) == {2}
    bus.check(attempts_max=1)


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_a_handler_that_begets_its_own_event_ends_at_sixteen_hops(bus, kind):
    if kind == "shell":
        logger = CHECKOUT / "scripts" / "events" / "lib" / "event-logger.sh"
        bus.shell(f"'{logger}' --emit a.b loop '{{}}' >/dev/null")
    else:
        bus.python(
            "from hookline import Log\n"
            "Log(os.environ['HOOKLINE_HOME']).append('a.b', source='loop', data={})"
        )
    first = bus.emit("k")
    process = bus.ready()
    bus.wait(bus.letters, "the loop does not end")
    bus.stop(process)
    (letter,) = bus.letters()
    assert letter["verdict"] == "looped"
    assert letter["event"]["hops"] == 17
    assert letter["event"]["correlationid"] == first
    assert letter["error"].count("a.b") >= 16
    assert len(bus.begun()) == 17
    bus.check(in_lanes=False)


def test_told_to_end_it_lets_runs_end_and_leaves_the_rest_for_the_next(bus):
    bus.shell("sleep 1", "key: id   concurrency: 3")
    bus.emit_many(6, keys=6)
    process = bus.ready()
    bus.wait(lambda: len(bus.begun()) == 3, "three run at once")
    bus.stop(process)
    assert bus.verdicts() == [("done", "settled")] * 3
    assert leaks.settled(bus.home) == []
    bus.once()
    assert set(bus.runs().values()) == {1}
    bus.check()


@pytest.mark.parametrize("kind", ["shell", "python", "stream"])
def test_told_twice_it_ends_at_once_and_what_ran_is_tried_again(bus, kind):
    wait = "[[ -e $HOOKLINE_HOME/go ]] || sleep 1000"
    if kind == "shell":
        bus.shell(wait)
    else:
        install = bus.python if kind == "python" else bus.stream
        install("while not os.path.exists(os.environ['HOOKLINE_HOME'] + '/go'): time.sleep(1)")
    bus.emit("k")
    process = bus.ready()
    bus.wait(bus.begun, "it does not run")
    process.terminate()
    time.sleep(0.6)  # two signals within half a second count as one
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 0
    assert leaks.settled(bus.home) == []
    assert bus.letters() == []
    (bus.home.root / "go").touch()
    bus.once()
    assert set(bus.runs().values()) == {2}
    bus.check()


def test_a_killed_drain_and_a_drain_beside_it_lose_nothing(bus):
    bus.shell("sleep 0.05", "key: id   concurrency: 4")
    bus.emit_many(40, keys=40)
    process = bus.start("--once")
    bus.wait(lambda: len(bus.begun()) > 5, "it does not drain")
    second = bus.start("--once")
    assert second.wait(60) == os.EX_TEMPFAIL
    process.send_signal(signal.SIGKILL)
    process.wait()
    bus.once()
    bus.check()
    assert json.loads(bus.home.deliveries.read_text().splitlines()[-1])
