"""What the kernel may say to whoever appends, instead of taking the event."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from itertools import count

import pytest

from hookline.log.home import Home
from testing.faults.emitters import (
    EMITTERS,
    LOGGER,
    identities,
    paths_of,
    problems,
    stored,
    struck,
)

SHORT, LONG = 20, 9_000
CALLS = ("openat", "write", "fdatasync", "fsync", "mkdir", "close")
QUICK_ERRORS = ["ENOSPC", "EMFILE"]
ERRORS = [
    *QUICK_ERRORS,
    "EDQUOT",
    "EIO",
    "EROFS",
    "EFBIG",
    "EACCES",
    "ENFILE",
    "ENOMEM",
    "EINTR",
    "EAGAIN",
]


def told_by(ended):
    """What an emitter was told, having ended so; and that it has ended as it should."""
    assert ended.status in (0, 73, 74, 75), ended
    assert len(ended.stderr.splitlines()) == (ended.status != 0), ended
    return ended.stdout.split() if ended.status == 0 else []


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_an_error_is_one_line_and_the_next_is_whole(points, bench, emitter, soak_s):
    """W05, W06, W08, W09, W12, W14, W15: each call on the home answers so, once."""
    acknowledged = {bench.emit("a.x")}
    numbers = count()

    def trial(strike, domain):
        before = identities(stored(bench.home, domain))
        text = "x" * (LONG if next(numbers) % 2 else SHORT)
        target = emitter.target(bench.home, f"{domain}.x", text)
        ended = struck(strike, emitter, bench.home, target, paths=paths_of(bench.home))
        told = told_by(ended)
        following = bench.emit(f"{domain}.x")
        *new, last = identities(stored(bench.home, domain))[len(before) :]
        assert last == following
        assert ended.status or new == told
        # 74 alone means that it may be stored; all others that it is not.
        assert ended.status in (0, 74) or not new
        acknowledged.update(told, [following])

    def new_log(strike):
        if bench.home.live("b").exists():
            bench.home.live("b").rename(bench.home.live(f"b{next(numbers)}"))
        trial(strike, "b")

    for error in ERRORS if soak_s else QUICK_ERRORS:
        points.walk(lambda strike: trial(strike, "a"), CALLS, f"error={error}", quick=4)
        points.walk(new_log, CALLS, f"error={error}", quick=4)
    assert problems(bench, acknowledged) == []


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_on_a_full_disk_it_fails_and_with_room_it_works(points, bench, small_disk, emitter):
    """W05, W06: the last write of all is a short one, by the kernel's own doing."""
    home = Home(small_disk.root / "home")
    home.events.mkdir(parents=True)
    small_disk.fill(leave_bytes=12_000)
    acknowledged = []
    statuses = set()
    for _ in range(7):
        target = emitter.target(home, "a.x", "x" * 3_300)
        ended = struck(points.strike, emitter, home, target)
        acknowledged += told_by(ended)
        statuses.add(ended.status)
    assert statuses == {0, 74}
    small_disk.make_room()
    ended = struck(points.strike, emitter, home, emitter.target(home, "a.x", "x"))
    assert ended.status == 0, ended.stderr
    acknowledged += told_by(ended)
    # Sqlite wants to know where a file really lies, and that is in another name space.
    shutil.copy(home.live("a"), bench.home.live("a"))
    found = identities(stored(bench.home, "a"))
    assert [event for event in found if event in acknowledged] == acknowledged
    assert problems(bench, set(acknowledged)) == []


