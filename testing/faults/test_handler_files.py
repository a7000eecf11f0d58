"""Handlers' files that go, change, break or are swapped while they are at work."""

import os
import threading
import time

import pytest

from hookline.app.selftest import leaks

BAD_FILES = {
    "not executable": (":", 0o640, "chmod +x"),
    "others may write": (":", 0o777, "chmod go-w"),
    "set-user-id": (":", 0o4750, "chmod ug-s"),
}


def test_a_handler_that_is_removed_while_it_runs_ends_its_run_and_gets_no_more(bus):
    handler = bus.shell("until [[ -e $HOOKLINE_HOME/go ]]; do sleep 0.05; done")
    first = bus.emit("k")
    process = bus.ready()
    bus.wait(bus.begun, "it does not run")
    kept = handler.rename(bus.home.root / "kept")
    second = bus.emit("k")
    time.sleep(1.5)  # more than one look at the folder
    (bus.home.root / "go").touch()
    bus.wait(lambda: bus.verdicts(first), "its run does not end")
    assert bus.verdicts() == [("done", "settled")]
    kept.rename(handler)
    bus.wait_answered()
    bus.stop(process)
    assert bus.runs() == {first: 1, second: 1}
    bus.check()


@pytest.mark.parametrize("why", BAD_FILES)
def test_a_handler_that_must_not_run_any_more_waits_with_its_events(bus, why):
    body, mode, advice = BAD_FILES[why]
    handler = bus.shell(body)
    process = bus.ready()
    bus.emit("k")
    bus.wait_answered()
    handler.chmod(mode)
    bus.wait(lambda: advice in bus.said(), "it does not say what is wrong")
    late = bus.emit("k")
    time.sleep(1.2)  # more than one look at the folder
    assert late not in bus.begun()
    handler.chmod(0o750)
    bus.wait_answered()
    bus.stop(process)
    assert set(bus.runs().values()) == {1}
    bus.check()


@pytest.mark.parametrize("what", ["Windows line ends", "its interpreter", "its text"])
def test_a_handler_that_is_broken_while_at_work_burns_no_attempt(bus, what):
    handler = bus.shell(":", "attempts: 1")
    good = handler.read_text()
    process = bus.ready()
    bus.emit("k")
    bus.wait_answered()
    broken = {
        "Windows line ends": good.replace("\n", "\r\n"),
        "its interpreter": good.replace("/bin/bash", "/no/such/shell"),
        "its text": good.removeprefix("#!/bin/bash\n"),
    }[what]
    bus.file("on-a-b.sh", broken)
    held = bus.emit("k")
    bus.wait(lambda: bus.verdicts(held), "it is not tried")
    # Twice, where the event came before the new file was seen.
    assert set(bus.verdicts(held)) == {("broken", "held")}
    bus.file("on-a-b.sh", good)
    bus.wait_answered()
    bus.stop(process)
    assert bus.letters() == []
    bus.check()


def test_a_handler_that_is_being_written_to_waits_for_the_writer(bus):
    handler = bus.shell(":", "attempts: 1")
    process = bus.ready()
    bus.emit("k")
    bus.wait_answered()
    with handler.open("a") as file:
        file.write("\n# one more line\n")
        file.flush()
        event = bus.emit("k")
        bus.wait(lambda: bus.verdicts(event) or event in bus.begun(), "it is not tried")
    # Some kernels execute what is being written to; others say ETXTBSY, and it is held.
    assert set(bus.verdicts(event)) <= {("broken", "held"), ("done", "settled")}
    os.utime(handler)
    bus.wait_answered()
    bus.stop(process)
    assert bus.letters() == []
    bus.check()


@pytest.mark.timeout(0)
def test_a_handler_that_is_replaced_all_the_time_runs_whole_versions_only(bus, soak_s):
    body = "version={}; for ((n = 0; n < 200; n++)); do :; done; [[ $version == {} ]]"
    bus.shell(body.format(0, 0), "attempts: 1")
    process = bus.ready()
    stop = threading.Event()

    def swap():
        version = 0
        while not stop.is_set():
            version += 1
            bus.shell(body.format(version, version), "attempts: 1")
            time.sleep(0.01)  # the pace of the swapping

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        ends_s = time.monotonic() + (min(soak_s, 60.0) or 3.0)
        while time.monotonic() < ends_s:
            bus.emit("k")
            time.sleep(0.02)  # the pace of the load
    finally:
        stop.set()
        swapper.join()
    bus.wait_answered(90)
    bus.stop(process)
    assert bus.letters() == []
    assert {verdict for verdict, _ in bus.verdicts()} <= {"done", "broken"}
    bus.check(attempts_max=1)


def test_a_file_that_others_could_write_to_is_never_run_however_briefly_it_is_good(bus):
    bus.shell(":")
    process = bus.ready()
    bus.emit("k")
    bus.wait_answered()
    # What lies there is looked at before each run, not only when the folder has changed.
    hostile = bus.file("on-a-b.sh", '#!/bin/bash\ntouch "$HOOKLINE_HOME/ran"\n', 0o777)
    event = bus.emit("k")
    bus.wait(lambda: "chmod go-w" in bus.said(), "it is not refused")
    time.sleep(1.2)  # more than one look at the folder
    assert not (bus.home.root / "ran").exists()
    assert ("done", "settled") not in bus.verdicts(event)
    hostile.unlink()
    bus.shell(":")
    bus.wait_answered()
    bus.stop(process)
    assert leaks.settled(bus.home) == []


def test_a_new_handler_gets_nothing_from_before_it_however_large_that_is(bench):
    for n in range(3):
        bench.emit("a.b", n)
    bench.emit("a.b", "x" * 100_000)
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: now")
    bench.drain()
    bench.drain()
    assert bench.said() == []
    new = bench.emit("a.b")
    bench.drain()
    assert bench.said() == [new]
