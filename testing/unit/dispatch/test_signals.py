import os
import select
import signal

import pytest

from hookline.dispatch.signals import asked_to_stop, hear


@pytest.fixture
def hup_as_it_was():
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def can_be_read(fd):
    return bool(select.select([fd], [], [], 0)[0])


def test_a_signal_is_told_and_wakes_who_waits():
    told = []
    with hear({signal.SIGUSR1: told.append}) as wake:
        assert not can_be_read(wake)
        signal.raise_signal(signal.SIGUSR1)
        assert told == [signal.SIGUSR1]
        assert can_be_read(wake)


def test_one_that_is_blocked_comes_through_and_is_blocked_again():
    told = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        signal.raise_signal(signal.SIGUSR1)
        with hear({signal.SIGUSR1: told.append}):
            assert told == [signal.SIGUSR1]
        assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_all_is_as_it_was_afterwards():
    before = signal.getsignal(signal.SIGUSR1)
    open_before = set(os.listdir("/proc/self/fd"))
    with hear({signal.SIGUSR1: lambda _: None}):
        assert signal.getsignal(signal.SIGUSR1) != before
    assert signal.getsignal(signal.SIGUSR1) == before
    assert signal.set_wakeup_fd(-1) == -1
    assert set(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.usefixtures("hup_as_it_was")
def test_a_terminal_that_closes_is_no_reason_under_nohup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert set(asked_to_stop(print)) == {signal.SIGTERM, signal.SIGINT}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert set(asked_to_stop(print)) == {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
