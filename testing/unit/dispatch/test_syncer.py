"""The thread that waits for the disk."""

import os
import select
import threading

import pytest

from hookline.dispatch.syncer import ThreadSyncer


class Disk:
    """A sync that takes until it is let go."""

    def __init__(self):
        self.may_end = threading.Event()
        self.ran = 0

    is_needed = True

    def run(self):
        assert self.may_end.wait(60)
        self.ran += 1

    def end(self):
        pass


@pytest.fixture(name="syncer")
def make_syncer():
    syncer = ThreadSyncer()
    yield syncer
    syncer.close()


def test_who_starts_a_lot_goes_on_and_is_told_of_its_end(syncer):
    disk = Disk()
    assert syncer.done
    for lot in (1, 2):
        disk.may_end.clear()
        syncer.start([disk, disk])
        assert not syncer.done
        assert select.select([syncer.fd], [], [], 0.0)[0] == []
        disk.may_end.set()
        assert select.select([syncer.fd], [], [], 20.0)[0] == [syncer.fd]
        syncer.heard()
        assert (syncer.done, disk.ran) == (True, 2 * lot)
        assert select.select([syncer.fd], [], [], 0.0)[0] == []


def test_without_a_thread_it_takes_as_long_as_the_disk(syncer, monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    disk = Disk()
    disk.may_end.set()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        syncer.start([disk])
    assert (syncer.done, disk.ran) == (True, 1)
    syncer.heard()
    syncer.start([disk])
    syncer.wait()
    assert disk.ran == 2


def test_one_can_wait_for_it(syncer):
    disk = Disk()
    disk.may_end.set()
    syncer.start([disk] * 100)
    syncer.wait()
    assert (syncer.done, disk.ran) == (True, 100)


def test_one_whose_word_cannot_be_sent_goes_on(syncer):
    disk = Disk()
    disk.may_end.set()
    # As full as it can be: the next word that is sent to it is refused.
    os.eventfd_write(syncer.fd, (1 << 64) - 2)
    for ran in (1, 2):
        syncer.start([disk])
        syncer.wait()
        assert disk.ran == ran
