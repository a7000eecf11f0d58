"""The dispatcher and the signals that its starter has left it."""

import os
import signal
import time
from pathlib import Path

from hookline.dispatch import dispatcher as dispatcher_module
from hookline.dispatch.process import spawn


def test_it_hears_of_the_end_of_a_run_whoever_has_blocked_the_signal(bench, monkeypatch):
    """Some programs start others with the signals blocked that they wait for themselves."""
    monkeypatch.setattr(dispatcher_module, "LOOK_S", 3600.0)
    bench.shell("on-a-b.sh", 'echo one >>"$OUT"')
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        dispatcher = bench.dispatcher()
        with dispatcher.signals():
            for wanted in range(1, 4):
                bench.emit("a.b")
                ends_s = time.monotonic() + 60
                while dispatcher.settled < wanted:
                    assert time.monotonic() < ends_s
                    dispatcher.tick(0.05)
        assert signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        dispatcher.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_children_are_asked_for_when_one_may_have_ended(bench, monkeypatch):
    asked = []
    waitpid = os.waitpid
    monkeypatch.setattr(os, "waitpid", lambda *what: asked.append(what) or waitpid(*what))
    # Looks are for what no signal tells of.
    monkeypatch.setattr(dispatcher_module, "LOOK_S", 3600.0)
    dispatcher = bench.dispatcher()

    def tick(until):
        ends_s = time.monotonic() + 60
        while not until():
            assert time.monotonic() < ends_s
            asked.clear()
            dispatcher.tick(0.05)

    try:
        with dispatcher.signals():
            tick(lambda: asked)
            tick(lambda: not asked)
            child = spawn(["/bin/true"], env={}, cwd="/", descriptors={})
            tick(lambda: not Path(f"/proc/{child}").exists())
            tick(lambda: not asked)
        dispatcher.tick()
        asked.clear()
        dispatcher.tick()
        assert asked, "no signal is heard any more, so that each round asks"
    finally:
        dispatcher.close()
