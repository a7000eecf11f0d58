"""kill -9 of whoever appends, at every system call of it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from hookline.log.home import Home
from hookline.log.log import Log
from testing.faults.emitters import EMITTERS, LOGGER, identities, problems, stored, struck
from testing.faults.injection import CHANGES, KILL

QUICK_KILLS = 8
AGAIN = [emitter for emitter in EMITTERS if emitter.again is not None]
SHORT, LONG, BEYOND_A_LINE = 20, 9_000, 300_000
SIZES = [(emitter, size) for emitter in EMITTERS for size in (SHORT, LONG)]
# The shell keeps no data beside the log: it says so, and which command does.
SIZES += [
    (each, BEYOND_A_LINE) for each in EMITTERS if str(each) in ("hookline emit --sync", "Log.batch")
]

# Appends events as long as a line may be, and tells of each in a file of its own.
LONG_LINES = """
import os, sys
from hookline.log.append import append_line_to_log
from hookline.model.envelope import line
home, said = sys.argv[1], open(sys.argv[2], "ab", buffering=0)
whole = line(id="ID", source="w", type="a.x", time="2026-11-21T01:35:31.123456Z",
             data=b'"%s"' % (b"x" * 250_000))
for i in range(10_000):
    identity = f"{os.getpid()}-{i}".encode()
    append_line_to_log(home, "a", whole.replace(b"ID", identity, 1))
    said.write(identity + b"\\n")
"""


@pytest.mark.parametrize(("emitter", "size"), SIZES, ids=str)
def test_an_event_is_there_or_not_and_the_next_one_is_whole(points, bench, emitter, size):
    """W01: each point in a log that is there already and in one that is made for it."""
    acknowledged = {bench.emit("a.x")}

    def trial(strike, domain):
        before = identities(stored(bench.home, domain))
        target = emitter.target(bench.home, f"{domain}.x", "x" * size)
        ended = struck(strike, emitter, bench.home, target)
        # A shell outlives its child: 73 when that was to make the log, 74 when it was to write.
        assert ended.status in (0, -signal.SIGKILL, 73, 74), ended
        told = ended.stdout.split() if ended.status == 0 else []
        following = bench.emit(f"{domain}.x")
        found = identities(stored(bench.home, domain))
        new = found[len(before) :]
        assert found[: len(before)] == before
        assert new[-1] == following
        assert ended.status or new[:-1] == told
        assert ended.status != 73 or not new[:-1]
        acknowledged.update(told, [following])

    def new_log(strike):
        if bench.home.live("b").exists():
            bench.home.live("b").rename(bench.home.live(f"b{next(numbers)}"))
        trial(strike, "b")

    numbers = count()
    points.walk(lambda strike: trial(strike, "a"), CHANGES, KILL, quick=5)
    points.walk(new_log, CHANGES, KILL, quick=5)
    assert problems(bench, acknowledged) == []


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_behind_half_a_foreign_line_an_event_is_whole(points, bench, emitter):
    """W02: bash's printf hands 10 KB to the kernel in two pieces; killed between them."""
    log = bench.home.live("a")
    acknowledged = {bench.emit("a.x")}
    begun = log.stat().st_size
    line = '{"specversion":"1.0","id":"foreign","source":"f","type":"a.x","data":"' + "x" * 10_000
    foreign = ["bash", "-c", """printf '%s"}\\n' "$1" >>"$2" """, "-", line, str(log)]
    ended = points.strike(foreign, inject=["write:signal=KILL:when=2"], paths=[log])
    assert ended.status == -signal.SIGKILL
    assert log.stat().st_size - begun == 8192
    ended = struck(points.strike, emitter, bench.home, emitter.target(bench.home, "a.x", "x"))
    assert ended.status == 0
    acknowledged.update(ended.stdout.split())
    assert problems(bench, acknowledged) == []
    (piece,) = bench.home.rejected.iterdir()
    assert len(json.loads(piece.read_text())["raw"]) == 8192


@pytest.mark.timeout(0)
def test_a_kill_that_tears_a_write_harms_nobody_else(soak_s, chance):
    """W01: on tmpfs the kernel gives up in the middle of a write, as strace cannot make it do."""
    torn = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        memory = Home(Path(folder))
        memory.events.mkdir(parents=True)
        said = memory.root / "said"
        for tried in range(500):
            if tried >= QUICK_KILLS and torn and not soak_s:
                break
            said.write_bytes(b"")
            with subprocess.Popen(
                [sys.executable, "-c", LONG_LINES, folder, said],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            ) as process:
                while said.stat().st_size < 100 and process.poll() is None:
                    os.sched_yield()
                for _ in range(chance.randrange(5000)):
                    pass
                process.kill()
            following = Log(memory).append("a.x", source="w").id
            found = stored(memory, "a")
            there = identities(found)
            told = said.read_text().split()
            assert there[: len(told)] == told
            assert there[len(told) :][-1] == following
            assert len(there) - len(told) <= 2
            torn += len(found) - len(there)
            memory.live("a").unlink()
    print(f"{torn} torn")
    assert torn > 0


@pytest.mark.parametrize("emitter", AGAIN, ids=str)
def test_a_retry_with_the_same_id_is_delivered_once(points, bench, emitter):
    """W26: killed anywhere, after the sync and before the exit too."""
    numbers = count()
    acknowledged = set()

    def trial(strike):
        identity = f"tried-{next(numbers)}"
        target = emitter.again(bench.home, "a.x", identity)
        struck(strike, emitter, bench.home, target)
        again = struck(points.strike, emitter, bench.home, target, trace=["close"])
        assert again.status == 0, again.stderr
        acknowledged.add(identity)

    points.walk(trial, CHANGES, KILL, quick=5)
    times = Counter(identities(stored(bench.home, "a")))
    assert times.keys() == acknowledged
    assert set(times.values()) == {1, 2}
    assert problems(bench, acknowledged) == []


def test_two_events_with_one_id_are_delivered_once(bench):
    """W25: emitted at once, in another process each."""
    events = [
        json.dumps({"specversion": "1.0", "id": f"e{i}", "source": "w", "type": "a.x", "data": i})
        for i in range(8)
    ]
    environment = {**os.environ, "HOOKLINE_HOME": str(bench.home.root)}
    with ThreadPoolExecutor(4) as pool:
        statuses = pool.map(
            lambda event: subprocess.run([LOGGER, event], env=environment, check=False).returncode,
            [event for event in events for _ in range(2)],
        )
    assert set(statuses) == {0}
    assert set(Counter(identities(stored(bench.home, "a"))).values()) == {2}
    assert problems(bench, {f"e{i}" for i in range(8)}) == []
