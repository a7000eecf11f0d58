"""The dispatcher is killed, or the disk fails it, at every one of its system calls: it loses
nothing, and says what stopped it."""

import itertools
import os
import resource
import signal
from pathlib import Path

import pytest

from hookline.app import bus as _bus  # noqa: F401  # imported before the fork, not under strace
from hookline.cli import dispatch, main, show
from testing.faults.bus import DEADLINE_S, Bus
from testing.faults.injection import CHANGES, KILL

FALLIBLE = ("openat", "write", "pwrite64", "fdatasync", "fsync", "mkdir", "unlink", "ftruncate")
SHORT_OF_DESCRIPTORS = ("openat", "memfd_create", "pipe2", "timerfd_create", "epoll_create1")
STARTS = ("clone", "clone3", "vfork")
OF_A_START = (*STARTS, "memfd_create", "pipe2", "socketpair", "ioctl", "epoll_ctl", "chdir")
PRELOADED = (dispatch, show)

# It is under the tracer too: what it could not note, it has not done. One event in three fails.
HANDLER = r"""#!/bin/bash
# attempts: 2   backoff: 1ms   key: subject   concurrency: 2
note() {
  printf '%s %s %s %s %s %s\n' "$1" "$EVENT_ID" "$EVENT_SUBJECT" "$EVENT_ATTEMPT" \
    "${EPOCHREALTIME/./}" "${2-}" >>"$HOOKLINE_HOME/out"
}
note begin || exit 1
event=$(<"$1")
status=0
[[ $event != *'"n":1'* ]] || status=1
note end "$status" || exit 1
exit "$status"
"""

# The same for batches: of one with the bad event all have failed.
BATCH = r"""#!/bin/bash
# batch: 9   attempts: 2   backoff: 1ms
note() {
  printf '%s %s %s 1 %s %s\n' "$1" "$id" "$key" "${EPOCHREALTIME/./}" "${2-}" >>"$HOOKLINE_HOME/out"
}
[[ $(<"$1") != *'"n":1'* ]]
status=$?
while IFS= read -r event; do
  [[ $event =~ \"id\":\"([^\"]*)\".*\"subject\":\"([^\"]*)\" ]]
  id=${BASH_REMATCH[1]} key=${BASH_REMATCH[2]}
  note begin && note end "$status" || exit 1
done
exit "$status"
"""


def drain(home):
    """`hookline dispatch --once` in this process."""
    return main.main(["dispatch", "--once", "--home", str(home.root)])


def fresh(homes, make_home, kind):
    """A bus in a new home with some events: what a trial begins with."""
    bus = Bus(make_home(f"home{next(homes)}"))
    if kind == "batch":
        bus.file("on-a-b.sh", BATCH)
    elif kind == "stream":
        bus.stream("if event.data['n'] == 1: sys.exit(1)", "attempts: 2   backoff: 1ms")
    else:
        bus.file("on-a-b.sh", HANDLER.replace("# attempts:", f"# run: {kind}   attempts:"))
    bus.emit_many(3, keys=2)
    return bus


@pytest.fixture
def make_home(home):
    """Makes homes beside the test's own, alike."""

    def make(name):
        root = home.root.parent / name
        for folder in (home.segments, home.queue, home.handlers, home.state, home.config):
            (root / folder.relative_to(home.root)).mkdir(parents=True)
        return type(home)(root)

    return make


def recover(bus, statuses, ended):
    """Whatever has happened: the next dispatcher makes it good."""
    assert ended.status in statuses, ended.stderr
    assert "Traceback" not in ended.stderr
    process = bus.ready()
    bus.wait_answered()
    bus.stop(process)
    bus.check(attempts_max=2)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", ["exec", "warm", "stream", "batch"])
