"""What is particular to stream handlers; what they share with programs is tested in
test_dispatcher.py."""

import fcntl
import gc
import os
import sys
import time
from itertools import pairwise

import pytest

from hookline.app.selftest import leaks
from hookline.dispatch.environment import run_mark
from hookline.dispatch.handlers import discover
from hookline.dispatch.process import family
from hookline.dispatch.stream_runner import StreamRun

NAME = "on-a-b.py"
# Its body sees `event`, and `n`, which is the event's data; `answer` says what came of it.
PROGRAM = """#!{python} -IS
# run: stream   {header}
import json, os, signal, sys, time

out = open(os.environ["OUT"], "ab", buffering=0)
home = os.environ["HOOKLINE_HOME"]

def note(*words):
    out.write((" ".join(map(str, words)) + "\\n").encode())

def answer(event, *words):
    os.write(3, (" ".join(map(str, [event["id"], *words])) + "\\n").encode())

def until(name):
    while not os.path.exists(os.path.join(home, name)):
        time.sleep(0.005)

note("start", os.getpid())
for line in sys.stdin:
    event = json.loads(line)
    n = event["data"]
    n = n[0] if isinstance(n, list) else n
    note(n)
{body}
note("end")
"""


def stream(bench, body, header=""):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    text = PROGRAM.format(python=sys.executable, header=header, body=lines)
    new = bench.handler(f".{NAME}", text)
    return new.rename(bench.home.handlers / NAME)


def emit(bench, count, **more):
    return [bench.emit("a.b", n, id=f"e{n}", **more) for n in range(count)]


def seen(bench):
    """The events that programs have read, in that order."""
    return [int(line) for line in bench.said() if line.isdigit()]


def starts(bench):
    return [int(line.split()[1]) for line in bench.said() if line.startswith("start")]


def told(bench):
    """Each line of the journal about an end: its event or how many, verdict, what follows."""
    return [(x.events or x.event, x.verdict, x.then) for x in bench.attempts()]


def settled(bench):
    return sum(x.events or 1 for x in bench.attempts() if x.then in ("settled", "dead-letter"))


def test_a_program_is_started_once_and_ends_with_its_input(bench):
    stream(bench, "answer(event, 0)")
    emit(bench, 40)
    bench.drain()
    assert seen(bench) == list(range(40))
    assert settled(bench) == 40
    assert len(starts(bench)) == 1
    assert bench.said()[-1] == "end"
    assert leaks.settled(bench.home) == []


def test_nothing_is_kept_of_what_is_over(bench):
    stream(bench, "answer(event, 0)", "window: 1")
    emit(bench, 20)
    # Of other tests there may be some that nobody has collected, or that a traceback keeps.
    gc.collect()
    others = {id(each) for each in stream_runs()}
    bench.run_until(lambda: settled(bench) == 20 and {id(x) for x in stream_runs()} <= others)


def stream_runs():
    return [each for each in gc.get_objects() if isinstance(each, StreamRun)]


def test_verdicts_are_settled_as_they_come(bench):
    stream(bench, "until('go') if n == 3 else None\nanswer(event, 0)")
    emit(bench, 5)
    bench.run_until(lambda: settled(bench) == 3)
    (bench.home.root / "go").touch()
    bench.drain()
    assert [each for each in seen(bench) if each < 3] == [0, 1, 2]
    assert settled(bench) == 5


def test_verdicts_count_in_the_order_of_the_events(bench):
    body = "kept = globals().setdefault('kept', [])\nkept.insert(0, event)\n"
    body += "if n == 2:\n    [answer(each, 0) for each in kept]"
    stream(bench, body)
    emit(bench, 3)
    bench.drain()
    assert told(bench) == [(3, "done", "settled")]


def test_what_is_behind_a_rejected_or_a_skipped_event_goes_on(bench):
    stream(bench, "answer(event, *{1: (65, 'never this'), 3: (99,)}.get(n, (0,)))")
    emit(bench, 5)
    bench.drain()
    assert [verdict for _, verdict, _ in told(bench)].count("rejected") == 1
    assert [verdict for _, verdict, _ in told(bench)].count("skipped") == 1
    assert [letter["error"] for letter in bench.letters()] == ["never this"]
    assert seen(bench) == [0, 1, 2, 3, 4]
    assert settled(bench) == 5


@pytest.mark.parametrize("status", [75, 1, 255])
def test_what_is_behind_an_event_that_is_to_come_again_waits_for_it(bench, status):
    body = f"if n == 1 and not os.path.exists('{bench.home.root}/failed'):\n"
    body += f"    open('{bench.home.root}/failed', 'w')\n    answer(event, {status}, 'not yet')\n"
    body += "    signal.pause()\nanswer(event, 0)"
    stream(bench, body, "backoff: 1ms   attempts: 2")
    emit(bench, 4)
    bench.run_until(lambda: settled(bench) == 4)
    assert seen(bench) == [0, 1, 1, 2, 3]
    assert len(starts(bench)) == 2
    failed = [x for x in bench.attempts() if x.then == "retry"]
    assert [(x.event, x.error, x.exit) for x in failed] == [("e1", "not yet", status)]
    assert {x.attempt for x in bench.attempts() if x.event != "e1"} <= {0, 1}


