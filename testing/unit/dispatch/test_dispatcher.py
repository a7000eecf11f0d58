"""The dispatcher with real handlers, processes and files."""

import json
import os
import time
from pathlib import Path

import pytest

from hookline.dispatch import journal, letters
from hookline.model.clock import SystemClock
from hookline.model.errors import TryAgain


@pytest.fixture(name="bench", params=["exec", "warm", "stream"])
def make_bench(request, bench):
    """What holds for one kind of shell handler holds for the other."""
    bench.kind = request.param
    return bench


def test_a_handler_gets_the_event_on_stdin_and_at_the_path_and_in_its_environment(bench):
    bench.shell(
        "on-a-b.sh",
        'cat >>"$OUT"; cat "$1" "$1" >>"$OUT"\n'
        'printf "%s\\n" "$EVENT_ID" "$EVENT_TYPE" "$EVENT_ATTEMPT" >>"$OUT"',
    )
    event = bench.emit("a.b", {"n": 1})
    bench.drain()
    line = bench.home.live("a").read_text().rstrip("\n")
    assert bench.said() == [line, line, line, event, "a.b", "1"]
    assert bench.verdicts() == [("done", "settled")]


A_PROGRAM_FOR_EACH_EVENT = pytest.mark.parametrize("bench", ["exec", "warm"], indirect=True)


@A_PROGRAM_FOR_EACH_EVENT
def test_the_environment_of_a_handler_is_clean(bench):
    os.environ["SECRET"] = "x"
    try:
        bench.shell("on-a-b.sh", 'env >>"$OUT"; pwd >>"$OUT"; ls -A >>"$OUT"; echo x >left')
        bench.emit("a.b")
        bench.drain()
    finally:
        del os.environ["SECRET"]
    names = {line.partition("=")[0] for line in bench.said() if "=" in line}
    assert "SECRET" not in names
    assert {
        "EVENT_ID",
        "EVENT_DEADLINE",
        "EVENT_HOPS",
        "HOOKLINE_HOME",
        "HOOKLINE_ATTEMPT",
    } <= names
    scratch = bench.said()[-1]
    assert scratch.startswith(str(bench.home.state / "runs"))
    assert not Path(scratch).exists()


def test_what_is_printed_is_kept_with_the_attempt_but_not_all_of_a_flood(bench):
    bench.shell("on-a-b.sh", "echo hello; head -c 5000000 /dev/zero | tr '\\0' x >&2")
    bench.emit("a.b")
    bench.drain()
    (entry,) = bench.attempts()
    assert entry.stdout == "hello\n"
    assert entry.stderr.startswith("[…]xxx")
    assert len(entry.stderr) < 5000


def test_a_handler_that_fails_twice_and_then_succeeds(bench):
    bench.shell(
        "on-a-b.sh",
        'echo "$EVENT_ATTEMPT" >>"$OUT"; exit $((EVENT_ATTEMPT < 3))',
        "# backoff: 50ms",
    )
    bench.emit("a.b")
    bench.run_until(lambda: ("done", "settled") in bench.verdicts())
    assert bench.said() == ["1", "2", "3"]
    assert bench.verdicts() == [("failed", "retry"), ("failed", "retry"), ("done", "settled")]


def test_attempts_are_bounded_and_the_letter_says_why(bench):
    bench.shell("on-a-b.sh", 'echo "no such table" >&2; exit 3', "# attempts: 2   backoff: 10ms")
    event = bench.emit("a.b", {"n": 12345678901234567890})
    bench.run_until(bench.letters)
    (letter,) = bench.letters()
    assert letter["letter"].startswith(f"on-a-b.sh:{event}~")
    assert (letter["attempts"], letter["exit"], letter["error"]) == (2, 3, "no such table")
    assert letter["event"]["data"] == {"n": 12345678901234567890}


def test_retries_survive_the_end_of_the_dispatcher(bench):
    bench.shell(
        "on-a-b.sh", 'echo "$EVENT_ATTEMPT" >>"$OUT"; exit 75', "# attempts: 9  backoff: 100ms"
    )
    bench.emit("a.b")
    bench.drain()
    assert bench.said() == ["1"]
    bench.run_until(lambda: len(bench.said()) >= 2)
    assert bench.said()[:2] == ["1", "2"]


@pytest.mark.parametrize(("status", "verdict"), [(64, "rejected"), (65, "rejected")])
def test_a_rejected_event_is_a_dead_letter_at_once(bench, status, verdict):
    bench.shell("on-a-b.sh", f"exit {status}")
    bench.emit("a.b")
    bench.drain()
    assert bench.verdicts() == [(verdict, "dead-letter")]
    assert len(bench.letters()) == 1


