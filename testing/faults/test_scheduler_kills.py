"""A scheduler that is killed again and again loses no tick, and appends none twice.

1,000 schedules that make 10,000 ticks an hour, as long as `--soak` says; by default fewer
schedules that tick more often, for some seconds.
"""

import itertools
import signal
import subprocess
import sys
import time
from collections import defaultdict

import msgspec
import pytest

from hookline.app.schedules import load_timetable
from hookline.log.log import Log
from hookline.model.clock import parse_rfc3339
from hookline.schedule.recurrence import microseconds
from hookline.schedule.tick import SOURCE, proof_of

KILLS = 20
TABLE = """
[schedule.s{n:04}]
every = "{every}"
event = "{event}.due"
catch_up = "all"
stagger = "{every}"
jitter = "20ms"
"""


def configure(home, count, every, domains):
    """So many schedules, spread over the time and over some logs."""
    text = "".join(TABLE.format(n=n, every=every, event=f"d{n % domains}") for n in range(count))
    (home.config / "schedules.toml").write_text(text)


def begin(home):
    return subprocess.Popen(
        [sys.executable, "-m", "hookline", "schedule", "run", "--home", home.root],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def next_tick(home, process, interval_s):
    """Wait until one comes: it may be an interval away."""
    before = size(home)
    deadline_s = time.monotonic() + interval_s + 60
    while size(home) == before:
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # nothing tells of a log that comes to be


def caught_up(home, process, until_us, interval_s):
    """Wait until each schedule has a tick of the last interval before that moment, or a later
    one."""
    schedules = load_timetable(home).schedules
    deadline_s = time.monotonic() + interval_s + 60
    while True:
        found = ticks(home)
        if all(found[name] and found[name][-1][0] > until_us - each.interval_us
               for name, each in schedules.items()):  # fmt: skip
            return
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline_s
        time.sleep(0.1)  # as above


def size(home):
    return sum(path.stat().st_size for path in home.events.glob("d*-events.jsonl"))


def ticks(home):
    """The nominal times that were appended, by schedule, in order of their logs."""
    found = defaultdict(list)
    for event in Log(home).read("*.due"):
        proof = proof_of(event)
        assert event.source == SOURCE
        assert proof is not None
        assert (proof.coalesced, proof.missed) == (0, 0)
        found[proof.schedule].append((microseconds(parse_rfc3339(proof.nominal)), event.id))
    return found


def check(home, began_us):
    """Each nominal time from the beginning to the last one once, and nothing else."""
    schedules = load_timetable(home).schedules
    saved = msgspec.json.decode((home.state / "schedule.json").read_bytes())
    found = ticks(home)
    for name, schedule in schedules.items():
        told = found[name]
        nominals = [nominal for nominal, _ in told]
        assert nominals == sorted(set(nominals)), f"{name}: twice, or out of order"
        assert len({id for _, id in told}) == len(told)
        steps = {after - before for before, after in itertools.pairwise(nominals)}
        assert steps <= {schedule.interval_us}, f"{name}: {steps}"
        decided_us = saved["schedules"][name]["since_us"]
        assert nominals[-1] == decided_us
        assert nominals[0] - began_us <= schedule.interval_us
    return sum(map(len, found.values()))


@pytest.mark.timeout(0)
def test_no_tick_is_lost_or_doubled_however_often_the_scheduler_is_killed(home, chance, soak_s):
    lasts_s = max(soak_s * 10, 12.0)
    count, interval_s, domains = (1000, 360, 7) if soak_s else (60, 1, 3)
    configure(home, count, f"{interval_s}s", domains)
    process = begin(home)
    next_tick(home, process, interval_s)
    began_us = time.time_ns() // 1000
    ends_s = time.monotonic() + lasts_s
    for _ in range(KILLS):
        until_s = time.monotonic() + chance.uniform(0.2, 1.8) * lasts_s / KILLS
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(max(0.0, min(until_s, ends_s) - time.monotonic()))  # it works meanwhile
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process = begin(home)
    while time.monotonic() < ends_s:
        time.sleep(0.1)  # it works meanwhile
    caught_up(home, process, time.time_ns() // 1000, interval_s)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in said
    found = check(home, began_us)
    print(f"{found} ticks, {KILLS} kills")