def test_a_json_answer_says_when_the_event_is_to_come_again(bench):
    stream(
        bench,
        "text = json.dumps({'id': event['id'], 'status': 75, 'error': 'later', 'after_s': 3600})\n"
        "os.write(3, text.encode() + b'\\n')",
    )
    emit(bench, 1)
    bench.drain()
    (entry,) = bench.attempts()
    assert (entry.verdict, entry.error) == ("retry", "later")
    assert entry.due - time.time() > 3500


@pytest.mark.parametrize(
    ("end", "error", "signalled"),
    [
        ("os._exit(7)", "its program ended with exit 7 before it had answered", None),
        ("os._exit(0)", "its program ended with exit 0 before it had answered", None),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL before it had answered", 9),
        ("1 / 0", "ZeroDivisionError: division by zero", None),
    ],
)
def test_the_oldest_event_is_to_blame_when_its_program_dies(bench, end, error, signalled):
    stream(bench, f"if n == 2:\n    {end}\nanswer(event, 0)", "attempts: 2   backoff: 1ms")
    emit(bench, 6)
    bench.run_until(lambda: settled(bench) == 6)
    # The second time it is alone, and those behind it come when it is a dead letter.
    assert [n for n in seen(bench) if n == 2] == [2, 2]
    (letter,) = bench.letters()
    assert letter["event"]["id"] == "e2"
    assert letter["attempts"] == 2
    assert letter.get("signal") == signalled
    assert error in letter["error"]
    assert {x.attempt for x in bench.attempts() if x.event != "e2"} <= {0, 1}


@pytest.mark.parametrize(
    ("junk", "error"),
    [
        (rb"what?\n", "no answer: 'what?'"),
        (rb"e0 0\n", "it answered for e0, which"),
        (rb"e9 0\n", "it answered for e9, which"),
        (rb"e1 256\n", "no answer"),
        (rb"e1 -1\n", "no answer"),
        (rb"e1\n", "no answer"),
        (rb"\n", "no answer"),
        (rb"\xff 0\n", "no answer"),
        (rb'{"id":"e1"}\n', "no answer"),
        (rb'{"id":"e1","status":1000}\n', "no answer"),
        (rb"[" * 9000 + rb"\n", "no answer"),
        (rb"e1" * 50_000, "does not end"),
    ],
)
def test_what_is_no_answer_ends_the_program(bench, junk, error):
    junk = junk.replace(rb"\n", b"\n").replace(rb"\xff", b"\xff")
    stream(
        bench,
        f"if n == 1 and len(sys.argv) < 2:\n    os.write(3, {junk!r})\n    signal.pause()\n"
        "answer(event, 0)",
        "attempts: 1",
    )
    emit(bench, 3)
    bench.run_until(lambda: settled(bench) == 3)
    (letter,) = bench.letters()
    assert letter["event"]["id"] == "e1"
    assert error in letter["error"]
    assert seen(bench)[-1] == 2


@pytest.mark.parametrize("what", ["os.close(3)", "os.close(0)", "os.close(3); os.close(0)"])
def test_who_closes_a_descriptor_and_lives_on_is_ended(bench, what):
    stream(bench, f"{what}\nsignal.pause()", "attempts: 1   window: 1")
    emit(bench, 2)
    bench.run_until(lambda: settled(bench) == 2)
    closed = "descriptor 3" if "3" in what else "stdin"
    assert {letter["error"] for letter in bench.letters()} == {f"it has closed {closed}"}


def test_a_program_that_never_reads_holds_up_nobody_and_grows_nothing(bench):
    path = stream(bench, "pass", "timeout: 300ms   attempts: 1   window: 8")
    path.write_text(path.read_text().replace("for line in", "signal.pause()\nfor line in"))
    bench.shell("on-a-c.sh", "echo other >>$OUT", "# on: a.b")
    for _ in range(8):
        bench.emit("a.b", "x" * 200_000)
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            ends_s = time.monotonic() + 60
            while bench.said().count("other") < 8 or len(bench.letters()) < 2:
                assert time.monotonic() < ends_s
                dispatcher.tick(0.05)
    finally:
        dispatcher.close()
    assert bench.verdicts(NAME)[0] == ("timeout", "dead-letter")