def test_a_skip_is_done_and_marked(bench):
    bench.shell("on-a-b.sh", "exit 99")
    bench.emit("a.b")
    bench.drain()
    assert bench.verdicts() == [("skipped", "settled")]
    assert bench.letters() == []


@pytest.mark.parametrize("status", [77, 78])
def test_a_handler_that_may_not_work_is_paused_until_its_file_changes(bench, status):
    handler = bench.shell("on-a-b.sh", f"exit {status}")
    bench.emit("a.b")
    bench.emit("a.b")
    bench.drain()
    assert bench.verdicts() == [("rejected", "dead-letter")]
    assert [alert[:2] for alert in bench.alerts] == [("handler_paused", "on-a-b.sh")]
    bench.drain()
    assert len(bench.attempts()) == 1
    handler.write_text("#!/bin/bash\nexit 0\n")
    bench.run_until(lambda: len(bench.attempts()) == 2)
    assert bench.verdicts()[-1] == ("done", "settled")


def test_a_paused_handler_can_be_resumed_by_a_command(bench):
    bench.shell("on-a-b.sh", 'test -e "$OUT" || { touch "$OUT"; exit 78; }')
    bench.emit("a.b")
    bench.emit("a.b")
    bench.drain()
    assert journal.read_ledger(bench.home).handlers["on-a-b.sh"].paused
    from hookline.app.pausing import set_paused

    set_paused(bench.home, "on-a-b.sh", "resume", "")
    bench.drain()
    assert bench.verdicts() == [("rejected", "dead-letter"), ("done", "settled")]


@pytest.mark.parametrize(
    "text",
    ["#!/no/such/interpreter\n", "#!/bin/bash\r\ntrue\r\n", "true\n", "#!/bin/bash\nexit 127\n"],
    ids=["no interpreter", "Windows line ends", "no #! line", "exit 127"],
)
def test_a_broken_handler_burns_no_attempt_and_goes_on_when_it_is_mended(bench, text):
    handler = bench.handler("on-a-b.sh", text)
    bench.emit("a.b")
    bench.drain()
    assert bench.verdicts() == [("broken", "held")]
    assert [alert[:2] for alert in bench.alerts] == [("handler_broken", "on-a-b.sh")]
    handler.write_text('#!/bin/bash\necho "$EVENT_ATTEMPT" >>"$OUT"\n')
    bench.run_until(bench.said)
    assert bench.said() == ["1"]


@A_PROGRAM_FOR_EACH_EVENT
def test_a_handler_that_hangs_is_ended_with_all_that_it_started(bench):
    bench.shell(
        "on-a-b.sh",
        'setsid sleep 997 & (setsid bash -c "sleep 998" &) ; trap "" TERM; sleep 996; sleep 995',
        "# timeout: 300ms   attempts: 1",
    )
    bench.emit("a.b")
    begun_s = time.monotonic()
    bench.run_until(bench.letters)
    assert time.monotonic() - begun_s > 5.0
    assert bench.verdicts() == [("timeout", "dead-letter")]
    mark = f"HOOKLINE_ATTEMPT={bench.home.root}:".encode()
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and mark in environment(pid)] == []


def environment(pid):
    try:
        return Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return b""


def test_a_background_child_that_holds_the_pipes_does_not_hold_the_attempt(bench):
    bench.shell("on-a-b.sh", "sleep 994 & echo $! >>$OUT")
    bench.emit("a.b")
    bench.drain()
    assert bench.verdicts() == [("done", "settled")]
    os.kill(int(bench.said()[0]), 9)


def test_a_handler_that_does_not_read_a_large_event(bench):
    bench.shell("on-a-b.sh", "exec <&-; exit 0")
    bench.emit("a.b", "x" * 200_000)
    bench.drain()
    assert bench.verdicts() == [("done", "settled")]


def test_a_handler_that_kills_its_parent_is_counted(bench):
    bench.shell("on-a-b.sh", "kill -9 $PPID; sleep 5", "# attempts: 2")
    bench.emit("a.b")
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            bench.drain()
            os._exit(0)
        os.waitpid(pid, 0)
    assert [letter["verdict"] for letter in bench.letters()] == ["interrupted"]
    assert bench.letters()[0]["attempts"] == 2


def test_a_second_dispatcher_says_so(bench):
    first = bench.dispatcher()
    with pytest.raises(TryAgain, match=str(os.getpid())):
        bench.dispatcher()
    first.close()
    bench.drain()


def test_order_is_kept_for_each_key_and_other_keys_overtake(bench):
    bench.shell(
        "on-a-b.sh",
        'n=$(jq .data.n "$1"); [[ $n == 0 && $EVENT_ATTEMPT == 1 ]] && exit 1; echo "$n" >>"$OUT"',
        "# key: data.k   concurrency: 2   backoff: 1s",
    )
    for n, key in enumerate("aabb"):
        bench.emit("a.b", {"n": n, "k": key})
    bench.run_until(lambda: len(bench.said()) == 4)
    said = bench.said()
    assert said.index("0") < said.index("1")
    assert said.index("2") < said.index("3")
    assert said.index("2") < said.index("0")


