"""What is read of a log, and what of it is for nobody."""

import os
import shutil

import pytest


@pytest.mark.parametrize("lost", ["nothing", "identities"])
def test_a_drain_comes_to_what_lies_behind_much_that_nobody_wants(bench, lost):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: beginning")
    for _ in range(40):
        bench.emit("a.other", "x" * 200_000)
    bench.emit("a.b", id="first")
    bench.drain()
    assert bench.said() == ["first"]
    if lost == "identities":
        shutil.rmtree(bench.home.state / "identities")
    bench.emit("a.b", id="second")
    bench.drain()
    assert bench.said() == ["first", "second"]


def test_a_log_that_lost_its_end_and_grew_past_the_cursor_again_hides_no_event(bench):
    """The event by which the cursor tells the log is there still, and the cursor in another."""
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: beginning")
    bench.emit("a.b", id="first")
    live = bench.home.live("a")
    bytes_kept = live.stat().st_size
    with live.open("ab") as log:
        log.write(b"\n")
    bench.drain()
    os.truncate(live, bytes_kept)
    bench.emit("a.b", id="second")
    bench.drain()
    assert bench.said()[-1] == "second"