def test_a_full_pipe_is_filled_up_as_it_is_read(bench):
    stream(bench, "assert len(event['data'][1]) == 200_000\nanswer(event, 0)")
    for n in range(20):
        bench.emit("a.b", [n, "x" * 200_000])
    bench.drain()
    assert seen(bench) == list(range(20))
    assert settled(bench) == 20


def test_a_flood_of_output_is_cut_and_its_end_is_kept(bench):
    body = "sys.stderr.write('x' * 1_000_000 + 'last words')\nsys.stderr.flush()\nanswer(event, 0)"
    stream(bench, body)
    emit(bench, 3)
    bench.drain()
    assert settled(bench) == 3
    ends = [entry.stderr for entry in bench.attempts()]
    assert ends[-1].endswith("last words")
    assert all(len(text) < 5000 for text in ends)


def test_a_replaced_program_ends_before_the_new_one_starts(bench):
    path = stream(bench, "answer(event, 0)")
    slow = "time.sleep(0.5)  # what an end may take\n"
    path.write_text(path.read_text().replace('note("end")', f'{slow}note("end")'))
    emit(bench, 1)
    steps = []

    def replaced():
        if settled(bench) == 1 and not steps:
            path = stream(bench, "answer(event, 0)")
            text = path.read_text().replace('note("start"', 'note("new")\nnote("start"')
            path.write_text(text)
            bench.emit("a.b", 7)
            steps.append("replaced")
        return settled(bench) == 2

    bench.run_until(replaced)
    said = [line.partition(" ")[0] for line in bench.said()]
    assert said == ["start", "0", "end", "new", "start", "7", "end"]
    assert bench.spectator.notes == []


def test_a_removed_handler_takes_its_program_along(bench):
    path = stream(bench, "answer(event, 0)")
    emit(bench, 1)

    def removed():
        if settled(bench) == 1:
            path.unlink(missing_ok=True)
        return bench.said()[-1:] == ["end"]

    bench.run_until(removed)
    assert settled(bench) == 1


def test_a_program_that_does_not_end_with_its_input_is_killed(bench):
    path = stream(bench, "answer(event, 0)")
    path.write_text(path.read_text() + "signal.pause()\n")
    emit(bench, 1)
    bench.drain()
    assert bench.said()[-1] == "end"
    assert leaks.settled(bench.home) == []


def test_a_slow_event_is_timed_from_when_it_was_the_oldest(bench):
    stream(bench, "time.sleep(0.25)  # less than a timeout\nanswer(event, 0)", "timeout: 1s")
    emit(bench, 6)
    bench.drain()
    assert {verdict for _, verdict, _ in told(bench)} == {"done"}


def test_who_hangs_is_ended_with_all_that_it_started(bench):
    stream(
        bench,
        "if n == 1:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    os.system('setsid sleep 997 & (setsid sleep 998 &)')\n    signal.pause()\n"
        "answer(event, 0)",
        "timeout: 400ms   attempts: 1",
    )
    emit(bench, 3)
    bench.run_until(lambda: settled(bench) == 3)
    assert [letter["verdict"] for letter in bench.letters()] == ["timeout"]
    assert [letter["event"]["id"] for letter in bench.letters()] == ["e1"]
    assert leaks.settled(bench.home) == []


@pytest.mark.parametrize("status", [77, 78])
def test_a_program_that_may_not_work_pauses_its_handler(bench, status):
    stream(bench, f"sys.exit({status})")
    emit(bench, 3)
    bench.drain()
    assert told(bench) == [("e0", "rejected", "dead-letter")]
    assert [alert[:2] for alert in bench.alerts] == [("handler_paused", NAME)]


def test_one_event_that_cannot_be_put_into_the_wanted_form_takes_no_other_along(bench):
    stream(bench, "answer(event, 0)", "window: 4")
    emit(bench, 6)

    def lines(_, line):
        if b'"id":"e2"' in line:
            raise ValueError("no such form")
        return line

    dispatcher = bench.dispatcher(lines=lines)
    dispatcher.drain()
    dispatcher.close()
    assert [letter["event"]["id"] for letter in bench.letters()] == ["e2"]
    assert seen(bench) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("text", ["#!/no/such/program\n# run: stream\n", "", "answered"])
def test_a_program_that_cannot_be_run_burns_no_attempt(bench, text):
    if text.startswith("#!"):
        bench.handler(NAME, text)
    else:
        stream(bench, "answer(event, 126)" if text else "sys.exit(127)")
    emit(bench, 3)
    bench.drain()
    assert told(bench) == [("e0", "broken", "held")]
    stream(bench, "answer(event, 0)")
    bench.run_until(lambda: settled(bench) == 3)
    assert {x.attempt for x in bench.attempts() if x.verdict == "done"} <= {0, 1}