def test_a_dispatcher_that_is_killed_anywhere_loses_nothing(points, make_home, kind):
    homes = itertools.count()

    def trial(strike):
        bus = fresh(homes, make_home, kind)
        ended = strike(lambda: drain(bus.home))
        recover(bus, (0, -signal.SIGKILL), ended)

    points.walk(trial, CHANGES, KILL, quick=4)


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("error", "kind"),
    [("EIO", "exec"), ("EIO", "warm"), ("EIO", "stream"), ("EIO", "batch"), ("ENOSPC", "exec")],
)
def test_a_disk_that_fails_anywhere_loses_nothing(points, make_home, error, kind):
    homes = itertools.count()
    said = (0, os.EX_CANTCREAT, os.EX_IOERR, os.EX_TEMPFAIL, os.EX_CONFIG)
    if error == "ENOSPC":
        # No disk is too full to be read; here it is, and counts as a file that may not be read.
        said += (os.EX_NOPERM,)

    def trial(strike):
        bus = fresh(homes, make_home, kind)
        ended = strike(lambda: drain(bus.home))
        recover(bus, said, ended)

    points.walk(trial, FALLIBLE, f"error={error}", quick=3)


def test_an_event_stays_pending_while_its_dead_letter_cannot_be_written(points, bus):
    bus.shell("exit 1", "attempts: 1")
    bus.home.dead_letters.touch()
    event = bus.emit("k")
    ended = points.strike(
        lambda: drain(bus.home),
        inject=["write:error=ENOSPC:when=1+"],
        paths=[bus.home.dead_letters],
    )
    assert ended.status == os.EX_IOERR
    assert ended.stderr.count("\n") == 1
    assert "No space left" in ended.stderr
    assert bus.verdicts() == []
    assert bus.letters() == []
    bus.once()
    assert [letter["event"]["id"] for letter in bus.letters()] == [event]
    bus.check(attempts_max=2)


def test_a_dispatcher_waits_until_its_dead_letter_can_be_written(bus):
    bus.shell("[[ $EVENT_SUBJECT != bad ]]", "attempts: 1")
    process = bus.ready()
    bus.home.dead_letters.mkdir()
    bus.emit("bad")
    bus.emit("good")
    bus.wait(bus.begun, "nothing runs")
    bus.wait(lambda: "dead-letters.jsonl" in bus.said(), "it does not say what is wrong")
    assert bus.verdicts() == []
    Path(bus.home.dead_letters).rmdir()
    bus.wait_answered()
    assert len(bus.letters()) == 1
    bus.stop(process)
    bus.check(attempts_max=1)


def handler(bus, kind):
    """A handler whose events have one attempt each."""
    if kind == "shell":
        bus.shell(":", "attempts: 1\n# on: a.b new.log")
    elif kind == "stream":
        bus.stream("pass", "attempts: 1")
    else:
        bus.python("pass", "attempts: 1")


def recover_unharmed(bus, ended):
    """What the machine was short of has cost no event its only attempt."""
    assert ended.status in (0, os.EX_TEMPFAIL), ended.stderr
    assert "Traceback" not in ended.stderr
    assert drain(bus.home) == 0
    assert {verdict for verdict, _ in bus.verdicts()} == {"done"}
    assert sorted(bus.begun()) == sorted(bus.acknowledged)
    assert bus.letters() == []
    bus.check(attempts_max=1)


@pytest.mark.parametrize(
    ("name", "nth"),
    [("state/dispatch.db", "2"), ("state/dispatch.db", "1+"), ("config/hookline.toml", "1")],
)
@pytest.mark.parametrize("error", ["EMFILE", "ENOMEM"])
def test_what_cannot_be_opened_just_now_is_not_said_to_be_bad(points, bus, name, nth, error):
    """SQLite then takes the index for one that it may only read."""
    handler(bus, "shell")
    path = bus.home.coordination / name
    path.touch()
    bus.emit("k")
    ended = points.strike(
        lambda: drain(bus.home), inject=[f"openat:error={error}:when={nth}"], paths=[path]
    )
    assert "(INJECTED)" in ended.trace
    assert ended.status == os.EX_TEMPFAIL, ended.stderr
    assert str(path) in ended.stderr
    assert "rebuild" not in ended.stderr
    recover_unharmed(bus, ended)


