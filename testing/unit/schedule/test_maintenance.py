"""Maintenance is a file: touch begins it and rm ends it."""

import threading
import time

import pytest

from hookline.model.clock import SystemClock
from hookline.schedule import maintenance as maintaining
from hookline.schedule.maintenance import (
    Maintenance,
    is_maintenance,
    maintenance,
    wait_for_normal_mode,
)


def test_the_marker_is_all_there_is_to_it(home):
    assert not is_maintenance(home)
    assert maintenance(home) is None
    home.maintenance.touch()
    assert is_maintenance(home)
    found = maintenance(home)
    assert found is not None
    assert found.reason == ""
    assert abs(found.since_s - time.time()) < 60
    home.maintenance.unlink()
    assert not is_maintenance(home)


def test_what_the_marker_says_is_the_reason_on_one_line(home):
    home.maintenance.write_bytes(b"new disk,\n back at \xff 9\n" + b"x" * 9000)
    found = maintenance(home)
    assert found is not None
    assert found.reason.startswith("new disk, back at \ufffd 9 xxx")
    assert len(found.reason) < 4097


def test_a_marker_that_cannot_be_read_counts_too(home):
    home.maintenance.mkdir()
    assert is_maintenance(home)
    assert maintenance(home) == Maintenance(home.maintenance.stat().st_mtime, "")


def test_without_it_nobody_waits(home):
    assert wait_for_normal_mode(home, 0.0)
    assert wait_for_normal_mode(str(home.root), 0.0)


def test_it_may_be_waited_for_a_while_only(home):
    home.maintenance.touch()
    assert not wait_for_normal_mode(home, 0.01)


@pytest.mark.parametrize("gone", ["removed", "renamed"])
def test_who_waits_is_told_when_it_is_over(home, gone, monkeypatch):
    monkeypatch.setattr(maintaining, "LOOK_S", 3600.0)
    home.maintenance.touch()
    waits = threading.Event()

    class Clock(SystemClock):
        def monotonic_s(self) -> float:
            waits.set()
            return super().monotonic_s()

    over = threading.Event()

    def wait() -> None:
        assert wait_for_normal_mode(home, 3600.0, clock=Clock())
        over.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    waits.wait()
    if gone == "removed":
        home.maintenance.unlink()
    else:
        home.maintenance.rename(home.root / "maintenance")
    assert over.wait(60)


def test_what_is_put_off_is_not_forgotten_with_whoever_put_it_off(desk, home):
    made = desk('[schedule.m]\nevery = "1m"\nevent = "m.due"\ncatch_up = "none"\n')
    home.maintenance.touch()
    made.at(60).kill()
    home.maintenance.unlink()
    made.clock.advance(100)
    (proof,) = made.open().proofs()
    assert (proof.reason, proof.coalesced, proof.missed) == ("maintenance is over", 1, 0)
