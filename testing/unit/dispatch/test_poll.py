"""The kernel's word on descriptors, and whose they are."""

import os
import time

import pytest

from hookline.dispatch.poll import YOUNG_S, Poll


class PipeRun:
    """A run that has nothing but pipes."""

    def __init__(self):
        self.end, self.end_in = os.pipe()
        self.output, self.output_in = os.pipe()

    def ends(self):
        return [self.end]

    def outputs(self):
        return [self.output]

    def close(self):
        for fd in (self.end, self.end_in, self.output, self.output_in):
            os.close(fd)


@pytest.fixture(name="poll")
def make_poll():
    poll = Poll()
    yield poll
    poll.close()


@pytest.fixture(name="run")
def make_run():
    run = PipeRun()
    yield run
    run.close()


def test_what_a_child_prints_behind_the_end_of_its_run_is_of_no_run(poll, run):
    now_s = time.monotonic()
    poll.watch(run, now_s)
    poll.mind(now_s + YOUNG_S)
    os.write(run.end_in, b"over")
    os.write(run.output_in, b"late")
    heard = []
    for fd, whose in poll.wait(0.0):
        heard.append((fd, whose))
        poll.forget(run)
    assert heard == [(run.end, run), (run.output, None)]


def test_who_prints_is_listened_to_a_little_later(poll, run):
    now_s = time.monotonic()
    poll.watch(run, now_s)
    os.write(run.output_in, b"early")
    poll.mind(now_s)
    assert list(poll.wait(0.0)) == []
    assert poll.next_s() == now_s + YOUNG_S
    poll.mind(now_s + YOUNG_S)
    assert list(poll.wait(0.0)) == [(run.output, run)]
    assert poll.next_s() is None
    poll.mute(run, run.output)
    assert list(poll.wait(0.0)) == []
    poll.forget(run)
