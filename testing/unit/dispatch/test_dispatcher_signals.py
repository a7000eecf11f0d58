"""The dispatcher and the signals that its starter has left it."""

import signal
import time

from hookline.dispatch import dispatcher as dispatcher_module


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
                ends_s = time.monotonic() + 20.0
                while dispatcher.settled < wanted:
                    assert time.monotonic() < ends_s
                    dispatcher.tick(0.05)
        assert signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        dispatcher.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