def test_an_event_stored_twice_is_delivered_once(bench):
    bench.shell("on-a-b.sh", 'echo x >>"$OUT"')
    for _ in range(2):
        bench.emit("a.b", id="same")
    bench.drain()
    bench.emit("a.b", id="same")
    bench.drain()
    assert bench.said() == ["x"]


def test_an_event_is_known_again_after_a_kill(bench):
    bench.shell("on-a-b.sh", 'echo x >>"$OUT"; kill -9 $PPID')
    bench.emit("a.b", id="same")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        bench.drain()
        os._exit(0)
    os.waitpid(pid, 0)
    bench.shell("on-a-b.sh", 'echo x >>"$OUT"')
    bench.drain()
    bench.emit("a.b", id="same")
    bench.drain()
    assert bench.said() == ["x", "x"]


def test_a_torn_line_is_set_aside_and_what_is_glued_behind_it_is_delivered(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    log = bench.home.live("a")
    bench.emit("a.b", id="one")
    with log.open("ab") as file:
        file.write(b'{"specversion":"1.0","id":"torn","source":"x","ty')
    bench.emit("a.b", id="two")
    bench.drain()
    assert bench.said() == ["one", "two"]
    (aside,) = bench.home.rejected.iterdir()
    assert json.loads(aside.read_text())["raw"].startswith('{"specversion":"1.0","id":"torn"')


def test_a_tail_without_newline_is_ended_after_a_second(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b", id="one")
    whole = bench.home.live("a").read_bytes().replace(b'"one"', b'"two"').rstrip(b"\n")
    with bench.home.live("a").open("ab") as file:
        file.write(whole)
    bench.run_until(lambda: bench.said() == ["one", "two"])


def test_a_new_handler_starts_with_the_first_event_after_its_file(bench):
    bench.shell("on-a-c.sh", "true")
    bench.emit("a.b", id="before")
    bench.drain()
    os.utime(bench.home.live("a"))
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.shell("on-a-all.sh", 'echo "all $EVENT_ID" >>"$OUT"', "# on: a.*   from: beginning")
    bench.emit("a.b", id="after")
    bench.drain()
    assert sorted(bench.said()) == ["after", "all after", "all before"]


def test_a_domain_that_comes_later_is_followed(bench):
    bench.shell("on-any.sh", 'echo "$EVENT_TYPE" >>"$OUT"', "# on: *")
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            ends_s = time.monotonic() + 60
            while bench.said() != ["a.b", "late.one"] and time.monotonic() < ends_s:
                dispatcher.tick(0.02)
                if bench.said() == ["a.b"] and not bench.home.live("late").exists():
                    bench.emit("late.one")
    finally:
        dispatcher.close()
    assert bench.said() == ["a.b", "late.one"]


def test_a_dead_letter_is_replayed_once_and_marked(bench):
    bench.shell("on-a-b.sh", 'test -e "$OUT" && echo again >>"$OUT" && exit; touch "$OUT"; exit 65')
    bench.emit("a.b")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    letters.replay(bench.home, letter, SystemClock())
    letters.replay(bench.home, letter, SystemClock())
    bench.drain()
    bench.drain()
    assert bench.said() == ["again"]
    assert letters.open_letters(bench.home) == []
    assert [entry.replay for entry in bench.attempts()] == ["", letter.letter]


def test_a_dropped_letter_is_not_open_any_more(bench):
    bench.shell("on-a-b.sh", "exit 65")
    bench.emit("a.b")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    letters.drop(bench.home, letter, SystemClock())
    assert letters.open_letters(bench.home) == []
    bench.drain()
    assert letters.open_letters(bench.home) == []


def test_the_index_may_be_deleted(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"; exit 75', "# backoff: 20s")
    bench.shell("on-a-c.sh", 'echo "$EVENT_ID" >>"$OUT"')
    for n in range(3):
        bench.emit("a.c", id=f"c{n}")
    bench.emit("a.b", id="b")
    bench.drain()
    for file in bench.home.state.glob("dispatch.db*"):
        file.unlink()
    bench.emit("a.c", id="c3")
    bench.drain()
    assert sorted(bench.said()) == ["b", "c0", "c1", "c2", "c3"]
    assert journal.read_ledger(bench.home).handlers["on-a-b.sh"].pending


def test_an_event_that_begets_itself_ends_as_a_letter_with_its_path(bench):
    bench.shell("on-a-b.sh", "true")
    bench.emit("a.b", hops=17, causationid="gone")
    bench.drain()
    (letter,) = bench.letters()
    assert letter["verdict"] == "looped"
    assert "a.b" in letter["error"]


def test_a_python_handler_has_all_verdicts(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python\n"
        "from hookline import on, Retry, Reject\n"
        "@on('a.*')\n"
        "def handle(event):\n"
        "    n = event.value()\n"
        "    if n == 1: raise Reject('never')\n"
        "    if n == 2: raise Retry(after_s=3600)\n"
        "    print('saw', n)\n",
    )
    for n in range(3):
        bench.emit("a.b", n)
    bench.drain()
    assert bench.verdicts() == [
        ("done", "settled"),
        ("rejected", "dead-letter"),
        ("retry", "retry"),
    ]
    assert bench.letters()[0]["error"] == "never"


def test_a_python_exception_is_kept_with_its_trace(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1\n"
        "from hookline import on\n@on('a.*')\ndef handle(event):\n    1 / 0\n",
    )
    bench.emit("a.b")
    bench.drain()
    (letter,) = bench.letters()
    assert letter["error"] == "ZeroDivisionError: division by zero"
    assert "line 5, in handle" in letter["traceback"]
    assert "stderr" not in letter


def test_a_batch_that_raises_is_run_again_one_by_one(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1\n"
        "import os\nfrom hookline import on\n"
        "@on('a.*', batch=10)\n"
        "def handle(events):\n"
        "    numbers = [event.value() for event in events]\n"
        "    if 3 in numbers: raise ValueError('three')\n"
        "    open(os.environ['OUT'], 'a').write(f'{numbers}\\n')\n",
    )
    for n in range(5):
        bench.emit("a.b", n)
    bench.drain()
    assert [letter["error"] for letter in bench.letters()] == ["ValueError: three"]
    assert bench.said() == ["[0]", "[1]", "[2]", "[4]"]


def test_a_python_function_that_hangs_or_kills_itself_is_to_blame_alone(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1   timeout: 500ms\n"
        "import os, signal\nfrom hookline import on\n"
        "@on('a.*')\n"
        "def handle(event):\n"
        "    n = event.value()\n"
        "    if n == 1: signal.pause()\n"
        "    if n == 3: os.kill(os.getpid(), 9)\n"
        "    open(os.environ['OUT'], 'a').write(f'{n}\\n')\n",
    )
    for n in range(5):
        bench.emit("a.b", n)
    bench.run_until(lambda: len(bench.said()) == 3)
    assert bench.said() == ["0", "2", "4"]
    assert [letter["verdict"] for letter in bench.letters()] == ["timeout", "failed"]


def test_a_python_file_that_cannot_be_loaded_is_refused_with_the_reason(bench):
    bench.handler("on-a-py.py", "# run: python\nimport no_such_module\n")
    bench.emit("a.b")
    bench.drain()
    assert any("no_such_module" in note for note in bench.spectator.notes)


def test_what_is_dropped_into_the_box_becomes_an_event(bench):
    bench.shell("on-a-b.sh", 'jq -r .data "$1" >>"$OUT"')
    for name, text in {
        "good.json": '{"specversion":"1.0","type":"a.b","data":"dropped"}',
        "bad.json": '{"specversion":"1.0","type":"../x"}',
        ".hidden.json": "{}",
        "not-json.txt": "x",
    }.items():
        (bench.home.queue / name).write_text(text)
    bench.drain()
    assert bench.said() == ["dropped"]
    assert sorted(os.listdir(bench.home.queue)) == [".hidden.json", "not-json.txt"]
    assert sorted(os.listdir(bench.home.rejected)) == ["bad.json", "bad.reason.json"]


@A_PROGRAM_FOR_EACH_EVENT
def test_a_stopped_dispatcher_lets_what_runs_end(bench):
    bench.shell("on-a-b.sh", 'sleep 0.5; echo done >>"$OUT"')
    bench.emit("a.b")
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            while not dispatcher.running:
                dispatcher.tick(0.01)
        dispatcher.stop()
        dispatcher.run()
    finally:
        dispatcher.close()
    assert bench.said() == ["done"]
    bench.drain()
    assert bench.said() == ["done", "done"]


def test_what_a_python_handler_appends_is_same_as_caused_it(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python\n"
        "import os\nfrom hookline import Log, on\n"
        "log = Log(os.environ['HOOKLINE_HOME'])\n"
        "@on('a.*')\n"
        "def handle(event):\n"
        "    log.append('c.d', source='py', data=event.value())\n",
    )
    event = bench.emit("a.b", {"n": 1}, hops=3)
    bench.drain()
    caused = json.loads(bench.home.live("c").read_text())
    assert (caused["causationid"], caused["correlationid"], caused["hops"]) == (event, event, 4)