def test_keys_go_side_by_side_on_one_program_and_keep_their_order(bench):
    body = "kept = globals().setdefault('kept', [])\nkept.insert(0, event)\n"
    body += "if len(kept) == 3:\n    [answer(each, 0) for each in kept]\n    kept.clear()"
    stream(bench, body, "key: subject   concurrency: 3")
    for n in range(9):
        bench.emit("a.b", n, subject=f"k{n % 3}")
    bench.drain()
    assert settled(bench) == 9
    assert len(starts(bench)) == 1
    for key in range(3):
        mine = [n for n in seen(bench) if n % 3 == key]
        assert mine == sorted(mine)


def test_of_side_by_side_events_only_the_one_that_hangs_is_to_blame(bench):
    body = "if open(out.name).read().count('start') > 1:\n    answer(event, 0)"
    stream(bench, body, "key: subject   concurrency: 3   attempts: 1   timeout: 1s")
    bench.emit("a.b", 0, id="e0", subject="k0")
    moments = []

    def the_others_come_later():
        if seen(bench) and len(moments) == 0:
            moments.append(time.monotonic())
        if len(moments) == 1 and time.monotonic() > moments[0] + 0.3:
            moments.append(time.monotonic())
            for n in (1, 2):
                bench.emit("a.b", n, id=f"e{n}", subject=f"k{n}")
        return settled(bench) == 3

    bench.run_until(the_others_come_later)
    assert [letter["event"]["id"] for letter in bench.letters()] == ["e0"]
    assert {(x.event, x.attempt) for x in bench.attempts()} == {("e0", 1), ("e1", 1), ("e2", 1)}
    assert len(starts(bench)) == 2


def test_a_program_that_ends_again_and_again_is_started_ever_later(bench):
    stream(bench, "note('at', time.monotonic_ns())\nos._exit(1)", "attempts: 5   backoff: 1ms")
    emit(bench, 1)
    bench.run_until(bench.letters)
    moments = [int(line.split()[1]) / 1e9 for line in bench.said() if line.startswith("at")]
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True))


def test_a_program_that_dies_with_nothing_to_do_is_not_started_for_nothing(bench):
    stream(bench, "answer(event, 0)\nos._exit(3)", "window: 1")
    emit(bench, 1)
    bench.run_until(lambda: bench.spectator.notes)
    assert bench.spectator.notes == [
        f"{NAME}: its program ended with exit 3 while it had nothing to do"
    ]
    bench.emit("a.b", 1)
    bench.run_until(lambda: settled(bench) == 2)
    assert len(starts(bench)) == 2


@pytest.mark.timeout(360)
def test_a_killed_dispatcher_costs_the_events_of_a_stretch_no_attempt(bench):
    stream(bench, "if n == 2:\n    until('go')\nanswer(event, 0)", "attempts: 1")
    emit(bench, 5)
    dispatcher = bench.dispatcher()
    while settled(bench) < 2:
        dispatcher.tick(0.02)
    mark = run_mark(str(bench.home.root), NAME, "host", 0)
    assert family({mark})
    # As if it had been killed: its lock is gone, and what it has started is not.
    fcntl.flock(dispatcher._lock._fd, fcntl.LOCK_UN)
    after = bench.dispatcher()
    assert family({mark}) == set()
    (bench.home.root / "go").touch()
    try:
        with after.signals():
            while settled(bench) < 5:
                after.tick(0.02)
    finally:
        after.close()
        dispatcher.close()
    assert bench.letters() == []
    assert seen(bench)[-3:] == [2, 3, 4]


def drained(bench):
    """Whether a dispatcher, as a process of its own, lives to the end of its work."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        bench.drain()
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def test_an_event_that_kills_the_dispatcher_is_found_alone(bench):
    body = "if n == 2:\n    os.kill(os.getppid(), 9)\n    signal.pause()\nanswer(event, 0)"
    stream(bench, body, "attempts: 2")
    emit(bench, 5)
    deaths = 0
    while not drained(bench):
        deaths += 1
        # One is needed to tell which event of the stretch it was.
        assert deaths <= 3
    (letter,) = bench.letters()
    assert (letter["event"]["id"], letter["verdict"]) == ("e2", "interrupted")
    assert letter["attempts"] == 2
    assert set(seen(bench)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("run: stream   window: 0", "from 1 to 1000"),
        ("run: stream   key: subject   window: 2", "do not go together"),
        ("run: exec   window: 2", "run: stream"),
        ("run: stream   batch: 2", "run: exec or warm"),
        ("batch: 2   key: id", "do not go together"),
        ("batch: 1001", "from 1 to 1000"),
        ("run: other", "exec or warm or stream or python"),
    ],
)
def test_what_a_header_may_not_say(bench, header, word):
    bench.handler("on-a-b.sh", f"#!/bin/bash\n# {header}\n")
    (refused,) = discover(bench.home.handlers, lambda _: ()).refused
    assert word in refused.reason
