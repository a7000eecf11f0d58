"""The stream and batch handlers of docs/HANDLERS.md do what the page says of them."""

import re

import pytest

from testing.docs.console import CHECKOUT
from testing.unit.bench import make_bench

__all__ = ["make_bench"]

BLOCK = re.compile(r"^```(bash|python)\n(#!.*?)^```$", re.DOTALL | re.MULTILINE)
PAGE = (CHECKOUT / "docs/HANDLERS.md").read_text()
BATCH = next(text for _, text in BLOCK.findall(PAGE) if "batch: 100" in text)
STREAMS = {name: text for name, text in BLOCK.findall(PAGE) if "run: stream" in text}


@pytest.fixture(name="bench")
def make_logs(bench):
    (bench.home.root / "coordination/logs").mkdir()
    return bench


def test_both_are_there():
    assert set(STREAMS) == {"bash", "python"}


@pytest.mark.parametrize("language", ["bash", "python"])
def test_every_event_is_answered(bench, language):
    bench.handler("on-worker-heartbeat.any", STREAMS[language])
    for n in range(150):
        bench.emit("worker.heartbeat", {"worker_id": f"w{n}"})
    bench.drain()
    assert sum(entry.events or 1 for entry in bench.attempts()) == 150
    assert {entry.verdict for entry in bench.attempts()} == {"done"}
    if language == "bash":
        log = bench.home.root / "coordination/logs/seen.log"
        assert log.read_text().split() == [f"w{n}" for n in range(150)]
    else:
        assert "saw w149\n" in "".join(entry.stdout for entry in bench.attempts())


def test_a_heartbeat_of_nobody_is_a_dead_letter_for_the_bash_program(bench):
    bench.handler("on-worker-heartbeat.any", STREAMS["bash"])
    for data in ({"worker_id": "w"}, {}, {"worker_id": "w"}):
        bench.emit("worker.heartbeat", data)
    bench.drain()
    assert [letter["error"] for letter in bench.letters()] == ["a heartbeat of nobody"]
    assert (bench.home.root / "coordination/logs/seen.log").read_text() == "w\nw\n"


def test_the_python_program_wants_it_again_later_and_does_nothing_twice(bench):
    bench.handler("on-worker-heartbeat.any", STREAMS["python"])
    for data in ({"worker_id": "w1"}, {}, {"worker_id": "w2"}):
        bench.emit("worker.heartbeat", data)
    bench.drain()
    assert bench.verdicts() == [("done", "settled"), ("retry", "retry")]
    assert all("w2" not in entry.stdout for entry in bench.attempts())


def test_the_batch_takes_a_hundred_at_once(bench):
    bench.handler("on-worker-heartbeat.any", BATCH)
    for n in range(150):
        bench.emit("worker.heartbeat", {"worker_id": f"w{n}"})
    bench.drain()
    assert [entry.events for entry in bench.attempts()] == [100, 50]
    log = bench.home.root / "coordination/logs/seen.log"
    assert log.read_text().split() == [f"w{n}" for n in range(150)]
