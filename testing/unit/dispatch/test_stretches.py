"""Events that go through a Python handler in stretches come to what they would come to one by
one."""

import random
import time
from contextlib import closing

import pytest

from hookline.dispatch.journal import STATE_FILE, read_ledger
from hookline.dispatch.python_runner import STRETCH_MAX, next_stretch
from hookline.dispatch.state import State
from hookline.log.files import append_line
from hookline.model import ids
from hookline.model.envelope import line

HANDLER = """# run: python   attempts: 2   backoff: 10ms   from: beginning
import os
from hookline import Reject, on

@on("a.b", "a.d")
def handle(event):
    with open(os.environ["OUT"], "a") as out:
        print(event.id, file=out)
    if event.subject == "rejected":
        raise Reject("no")
    if event.subject == "fails":
        1 / 0
"""
OLD = b'{"event_type":"zombie_detected","worker_id":"w","timestamp":"2025-11-18T14:35:24-0600"}'
ODD = [b"", b'{"specversion":"1.0","id":"torn', OLD, b"null"]
NOW_NS = 1_763_689_000_000_000_000


def event_line(id, type, subject):
    time = "2026-11-21T01:35:31.123456Z"
    return line(id=id, source="test", type=type, time=time, subject=subject, data=b'"\\\\ \\u00e9"')


def history(chance, count, *, odd):
    """Lines, and the ids and subjects of the events among them that the handler is owed."""
    lines, owed = [], []
    for _ in range(count):
        if chance.random() < odd:
            lines.append(chance.choice(ODD))
            if owed and chance.random() < 0.5:
                lines.append(event_line(chance.choice(owed)[0], "a.b", None))
            continue
        type = chance.choice(("a.b", "a.b", "a.c", "a.d"))
        subject = chance.choice((None, None, None, "rejected", "fails")) if odd else None
        id = ids.uuid7(NOW_NS) if chance.random() > odd else f"x-{len(lines)}"
        lines.append(event_line(id, type, subject))
        if type != "a.c":
            owed.append((id, subject))
    return lines, owed


def settled(bench):
    ends = [entry for entry in bench.attempts() if entry.then in ("settled", "dead-letter")]
    return sum(entry.events or 1 for entry in ends)


@pytest.mark.parametrize(("count", "odd"), [(3000, 0.0), (300, 0.1)])
def test_each_event_is_handled_once_in_order_whatever_lies_between(bench, seed, count, odd):
    lines, owed = history(random.Random(seed), count, odd=odd)  # noqa: S311  # a test's dice
    append_line(bench.home.live("a"), b"\n".join(lines))
    bench.handler("on-a-py.py", HANDLER)
    expected = [id for id, subject in owed for _ in range(1 + (subject == "fails"))]
    letters = [id for id, subject in owed if subject]
    bench.run_until(lambda: settled(bench) == len(owed), 60.0)
    assert bench.said() == expected
    assert [letter["event"]["id"] for letter in bench.letters()] == letters
    progress = read_ledger(bench.home).handlers["on-a-py.py"]
    assert (progress.pending, progress.settled) == ({}, {})


def test_a_long_stretch_is_few_lines_of_the_journal(bench):
    lines, owed = history(random.Random(1), 8000, odd=0.0)  # noqa: S311  # a test's dice
    append_line(bench.home.live("a"), b"\n".join(lines))
    bench.handler("on-a-py.py", HANDLER.replace("    with", "    return\n    with"))
    bench.drain()
    batches = [entry for entry in bench.journal() if entry["action"] == "batch"]
    assert sum(entry["events"] for entry in batches) == len(owed)
    assert len(bench.journal()) < 200


def test_what_comes_behind_a_stretch_is_told_by_its_last_event(bench):
    """A cursor names the event that it stands behind."""
    lines, owed = history(random.Random(2), 50, odd=0.0)  # noqa: S311  # a test's dice
    append_line(bench.home.live("a"), b"\n".join(lines))
    bench.handler("on-a-py.py", HANDLER)
    bench.drain()
    cursor = read_ledger(bench.home).handlers["on-a-py.py"].cursors["a"]
    text = bench.home.live("a").read_bytes()
    assert cursor.event.encode() in text[cursor.mark :].split(b"\n")[0]
    assert cursor.position.offset == len(text)
    bench.emit("a.b", id="next")
    bench.drain()
    assert bench.said() == [*(id for id, _ in owed), "next"]


@pytest.mark.parametrize(
    ("stretch", "events", "done", "ms", "following"),
    [
        (64, 64, 64, 1.0, 128),
        (64, 64, 64, 0.0, 128),
        (STRETCH_MAX, 4096, 4096, 1.0, STRETCH_MAX),
        (64, 64, 64, 64_000.0, 1),
        (64, 64, 64, 100.0, 32),
        (64, 64, 0, 0.1, 1),
        (64, 64, 5, 0.1, 11),
        (1, 1, 1, 0.1, 2),
    ],
)
def test_a_stretch_is_what_can_be_done_in_time(stretch, events, done, ms, following):
    assert next_stretch(stretch, events, done, ms) == following


def committed(bench):
    """The last event before the cursor that is in the index."""
    with closing(State(bench.home.state / STATE_FILE, readonly=True)) as index:
        return index.load().handlers["on-a-py.py"].cursors["a"].event


def test_what_is_settled_is_committed_before_it_fills_the_memory(bench, monkeypatch):
    monkeypatch.setattr("hookline.dispatch.commits.COMMIT_S", 3600.0)
    monkeypatch.setattr("hookline.dispatch.books.SETTLED_BYTES_MAX", 10_000)
    lines, owed = history(random.Random(3), 500, odd=0.0)  # noqa: S311  # a test's dice
    append_line(bench.home.live("a"), b"\n".join(lines))
    bench.handler("on-a-py.py", HANDLER)
    dispatcher = bench.dispatcher()
    try:
        ends_s = time.monotonic() + 60.0
        while len(bench.said()) < len(owed) or not committed(bench):
            assert time.monotonic() < ends_s
            dispatcher.tick(0.05)
            assert not dispatcher._books.full
    finally:
        dispatcher.close()


@pytest.mark.parametrize(("handlers", "share"), [(1, 2 << 20), (8, 1 << 19), (100, 1 << 16)])
def test_handlers_share_what_is_read_ahead(bench, handlers, share):
    for number in range(handlers):
        bench.shell(f"on-a-n{number}.sh", ":")
    dispatcher = bench.dispatcher()
    try:
        dispatcher.drain()
        assert {each.subscription.bytes_max for each in dispatcher.roster} == {share}
    finally:
        dispatcher.close()
