"""Signals as something that poll(2) can wait for."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Heard = Callable[[int], object]
"""Is called with the number of the signal, in the middle of anything: it only notes it."""


def asked_to_stop(heard: Heard) -> dict[int, Heard]:
    """For the signals that ask a program to end, but those that whoever started us has us ignore:
    nohup(1) wants a closed terminal to be no reason."""
    return {
        number: heard
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }


@contextmanager
def hear(heard: Mapping[int, Heard]) -> Iterator[int]:
    """Hear these signals; yields a descriptor that can be read when one has come.

    Those that were blocked by whoever started us are let through. All is as it was, afterwards.
    """
    wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _caller(each)) for number, each in heard.items()}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, before)
    try:
        yield wake
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(wake)
        os.close(write)


def _caller(heard: Heard) -> Callable[[int, object], None]:
    def call(number: int, _frame: object) -> None:
        heard(number)

    return call
