"""Programs that take several events at once: all are done, or each is tried alone."""

import os

import pytest

from hookline.app.explain import explain_event
from hookline.app.selftest import leaks

NAME = "on-a-b.sh"
# A batch with a bad event fails.
PICKY = 'echo "$EVENT_COUNT" >>$OUT; [[ $(<"$1") != *bad* ]] || { echo "found" >&2; exit 65; }'


@pytest.fixture(name="bench", params=["exec", "warm"])
def make_bench(bench, request):
    bench.kind = request.param
    return bench


def told(bench):
    return [(x.action, x.events or x.event, x.verdict, x.then) for x in bench.attempts()]


def test_a_batch_is_on_stdin_and_at_the_path_and_one_line_in_the_journal(bench):
    bench.shell(NAME, 'cat >>$OUT; cat "$1" >>$OUT; echo "$EVENT_COUNT" >>$OUT', "# batch: 3")
    for n in range(5):
        bench.emit("a.b", n)
    bench.drain()
    lines = bench.home.live("a").read_text().splitlines()
    assert bench.said() == [*lines[:3], *lines[:3], "3", *lines[3:], *lines[3:], "2"]
    assert [x[1:] for x in told(bench)] == [(3, "done", "settled"), (2, "done", "settled")]


def test_the_environment_says_nothing_of_one_event_but_which_is_the_cause(bench):
    bench.shell(NAME, "compgen -e EVENT_ | sort >>$OUT; echo $EVENT_ID", "# batch: 9  on: a.*")
    bench.emit("a.b", subject="k")
    last = bench.emit("a.b", subject="k")
    bench.drain()
    shared = "EVENT_ATTEMPT EVENT_CORRELATION EVENT_COUNT EVENT_DEADLINE EVENT_HOPS EVENT_ID"
    assert bench.said() == [*shared.split(), "EVENT_TYPE"]
    assert bench.attempts()[0].stdout == f"{last}\n"
    bench.emit("a.b")
    bench.emit("a.c")
    bench.drain()
    assert bench.said()[7:] == shared.split()
    bench.emit("a.c")
    bench.drain()
    assert {"EVENT_SUBJECT", "EVENT_COUNT", "EVENT_TYPE"} <= set(bench.said()[13:])


def test_of_a_batch_that_fails_the_bad_event_is_found(bench):
    bench.shell(NAME, PICKY, "# batch: 10   attempts: 1")
    for n in range(5):
        bench.emit("a.b", "bad" if n == 3 else n, id=f"e{n}")
    bench.drain()
    bench.emit("a.b", id="e5")
    bench.emit("a.b", id="e6")
    bench.drain()
    assert bench.said() == ["5", "1", "1", "1", "1", "1", "2"]
    assert told(bench) == [
        ("batch", 5, "rejected", "retry"),
        *(("attempt", f"e{n}", "done", "settled") for n in range(3)),
        ("attempt", "e3", "rejected", "dead-letter"),
        ("attempt", "e4", "done", "settled"),
        ("batch", 2, "done", "settled"),
    ]
    assert {x.attempt for x in bench.attempts() if x.action == "attempt"} == {1}
    failed = bench.attempts()[0]
    assert (failed.exit, failed.error, failed.stderr) == (65, "found", "found\n")
    assert [letter["event"]["id"] for letter in bench.letters()] == ["e3"]


def test_a_batch_that_failed_is_seen_by_whoever_looks_for_one_of_its_events(bench):
    bench.shell(NAME, PICKY, "# batch: 10")
    for n in range(3):
        bench.emit("a.b", "bad" if n == 0 else n, id=f"e{n}")
    bench.drain()
    _, rows = explain_event(bench.home, "e2")
    assert [row["answer"] for row in rows] == ["rejected", "done"]
    assert str(rows[0]["why"]).endswith("then retry: found")


def test_a_batch_that_failed_is_not_settled_for_whoever_reads_the_journal_only(bench):
    bench.shell(NAME, '[[ $EVENT_COUNT == 1 ]] || exit 3; echo "$EVENT_ID" >>$OUT', "# batch: 10")
    emitted = [bench.emit("a.b") for _ in range(3)]
    dispatcher = bench.dispatcher()
    while not bench.attempts():
        dispatcher.tick(0.02)
    dispatcher.close()
    for file in bench.home.state.glob("dispatch.db*"):
        file.unlink()
    bench.drain()
    assert bench.said()[-1] == emitted[-1]
    assert set(bench.said()) == set(emitted)


def test_a_batch_that_takes_too_long_is_ended_and_tried_one_by_one(bench):
    bench.shell(NAME, "[[ $EVENT_COUNT == 1 ]] || sleep 996", "# batch: 10   timeout: 300ms")
    for _ in range(3):
        bench.emit("a.b")
    bench.drain()
    assert [x[2:] for x in told(bench)] == [("timeout", "retry"), *[("done", "settled")] * 3]
    assert leaks.settled(bench.home) == []


def test_a_handler_that_cannot_be_run_burns_no_attempt_of_a_batch(bench):
    bench.shell(NAME, "exit 127", "# batch: 10")
    emitted = [bench.emit("a.b") for _ in range(3)]
    bench.drain()
    assert told(bench) == [("attempt", emitted[0], "broken", "held")]
    bench.shell(NAME, 'echo "$EVENT_COUNT" >>$OUT', "# batch: 10")
    bench.run_until(bench.said)
    assert bench.said() == ["3"]


def test_one_event_that_cannot_be_put_into_the_wanted_form_takes_no_other_along(bench):
    bench.shell(NAME, 'echo "$EVENT_COUNT" >>$OUT', "# batch: 10")
    for n in range(3):
        bench.emit("a.b", id=f"e{n}")

    def lines(_, line):
        if b'"id":"e1"' in line:
            raise ValueError("no such form")
        return line

    dispatcher = bench.dispatcher(lines=lines)
    dispatcher.drain()
    dispatcher.close()
    assert [letter["event"]["id"] for letter in bench.letters()] == ["e1"]
    assert bench.said() == ["1", "1"]


def test_a_killed_dispatcher_costs_the_events_of_a_batch_no_attempt(bench):
    body = "[[ $EVENT_COUNT == 1 || -e $OUT ]] || { echo x >>$OUT; kill -9 $PPID; sleep 5; }"
    bench.shell(
        NAME, f"{body}; echo $EVENT_COUNT $EVENT_ATTEMPT >>$OUT", "# batch: 9   attempts: 1"
    )
    for _ in range(3):
        bench.emit("a.b")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        bench.drain()
        os._exit(0)
    os.waitpid(pid, 0)
    bench.drain()
    assert bench.said() == ["x", "1 1", "1 1", "1 1"]
    assert bench.letters() == []
