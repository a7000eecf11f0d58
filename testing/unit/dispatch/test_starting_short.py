"""The machine is short of something at each step of starting a run: nothing is left of the start,
and the event is delivered later, by its first attempt. No handler and no command is lost for it."""

import errno
import gc
import mmap
import os
import resource
import socket
import time
from contextlib import closing

import pytest

from hookline.app.pausing import set_paused
from hookline.app.selftest import leaks
from hookline.dispatch import core
from hookline.dispatch.journal import STATE_FILE, JournalFiles
from hookline.dispatch.poll import Poll
from hookline.dispatch.state import State
from hookline.model.errors import TryAgain

SHELL = 'echo "$EVENT_ATTEMPT" >>"$OUT"'
PYTHON = """# run: python   attempts: 1
import os
from hookline import on

@on("a.*")
def handle(event):
    open(os.environ["OUT"], "a").write("1\\n")
"""
STEPS = [
    (os, "memfd_create"),
    (os, "pwrite"),
    (os, "mkdir"),
    (os, "pipe2"),
    (os, "set_blocking"),
    (os, "open"),
    (os, "ftruncate"),
    (os, "chdir"),
    (os, "posix_spawn"),
    (mmap, "mmap"),
    (socket, "socketpair"),
    (Poll, "mind"),
]
STRIKES = 2
"""Of the calls of a function so many are drawn to fail, all of them in a long run."""
NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
NO_DESCRIPTORS = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Strike:
    """Fails one call of a function, and lets all others through."""

    def __init__(self, real, nth, error):
        self.real, self.nth, self.error = real, nth, error
        self.calls, self.armed = 0, False

    def __call__(self, *arguments, **more):
        if self.armed:
            self.calls += 1
            if self.calls == self.nth:
                # A new one: its traceback keeps the dispatcher that it went through.
                raise type(self.error)(*self.error.args)
        return self.real(*arguments, **more)


def delivered(bench, strike):
    """One event, by a dispatcher that is at rest until it comes."""
    bench.out.unlink(missing_ok=True)
    bench.spectator.entries.clear()
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            dispatcher.tick()
            bench.emit("a.b")
            strike.armed = True
            ends_s = time.monotonic() + 60
            while not bench.attempts():
                assert time.monotonic() < ends_s, bench.spectator.notes
                dispatcher.tick(0.02)
    finally:
        strike.armed = False
        dispatcher.close()


@pytest.mark.parametrize("kind", ["exec", "warm", "python"])
@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        *((owner, name, MemoryError()) for owner, name in STEPS),
        *((os, name, NO_ROOM) for name in ("mkdir", "pwrite")),
        (Poll, "mind", NO_ROOM),
        (socket, "socketpair", NO_DESCRIPTORS),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_nothing_is_left_of_a_start_that_fails(
    bench, monkeypatch, kind, owner, name, error, chance, soak_s
):
    monkeypatch.setattr(core, "SHORTAGE_S", 0.02)
    if kind == "python":
        bench.handler("on-a-py.py", PYTHON)
    else:
        bench.kind = kind
        bench.shell("on-a-b.sh", SHELL, "# attempts: 1")
    bench.drain()
    bench.emit("a.b")
    bench.drain()
    gc.collect()
    before = leaks.descriptors(os.getpid())
    real = getattr(owner, name)

    def struck(nth):
        strike = Strike(real, nth, error)
        # A function of a class is found as one that is bound.
        patch = strike if not isinstance(owner, type) else lambda *a, s=strike, **k: s(*a, **k)
        monkeypatch.setattr(owner, name, patch)
        delivered(bench, strike)
        assert bench.said() == ["1"]
        assert bench.verdicts() == [("done", "settled")]
        gc.collect()
        assert leaks.descriptors(os.getpid()) == before
        assert leaks.settled(bench.home) == []
        return strike.calls

    calls = range(1, struck(0) + 1)
    for nth in calls if soak_s else chance.sample(calls, min(len(calls), STRIKES)):
        print(f"call {nth} of {len(calls)}")
        struck(nth)


@pytest.fixture
def no_ledger(monkeypatch):
    """A switch: the next two times the ledger cannot be loaded."""
    left = [0]
    sync = JournalFiles.resume

    def resume(self, known):
        if left[0]:
            left[0] -= 1
            raise TryAgain("too many open files")
        return sync(self, known)

    monkeypatch.setattr(JournalFiles, "resume", resume)
    return lambda: left.__setitem__(0, 2)


def until(bench, dispatcher, condition):
    ends_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_s, bench.spectator.notes
        dispatcher.tick(0.02)


@pytest.mark.parametrize("there", [True, False])
def test_a_command_is_not_lost_while_the_ledger_cannot_be_loaded(
    bench, monkeypatch, no_ledger, there
):
    monkeypatch.setattr("hookline.dispatch.dispatcher.LOOK_S", 0.02)
    handler = bench.shell("on-a-b.sh", SHELL)
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            dispatcher.tick()
            set_paused(bench.home, "on-a-b.sh", "pause", "not now")
            if not there:
                handler.unlink()
            no_ledger()
            until(bench, dispatcher, lambda: "too many open files" in bench.spectator.notes)
            until(bench, dispatcher, lambda: "not now" in index_of(bench))
    finally:
        dispatcher.close()
    bench.shell("on-a-b.sh", SHELL)
    bench.emit("a.b")
    bench.drain()
    assert bench.attempts() == []


def index_of(bench):
    """What the index knows by itself."""
    with closing(State(bench.home.state / STATE_FILE, readonly=True)) as index:
        return str(index.load())


def test_a_handler_is_not_lost_while_the_ledger_cannot_be_loaded(bench, monkeypatch, no_ledger):
    monkeypatch.setattr("hookline.dispatch.dispatcher.LOOK_S", 0.02)
    bench.shell("on-a-b.sh", f"{SHELL}; while [[ ! -e $OUT.go ]]; do sleep 0.01; done")
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            until(bench, dispatcher, bench.said)
            bench.shell("on-a-b.sh", 'echo new >>"$OUT"')
            for _ in range(10):
                dispatcher.tick(0.02)
            no_ledger()
            bench.out.with_name("out.go").touch()
            bench.emit("a.b")
            until(bench, dispatcher, lambda: bench.said() == ["1", "new"])
    finally:
        dispatcher.close()


def test_the_soft_limit_of_open_files_holds_up_no_handler(bench):
    """Each stream program holds four for as long as it is there."""
    bench.kind = "stream"
    for number in range(60):
        bench.shell(f"on-h{number}.sh", 'echo "$EVENT_ID" >>"$OUT"', "# on: a.b")
    event = bench.emit("a.b")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
    try:
        bench.drain()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert bench.said() == [event] * 60
