"""The power goes while everything is at work: what was acknowledged as synced is there and is
delivered, the rest is lost within its window, and the bus goes on by itself."""

import shutil
import time
from contextlib import closing

import pytest

from hookline.dispatch.subscription import SERIAL_OPEN_MAX
from testing.faults.disk_image import why_not
from testing.faults.power_cut import Storm
from testing.faults.recovery import event_line

SYNCED_S = 15.0
"""Far more than the dispatcher's 0.2 s, for a busy machine, and half of what the kernel waits."""


@pytest.fixture
def storm(tmp_path, chance):
    why = why_not(tmp_path)
    if why:
        pytest.skip(f"{why}: test_crash_states.py has the same without a mount")
    options = chance.choice(["defaults", "data=writeback"])
    print(f"mounted with {options}")
    with closing(Storm(tmp_path, chance, options)) as storm:
        yield storm


def check(cut):
    """Everything that holds after any cut."""
    recovery = cut.recovery
    assert cut.lost("each") == []
    before = recovery.delivered()
    runs_before = len(recovery.runs())
    survived = {event for events in recovery.logged().values() for event in events}
    for domain in ("each", "batch", "fast"):
        for told in cut.told.get(domain, ()):
            if told.id in survived:
                recovery.acknowledged.add(told.id)
                recovery.order.setdefault(told.key, []).append(told.id)
        # A cursor that is ahead of the log would skip these, which come to lie where others lay.
        recovery.emit(f"{domain}-later", 5, domain)
    recovery.once()
    assert recovery.problems(cut.known) == []
    again = [run.event for run in recovery.runs()[runs_before:] if run.event in before]
    assert len(again) == len(set(again)), "a second time, and a third"
    assert recovery.wrong() == []
    # The journal alone knows it all.
    shutil.rmtree(recovery.home.state)
    recovery.home.state.mkdir()
    recovery.check_again()


def test_what_was_synced_survives_a_power_cut_and_is_delivered(storm, chance, soak_s):
    storm.write("each", storm.api(sync=True), 0.02)
    storm.write("each", storm.logger, 0.2)
    storm.write("each", storm.emit, 0.2)
    storm.write("batch", storm.api(sync=False), 0.02)
    storm.write("fast", storm.api(sync=False), 0.002)
    storm.rotations("each", 0.3)
    storm.rotations("fast", 0.2)
    with storm.dispatching():
        for cut in cuts(storm, chance, soak_s):
            check(cut)
            for domain, told in cut.told.items():
                lost, age_s = len(cut.lost(domain)), cut.lost_age_s(domain)
                print(f"{domain}: {lost} of {len(told)} lost, acknowledged {age_s:.3f} s before")


def cuts(storm, chance, soak_s):
    """Power cuts at random moments, two or as many as there is time for."""
    ends_s = time.monotonic() + soak_s
    count = 0
    while count < 2 or time.monotonic() < ends_s:
        storm.wait(chance.uniform(0.2, 1.0))
        yield storm.cut()
        count += 1


def test_a_dispatcher_syncs_every_log_whoever_reads_it(storm):
    # A handler that stopped is not read for any more; the other domain, nobody ever wanted.
    for number in range(SERIAL_OPEN_MAX + 100):
        storm.api(sync=False)("stopped", event_line("k", number, "stopped")[1])
    domains = ("batch", "stopped", "unwanted")
    for domain in domains:
        storm.write(domain, storm.api(sync=False), 0.05)
    with storm.dispatching():
        storm.wait(1.0)
        cut = storm.cut()
        first = {domain: {each.id for each in cut.told[domain]} for domain in domains}
        ends_s = time.monotonic() + SYNCED_S
        while late := [d for d in domains if first[d] & {each.id for each in cut.lost(d)}]:
            assert time.monotonic() < ends_s, f"not synced: {late}"
            storm.wait(0.3)
            cut = storm.cut()


def test_without_a_dispatcher_the_kernel_decides_what_a_power_cut_takes(storm):
    storm.write("none", storm.api(sync=False), 0.05)
    storm.write("each", storm.api(sync=True), 0.05)
    storm.wait(1.5)
    cut = storm.cut()
    assert cut.lost("each") == []
    # Were nothing lost here, none of these tests would show anything.
    assert len(cut.lost("none")) == len(cut.told["none"]) > 1
