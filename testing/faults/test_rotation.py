"""Rotation and compression, killed, refused and raced at every system call."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest

from hookline.log.holders import holders
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.rotate import rotate, seal_stream
from hookline.log.stream import Stream
from hookline.model.clock import SystemClock
from hookline.model.errors import WriteFailed
from testing.faults.emitters import EMITTERS, identities, problems, stored, struck
from testing.faults.injection import CHANGES, KILL

ROTATING = (*CHANGES, "rename", "utime", "utimensat", "link", "linkat")
ERRORS = ["ENOSPC", "EIO", "EMFILE"]

# Rotates and seals all the time; prints how often it did.
ROTATOR = """
import sys
from pathlib import Path
from hookline.log.home import Home
from hookline.log.rotate import rotate, seal
home = Home(Path(sys.argv[1]))
rotations = 0
while not (home.root / "stop").exists():
    rotations += rotate(home, "a") is not None
    seal(home, "a")
print(rotations)
"""


class Later(SystemClock):
    """A clock by which everything has been at rest for long enough."""

    def now(self):
        return super().now() + timedelta(seconds=1)


def seal(home, domain):
    """Compress what is closed, at once."""
    with Stream.of_domain(home, domain) as stream:
        return seal_stream(stream, clock=Later())


def rotated(home, domain):
    """The names of the segments that the domain has."""
    return sorted(each.name for each in home.segments.iterdir() if each.name.startswith(domain))


def leftovers(home):
    """What compressing leaves behind when it is killed."""
    return list(home.segments.glob(".*"))


@pytest.mark.parametrize("fault", [KILL, *(f"error={error}" for error in ERRORS)])
def test_a_rotation_cut_short_loses_nothing_and_the_next_one_ends_it(points, bench, fault):
    """R01, R11: the live log is closed or it is not."""
    home = bench.home
    sent = [bench.emit("a.x")]

    def trial(strike):
        sent.append(bench.emit("a.x"))
        before = len(rotated(home, "a"))
        ended = strike(lambda: rotate(home, "a") and 0)
        assert ended.status in (0, -signal.SIGKILL, 73, 74, 75, 77), ended
        assert len(rotated(home, "a")) in (before, before + 1)
        sent.append(bench.emit("a.x"))
        assert identities(stored(home, "a")) == sent
        rotate(home, "a")
        sent.append(bench.emit("a.x"))
        assert identities(stored(home, "a")) == sent

    points.walk(trial, ROTATING, fault, quick=8)
    assert [name[9:17] for name in rotated(home, "a")] == [
        f"{n:08d}" for n in range(1, len(rotated(home, "a")) + 1)
    ]
    assert problems(bench, set(sent)) == []


@pytest.mark.parametrize("fault", [KILL, *(f"error={error}" for error in ERRORS)])
def test_a_segment_is_there_whole_wherever_its_compression_is_cut_short(points, bench, fault):
    """R01, R11: as text or compressed, once, and the next sealer leaves nothing lying about."""
    home = bench.home
    numbers = count()
    sent = []

    def trial(strike):
        domain = f"d{next(numbers)}"
        events = [bench.emit(f"{domain}.x") for _ in range(3)]
        rotate(home, domain)
        ended = strike(lambda: seal(home, domain) and 0)
        assert ended.status in (0, -signal.SIGKILL, 73, 74, 75, 77), ended
        assert identities(stored(home, domain)) == events
        assert rotated(home, domain)
        if fault != KILL:
            assert leftovers(home) == []
        seal(home, domain)
        assert rotated(home, domain) == [f"{domain}-events.00000001.jsonl.zst"]
        assert leftovers(home) == []
        assert identities(stored(home, domain)) == events
        sent.extend(events)

    points.walk(trial, ROTATING, fault, quick=8)
    assert problems(bench, set(sent)) == []


def test_of_two_rotators_at_once_one_rotates(home, soak_s):
    """R02: and a writer beside them loses nothing, nor is an ordinal left out."""
    log = Log(home)
    command = [sys.executable, "-c", ROTATOR, home.root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    rotators = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    sent = []
    ends_s = time.monotonic() + min(soak_s, 60.0)
    while len(rotated(home, "a")) < 40 or time.monotonic() < ends_s:
        sent.append(log.append("a.x", source="w").id)
    (home.root / "stop").touch()
    closed = sum(int(process.communicate(timeout=60)[0]) for process in rotators)
    assert [int(name[9:17]) for name in rotated(home, "a")] == list(range(1, closed + 1))
    assert identities(stored(home, "a")) == sent


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_a_writer_stopped_before_its_write_is_waited_for(points, bench, emitter):
    """R03, W19: it opened the log, then a rotation came; what it writes is read in its place."""
    home = bench.home
    sent = [bench.emit("a.x")]
    options = {"inject": ["openat:signal=STOP:when=1"], "paths": [home.live("a")]}
    target = emitter.target(home, "a.x", "x")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(lambda: struck(points.strike, emitter, home, target, **options))
        while not (writers := holders(home.live("a"))):
            assert not late.done(), late.result()
        rotate(home, "a")
        after = bench.emit("a.x")
        assert seal(home, "a") == []
        for pid, _ in writers:
            os.kill(pid, signal.SIGCONT)
        ended = late.result()
    assert ended.status == 0
    sent += [*ended.stdout.split(), after]
    assert identities(stored(home, "a")) == sent
    assert seal(home, "a") == [1]
    assert problems(bench, set(sent)) == []


def test_no_link_is_ever_made(points, bench):
    """R08: one rename, so that a file system without hard links will do."""
    bench.emit("a.x")
    links = ["link", "linkat", "symlink", "symlinkat"]

    def all_of_it():
        Log(bench.home).append("a.x", source="w", data="x" * 300_000, sync=True)
        rotate(bench.home, "a")
        assert seal(bench.home, "a") == [1]

    ended = points.strike(all_of_it, trace=[*links, "rename"])
    assert ended.status == 0, ended.stderr
    # The data beside the log, the rotation, the compressed segment.
    assert ended.calls == {"rename": 3}


def test_a_full_disk_keeps_rotation_possible_and_compression_clean(small_disk):
    """R11: on a true full disk; appends go on in the new log as soon as there is room."""
    home = Home(small_disk.root / "home")
    home.events.mkdir(parents=True)
    log = Log(home)
    noise = random.Random(1).randbytes(40_000).hex()  # noqa: S311 - text that does not compress
    sent = [log.append("a.x", source="w", data=noise).id]
    rotate(home, "a")
    small_disk.fill(leave_bytes=8_000)
    with pytest.raises(WriteFailed, match="No space"):
        seal(home, "a")
    assert leftovers(home) == []
    with pytest.raises(WriteFailed):
        log.append("a.x", source="w", data=noise)
    rotate(home, "a")
    small_disk.make_room()
    sent.append(log.append("a.x", source="w", data=noise).id)
    assert seal(home, "a") == [1, 2]
    assert [event for event in identities(stored(home, "a")) if event in sent] == sent


def test_copytruncate_by_mistake_is_told_and_what_comes_then_is_delivered(bench):
    """R05, W22: logrotate copied the log and emptied it; the cursor lies beyond its end."""
    bench.shell("on-a-x.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.drain()
    before = [bench.emit("a.x") for _ in range(5)]
    live = bench.home.live("a")
    after = []

    def emptied():
        if not after and bench.said() == before:
            shutil.copy(live, bench.home.root / "a-events.jsonl.1")
            os.truncate(live, 0)
            after.append(bench.emit("a.x"))
        return after and len(bench.attempts()) == len(before) + len(after)

    bench.run_until(emptied)
    assert [note for note in bench.spectator.notes if "is read from its start" in note]
    # The same while no dispatcher runs.
    bench.drain()
    os.truncate(live, 0)
    after.append(bench.emit("a.x"))
    bench.drain()
    assert bench.said() == before + after
    assert [alert[:2] for alert in bench.alerts] == [("log_replaced", "on-a-x.sh")] * 2