def run(home, *command, **options):
    """A command in this home, to its end."""
    return subprocess.run(
        command,
        env={**os.environ, "HOOKLINE_HOME": os.fspath(home.root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def limited(limit, *, ignored=True):
    """A shell that sources the library, emits under a limit and goes on."""
    trap = "trap '' XFSZ; " if ignored else ""
    return f"{trap}source {LOGGER}; {limit}; emit_event a.x w '\"y\"'; status=$?; echo on $status"


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_at_the_limit_of_a_file_the_write_is_short(points, bench, emitter):
    """W05, W07: a true short write, since the limit lies in the middle of the line."""
    acknowledged = {bench.emit("a.x", "x" * 800)}
    target = emitter.target(bench.home, "a.x", "x" * 500)
    if emitter.is_command:
        target = ["bash", "-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "-", *target]
    else:
        target = small_files(target)
    ended = struck(points.strike, emitter, bench.home, target)
    assert ended.status == 74, ended
    assert bench.home.live("a").stat().st_size == 1024
    ended = struck(points.strike, emitter, bench.home, emitter.target(bench.home, "a.x", "x"))
    acknowledged.update(told_by(ended))
    assert problems(bench, acknowledged) == []
    (piece,) = bench.home.rejected.iterdir()
    assert '"raw": "{\\"specversion\\"' in piece.read_text()


def small_files(function):
    """The same function where no file may have more than 1024 bytes."""

    def call():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        return function()

    return call


# Told of the limit, which is when a write was a short one, the shell has it lifted.
ROOM_LATER_SHELL = "trap 'ulimit -S -f unlimited' XFSZ; ulimit -S -f 1; "
IN_ONE_SHELL = [each for each in EMITTERS if not each.is_command or str(each) == "sourced"]


def room_later(function):
    """The same function, which may write more again as soon as a write was a short one."""
    write = os.write
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_once(fd, data):
        written = write(fd, data)
        if written < len(data):
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        return written

    def call():
        os.write = write_once
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, unlimited[1]))
        return function()

    return call


@pytest.mark.parametrize("emitter", IN_ONE_SHELL, ids=str)
def test_a_short_write_is_ended_by_its_writer_where_there_is_room(points, bench, emitter):
    """W05: at once, whoever reads or writes next. What dd cuts short is ended by the same code."""
    acknowledged = {bench.emit("a.x", "x" * 800)}
    target = emitter.target(bench.home, "a.x", "x" * 500)
    if emitter.is_command:
        bash, option, script, *rest = target
        target = [bash, option, ROOM_LATER_SHELL + script, *rest]
    else:
        target = room_later(target)
    ended = struck(points.strike, emitter, bench.home, target)
    assert ended.status == 74, ended
    log = bench.home.live("a").read_bytes()
    assert (len(log), log[-1:]) == (1025, b"\n")
    acknowledged.add(bench.emit("a.x"))
    assert problems(bench, acknowledged) == []
    (piece,) = bench.home.rejected.iterdir()
    assert '"raw": "{\\"specversion\\"' in piece.read_text()


def test_at_the_limit_a_command_lives(bench):
    """W07: the library leaves the traps of a shell that sources it alone."""
    acknowledged = {bench.emit("a.x", "x" * 800)}
    done = run(bench.home, "bash", "-c", f"ulimit -f 1; {LOGGER} --emit a.x w 1; echo on $?")
    assert done.stdout == "on 74\n"
    done = run(bench.home, "bash", "-c", limited("ulimit -f 1"))
    assert done.stdout == "on 74\n"
    assert "with the id" in done.stderr
    done = run(bench.home, "bash", "-c", limited("ulimit -f 1", ignored=False))
    assert (done.returncode, done.stdout) == (-signal.SIGXFSZ, "")
    assert problems(bench, acknowledged) == []


@pytest.mark.parametrize("left", range(3, 9))
def test_without_free_descriptors_it_says_try_again(bench, left):
    """W12: so few that only some of the calls find one."""
    done = run(bench.home, "bash", "-c", limited(f"ulimit -n {left}"))
    stored_now = len(stored(bench.home, "a"))
    assert done.stdout in ("on 0\n", "on 75\n"), done.stderr
    assert stored_now == (done.stdout == "on 0\n")
    # Bash needs six to run a script at all, and Python five to begin.
    for least, command in (
        (6, (LOGGER, "--emit", "a.x", "w", "1")),
        (5, (sys.executable, "-m", "hookline", "emit", "a.x")),
    ):
        done = run(bench.home, "bash", "-c", f'ulimit -n {left}; exec "$@"', "-", *command)
        assert (done.returncode == 0) == (len(stored(bench.home, "a")) > stored_now), done.stderr
        assert left < least or done.returncode in (0, 75), done.stderr
        stored_now = len(stored(bench.home, "a"))


def test_a_fork_that_is_refused_is_tried_again_by_bash(points, bench, soak_s):
    """W13: a long line needs one; refused for good, the shell ends after half a minute."""
    command = [LOGGER, "--emit", "a.x", "w", '"%s"' % ("x" * LONG)]
    environment = {**os.environ, "HOOKLINE_HOME": os.fspath(bench.home.root)}
    bench.emit("a.x")
    inject = [f"{call}:error=EAGAIN:when=1" for call in ("clone", "clone3", "fork", "vfork")]
    ended = points.strike(command, inject=inject, env=environment)
    assert ended.status == 0, ended
    assert ended.stdout.split() == identities(stored(bench.home, "a"))[1:]
    if soak_s:
        inject = [each.replace("=1", "=1+") for each in inject]
        ended = points.strike(command, inject=inject, env=environment)
        assert ended.status not in (0, 64, 65)
        assert len(stored(bench.home, "a")) == 2


def test_without_memory_it_says_try_again(bench, tmp_path):
    """W13: 40 MB are enough to begin and too little for the data, of which nothing is stored."""
    data = tmp_path / "data"
    data.write_bytes(b'"%s"' % (b"x" * (15 << 20)))
    command = [sys.executable, "-m", "hookline", "emit", "a.x", "--data", f"@{data}"]
    done = run(bench.home, "bash", "-c", 'ulimit -v 40000; exec "$@"', "-", *command)
    assert done.returncode == 75, done.stderr
    assert done.stderr == "hookline emit: there is not enough memory: try again\n"
    assert list(bench.home.coordination.rglob("*.json*")) == []


@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_a_disk_that_may_not_be_written_to_says_so(points, small_disk, emitter):
    """W14: mounted read only, with a log that is there and with one that is not."""
    home = Home(small_disk.root / "home")
    home.events.mkdir(parents=True)
    ended = struck(points.strike, emitter, home, emitter.target(home, "a.x", "x"))
    assert ended.status == 0
    before = home.live("a").read_bytes()
    small_disk.set_read_only(True)
    for type in ("a.x", "b.x"):
        ended = struck(points.strike, emitter, home, emitter.target(home, type, "x"))
        told_by(ended)
        assert ended.status == 73, ended
    assert home.live("a").read_bytes() == before


@pytest.mark.parametrize("what", ["no home", "a file for the folder", "not allowed"])
@pytest.mark.parametrize("emitter", EMITTERS, ids=str)
def test_a_folder_that_will_not_do_is_told(points, bench, emitter, what):
    """W15: and nothing is stored in another place."""
    home = bench.home
    if what == "no home":
        shutil.rmtree(home.root)
    elif what == "a file for the folder":
        shutil.rmtree(home.events)
        home.events.write_text("mine")
    else:
        home.events.chmod(0o500)
        if os.access(home.events, os.W_OK):
            pytest.skip("root may write anywhere: the injected EACCES stands for it")
    ended = struck(points.strike, emitter, home, emitter.target(home, "a.x", "x"))
    told_by(ended)
    assert ended.status == 73, ended
    assert str(home.root) in ended.stderr
    if what == "not allowed":
        home.events.chmod(0o700)
