"""What is read of a log, and what of it is for nobody."""

import os
import shutil

import pytest

from hookline.dispatch.feed import Feed
from hookline.dispatch.identities import Identities
from hookline.log.stream import Chunk
from hookline.model.position import Position

START, END = Position(1, 0), Position(1, 9)


class ClosedLog:
    """Empty lines in a closed segment, to which somebody may still write."""

    may_grow = True

    def read(self, position):
        chunk = Chunk(position)
        chunk.next = END
        if position == END:
            chunk.at_end = True
            chunk.again_s = 0.1 if self.may_grow else None
        return chunk

    def first(self):
        return START

    def end(self):
        return END


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


def test_who_waits_at_the_end_of_a_closed_segment_is_not_forgotten_over_others(tmp_path):
    log = ClosedLog()
    feed = Feed("a", log, Identities(tmp_path / "identities"), pytest.fail)
    feed.begin(START)
    feed.read(END)
    feed.read(START)
    assert feed.restless
    log.may_grow = False
    feed.read(END)
    assert not feed.restless