def all_of_the_dispatcher(trace):
    """Whether no handler was struck: strace follows them, too, and what they lack is their own."""
    struck = {line.split()[0] for line in trace.splitlines() if "(INJECTED)" in line}
    return struck <= {trace.split(maxsplit=1)[0]}


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("kind", "error", "calls"),
    [
        ("shell", "EMFILE", SHORT_OF_DESCRIPTORS),
        ("warm", "ENFILE", SHORT_OF_DESCRIPTORS),
        ("shell", "ENOMEM", (*SHORT_OF_DESCRIPTORS, *OF_A_START)),
        ("warm", "ENOMEM", OF_A_START),
        ("python", "ENOMEM", OF_A_START),
        ("stream", "ENFILE", SHORT_OF_DESCRIPTORS),
        ("stream", "ENOMEM", OF_A_START),
        ("shell", "EAGAIN", STARTS),
    ],
)
def test_a_shortage_anywhere_burns_no_attempt(points, make_home, kind, error, calls):
    homes = itertools.count()

    def trial(strike):
        bus = Bus(make_home(f"home{next(homes)}"))
        if kind == "python":
            bus.python("pass", "attempts: 1")
        elif kind == "stream":
            bus.stream("pass", "attempts: 1")
        else:
            run = "warm" if kind == "warm" else "exec"
            bus.shell(":", f"run: {run}   attempts: 1   key: subject   concurrency: 2")
        bus.emit_many(3, keys=1 if kind in ("python", "stream") else 2)
        ended = strike(lambda: drain(bus.home))
        if all_of_the_dispatcher(ended.trace):
            recover_unharmed(bus, ended)

    points.walk(trial, calls, f"error={error}", quick=4)


@pytest.mark.parametrize("kind", ["shell", "python", "stream"])
def test_too_few_descriptors_burn_no_attempt_however_few(bus, kind, soak_s):
    handler(bus, kind)
    for limit in range(8, 32, 1 if soak_s else 6):
        bus.emit("k")
        process = bus.start("--once", under=["prlimit", f"--nofile={limit}"])
        assert process.wait(DEADLINE_S) in (0, os.EX_TEMPFAIL), bus.said()
    assert "Traceback" not in bus.said()
    bus.once()
    assert set(bus.runs().values()) == {1}
    assert bus.letters() == []
    bus.check(attempts_max=1)


@pytest.mark.parametrize(
    ("kind", "spare"), [("shell", 0), ("shell", 2), ("python", 0), ("python", 5)]
)
def test_a_dispatcher_that_has_no_descriptors_left_waits_and_says_so_once(bus, kind, spare):
    handler(bus, kind)
    process = bus.ready()
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    fds = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (max(fds) + 1 + spare, before[1]))
    bus.emit("k")
    if kind == "shell":
        bus.emit("k", type="new.log")
    bus.wait(lambda: "Too many open files" in bus.said(), "it does not say so")
    looked = looks(process.pid)
    bus.wait(lambda: looks(process.pid) > looked + 60, "it has ended, or sleeps")
    assert process.poll() is None
    assert bus.said().count("\n") <= 2, bus.said()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
    bus.wait_answered()
    bus.stop(process)
    assert set(bus.runs().values()) == {1}
    assert bus.letters() == []
    bus.check(attempts_max=1)


@pytest.mark.parametrize("spare_bytes", [0, 600_000])
@pytest.mark.parametrize("kind", ["shell", "python"])
def test_a_dispatcher_that_has_no_memory_left_waits_and_says_so_once(bus, kind, spare_bytes):
    handler(bus, kind)
    process = bus.ready()
    before = resource.prlimit(process.pid, resource.RLIMIT_AS)
    limit = number_of("VmSize", process.pid) * 1024 + spare_bytes
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, before[1]))
    for _ in range(10):
        bus.emit("k", {"long": "x" * 200_000})
    # Ours, or the system's words, as a process cannot be started.
    bus.wait(lambda: "memory" in bus.said(), "it does not say so")
    looked = looks(process.pid)
    bus.wait(lambda: looks(process.pid) > looked + 20, "it has ended, or sleeps")
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_AS, before)
    bus.wait_answered()
    bus.stop(process)
    assert set(bus.runs().values()) == {1}
    assert bus.letters() == []
    bus.check(attempts_max=1)


def looks(pid):
    """How often a process has gone to sleep by itself."""
    return number_of("voluntary_ctxt_switches", pid)


def number_of(name, pid):
    """A number that the kernel tells of a process (proc(5), status)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError("it is gone")
