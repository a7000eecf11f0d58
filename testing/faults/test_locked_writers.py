"""Homes on file systems without atomic append: writers take a lock, and others hold it."""

import fcntl
import os
import re
import signal
import subprocess
import sys

import pytest

from hookline.app import doctor
from testing.faults.emitters import EMITTERS, LOGGER, identities, problems, stored, struck

NFS = 0x6969
EVENTS = 25

COMMANDS = [
    [LOGGER, "--emit", "a.x", "w", "1"],
    [sys.executable, "-m", "hookline", "emit", "a.x"],
]

SHELL_WRITER = 'source "$1"; for ((i = 0; i < $2; i++)); do emit_event a.x "$3" "$i" || exit; done'
PYTHON_WRITER = """
import sys
from hookline.log.log import Log
log = Log(sys.argv[1])
for i in range(int(sys.argv[2])):
    log.append("a.x", source=sys.argv[3], data=i)
"""


@pytest.fixture
def locked(bench):
    """A bench whose home has the marker."""
    bench.home.config.mkdir()
    bench.home.locked_append.touch()
    return bench


def environment(bench):
    """What a process of this home sees."""
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "HOOKLINE_HOME": str(bench.home.root), "PYTHONPATH": path}


def test_the_doctor_is_same_as_to_do_where_appends_may_mix(bench, monkeypatch):
    """F01: the magic number of a network file system."""
    monkeypatch.setattr(doctor, "_f_type", lambda _: NFS)
    bench.home.config.mkdir()
    (found,) = [each for each in doctor.examine(bench.home) if each.check == "file system"]
    assert not found.well
    assert str(bench.home.locked_append) in found.found
    bench.home.locked_append.touch()
    (found,) = [each for each in doctor.examine(bench.home) if each.check == "file system"]
    assert found.well


@pytest.mark.parametrize("size", [20, 9_000])
@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_the_lock_is_held_around_the_write(points, locked, emitter, size):
    """F01: and given back, before the writer ends or by its end."""
    locked.emit("a.x")
    target = emitter.target(locked.home, "a.x", "x" * size)
    options = {"trace": ["flock", "write"], "paths": [locked.home.live("a")]}
    ended = struck(points.strike, emitter, locked.home, target, **options)
    assert ended.status == 0, ended
    calls = re.findall(r"(write)\(|flock\(\d+, (\w+)", ended.trace)
    assert calls[:2] == [("", "LOCK_EX"), ("write", "")]
    assert not is_locked(locked.home.live("a"))


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_without_a_lock_nothing_is_stored(points, locked, emitter):
    """F01: a network file system may have none to give."""
    locked.emit("a.x")
    size = locked.home.live("a").stat().st_size
    inject = ["flock:error=ENOLCK"]
    target = emitter.target(locked.home, "a.x", "x")
    ended = struck(points.strike, emitter, locked.home, target, inject=inject)
    assert ended.status == 75, ended
    assert locked.home.live("a").stat().st_size == size


def test_writers_beside_each_other_lose_nothing(locked):
    """F01: two in bash, two in Python."""
    home = locked.home
    commands = {f"shell-{i}": ["bash", "-c", SHELL_WRITER, "-", LOGGER] for i in range(2)}
    commands |= {f"python-{i}": [sys.executable, "-c", PYTHON_WRITER, home.root] for i in range(2)}
    writers = [
        subprocess.Popen([*command, str(EVENTS), name], env=environment(locked))
        for name, command in commands.items()
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    found = stored(home, "a")
    assert len(identities(found)) == len(found) == 4 * EVENTS
    assert problems(locked, set(identities(found))) == []


@pytest.mark.timeout(360)
def test_a_lock_that_is_not_given_back_is_waited_for_some_seconds(locked):
    """W16, W18: by a reader that took it, or by a writer that was stopped."""
    home = locked.home
    sent = {locked.emit("a.x")}
    size = home.live("a").stat().st_size
    # A reader may take it, too: flock(2) asks for no right to write.
    command = ["flock", "--exclusive", home.live("a"), "tail", "-f", "/dev/null"]
    with subprocess.Popen(command, start_new_session=True) as holder:
        while not is_locked(home.live("a")):
            os.sched_yield()
        os.killpg(holder.pid, signal.SIGSTOP)
        waiting = [
            subprocess.Popen(
                command, env=environment(locked), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for command in COMMANDS
        ]
        said = [each.communicate(timeout=60) for each in waiting]
        assert [each.returncode for each in waiting] == [75, 75]
        assert all(b"try again" in errors for _, errors in said)
        assert locked.home.live("a").stat().st_size == size
        os.killpg(holder.pid, signal.SIGCONT)
        os.killpg(holder.pid, signal.SIGKILL)
    for command in COMMANDS:
        again = subprocess.run(command, env=environment(locked), stdout=subprocess.PIPE, check=True)
        sent.add(again.stdout.decode().strip())
    assert problems(locked, sent) == []


def test_without_the_marker_a_lock_holds_up_nobody(points, bench):
    """W18: there is nothing for a reader to take."""
    bench.emit("a.x")
    with open(bench.home.live("a"), "rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_EX)
        for emitter in EMITTERS:
            ended = struck(
                points.strike, emitter, bench.home, emitter.target(bench.home, "a.x", "x")
            )
            assert ended.status == 0


def test_a_child_that_lives_on_has_no_lock(locked):
    """W17: started by a shell before, between and after its events, as a handler may do."""
    script = """source "$1"; for i in 1 2 3; do
      sleep 60 & printf '%s\\n' "$!"; emit_event a.x w "$i" || exit; done >&3 2>&1"""
    read, write = os.pipe()
    command = ["bash", "-c", f"exec 3>&{write}; {script}", "-", LOGGER]
    done = subprocess.run(
        command, env=environment(locked), pass_fds=[write], timeout=60, check=False
    )
    os.close(write)
    children = [int(pid) for pid in os.read(read, 1000).split()]
    os.close(read)
    try:
        assert done.returncode == 0
        assert not is_locked(locked.home.live("a"))
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    assert len(children) == 3


def is_locked(path):
    """Whether somebody holds the lock."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
