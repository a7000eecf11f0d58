"""What is read of a log, and what of it is for nobody."""

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
