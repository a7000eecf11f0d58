"""Being woken by the wall clock. That the kernel tells of a clock that is set cannot be tried
without setting it: here, what it then says is said by another."""

import ctypes
import errno
import os
import select
import time

import pytest

from hookline.schedule import alarm as waking
from hookline.schedule.alarm import Alarm


@pytest.fixture
def alarm():
    alarm = Alarm()
    yield alarm
    alarm.close()


def now_us():
    return time.time_ns() // 1000


def rings(alarm, within_s):
    return bool(select.select([alarm.fd], [], [], within_s)[0])


def test_it_goes_off_at_its_moment_and_not_before(alarm):
    at_us = now_us() + 30_000
    assert alarm.set(at_us)
    assert rings(alarm, 10)
    assert now_us() >= at_us


@pytest.mark.parametrize("at_us", [None, 1 << 62])
def test_without_a_moment_it_does_not(alarm, at_us):
    assert alarm.set(0)
    assert rings(alarm, 10)
    assert alarm.set(at_us)
    assert not rings(alarm, 0.05)


@pytest.mark.parametrize("at_us", [-5, 0, 1])
def test_for_a_moment_that_is_past_it_goes_off_at_once(alarm, at_us):
    assert alarm.set(at_us)
    assert rings(alarm, 10)


class Kernel:
    """Refuses to set a timer: once for each of these reasons."""

    def __init__(self, *reasons):
        self.reasons, self.flags = list(reasons), []

    def timerfd_settime(self, _, flags, *__):
        self.flags.append(flags)
        if not self.reasons:
            return 0
        ctypes.set_errno(self.reasons.pop(0))
        return -1


def test_that_the_clock_was_set_is_told_once(alarm, monkeypatch):
    monkeypatch.setattr(waking, "_libc", Kernel(errno.ECANCELED))
    assert not alarm.set(5)
    assert alarm.set(5)


def test_a_kernel_that_tells_of_no_clock_is_asked_for_the_moment_alone(alarm, monkeypatch):
    kernel = Kernel(errno.EINVAL)
    monkeypatch.setattr(waking, "_libc", kernel)
    assert alarm.set(5)
    assert alarm.set(6)
    assert kernel.flags == [3, 1, 1]


@pytest.mark.parametrize("reasons", [(errno.EBADF,), (errno.EINVAL, errno.EINVAL)])
def test_what_else_the_kernel_says_is_an_error(alarm, monkeypatch, reasons):
    monkeypatch.setattr(waking, "_libc", Kernel(*reasons))
    with pytest.raises(OSError, match="timerfd_settime"):
        alarm.set(5)


def test_what_cannot_be_had_is_an_error(monkeypatch):
    class Exhausted:
        def timerfd_create(self, *_):
            ctypes.set_errno(errno.EMFILE)
            return -1

    monkeypatch.setattr(waking, "_libc", Exhausted())
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        Alarm()
