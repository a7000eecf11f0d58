"""The dispatcher when others misbehave: handlers, people, the disk, the clock."""

import json
import os
import resource
import shutil
import signal
import time

import pytest

from hookline.app.pausing import set_paused
from hookline.dispatch import dispatcher as dispatcher_module
from hookline.dispatch import exec_runner, letters, python_runner
from hookline.dispatch.handlers import discover
from hookline.dispatch.journal import STATE_FILE, read_ledger
from hookline.log.rotate import rotate
from hookline.model.clock import SystemClock
from hookline.model.errors import WriteFailed


def wait_until(condition, deadline_s=60.0):
    """Return when the condition holds."""
    ends_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends_s
        os.sched_yield()


def killed(bench, until, how=signal.SIGKILL):
    """A dispatcher in a process of its own, killed when a condition holds."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        dispatcher = bench.dispatcher()
        dispatcher.run()
        os._exit(0)
    wait_until(until)
    os.kill(pid, how)
    os.waitpid(pid, 0)


def test_a_replay_of_a_paused_or_missing_handler_is_not_lost(bench):
    bench.shell("on-a-b.sh", "exit 65")
    bench.emit("a.b")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    handler = bench.shell("on-a-b.sh", 'echo again >>"$OUT"')
    set_paused(bench.home, "on-a-b.sh", "pause", "")
    letters.replay(bench.home, letter, SystemClock())
    bench.drain()
    moved = handler.rename(bench.home.root / "away")
    bench.drain()
    moved.rename(handler)
    set_paused(bench.home, "on-a-b.sh", "resume", "")
    bench.drain()
    assert bench.said() == ["again"]


def test_a_pause_by_hand_outlasts_a_change_of_the_file(bench):
    bench.shell("on-a-b.sh", "true")
    set_paused(bench.home, "on-a-b.sh", "pause", "")
    bench.drain()
    bench.shell("on-a-b.sh", "true # changed")
    bench.emit("a.b")
    bench.drain()
    assert bench.attempts() == []


def test_a_letter_can_be_replayed_when_its_log_is_gone(bench):
    bench.shell("on-a-b.sh", 'jq -r .data "$1" >>"$OUT"; exit 65')
    bench.emit("a.b", "kept")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    bench.home.live("a").unlink()
    letters.replay(bench.home, letter, SystemClock())
    bench.drain()
    assert bench.said() == ["kept", "kept"]


def test_a_log_whose_tail_was_replaced_is_delivered_as_it_is_now(bench):
    bench.shell(
        "on-a-b.sh",
        'echo "$EVENT_ID $EVENT_ATTEMPT" >>"$OUT"; [[ $EVENT_ID != bad1 ]] || exit 75',
        "# key: subject   concurrency: 2   attempts: 3   backoff: 20s",
    )
    for name in ("bad1", "even", "odd1"):
        bench.emit("a.b", id=name, subject=name)
    bench.drain()
    text = bench.home.live("a").read_text()
    bench.home.live("a").write_text(
        text.replace("bad1", "new1").replace("even", "ever").replace("odd1", "odd2")
    )
    bench.drain()
    assert {"new1 1", "ever 1", "odd2 1"} <= set(bench.said())


def test_only_the_event_that_ran_has_an_attempt_less_after_a_kill(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1\n"
        "import os, time\nfrom hookline import on\n"
        "@on('a.*')\n"
        "def handle(event):\n"
        "    open(os.environ['OUT'], 'a').write(f'{event.value()}\\n')\n"
        "    if event.value() == 2 and not os.path.exists(os.environ['OUT'] + '.go'):\n"
        "        time.sleep(997)\n",
    )
    for n in range(20):
        bench.emit("a.b", n)
    killed(bench, lambda: len(bench.said()) == 3)
    bench.out.with_name("out.go").touch()
    bench.drain()
    assert [letter["event"]["data"] for letter in bench.letters()] == [2]
    assert sorted({int(line) for line in bench.said()}) == list(range(20))


@pytest.mark.parametrize("how", ["close 3", "write 3"])
def test_a_python_handler_that_spoils_its_channel_is_a_failed_attempt(bench, how):
    spoil = "os.close(3)" if how == "close 3" else r"os.write(3, b'garbage\n')"
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1\nimport os\nfrom hookline import on\n"
        f"@on('a.*')\ndef handle(event):\n    {spoil}\n",
    )
    bench.emit("a.b")
    bench.run_until(bench.letters)
    assert bench.letters()[0]["verdict"] == "failed"


def test_what_a_spoilt_channel_says_before_its_host_is_dead_counts_for_nothing(bench, monkeypatch):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1\nimport os\nfrom hookline import on\n"
        "@on('a.*')\ndef handle(event):\n"
        "    open(os.environ['OUT'], 'w').close()\n"
        "    os.write(3, b'garbage\\n')\n"
        "    while os.path.exists(os.environ['OUT']): pass\n"
        "    os.write(3, b'{\"done\": 1}\\n')\n"
        "    open(os.environ['OUT'] + '.said', 'w').close()\n",
    )
    kill_now = python_runner.end_group

    def kill_late(pid, number):
        """Between the garbage and the kill, the host goes on to say that all is well."""
        if bench.out.exists():
            bench.out.unlink()
            wait_until(bench.out.with_name("out.said").exists)
        kill_now(pid, number)

    monkeypatch.setattr(python_runner, "end_group", kill_late)
    bench.emit("a.b")
    bench.run_until(bench.letters)
    assert bench.letters()[0]["verdict"] == "failed"


def test_an_error_that_is_no_text_is_written_down(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1\nfrom hookline import on\n"
        "@on('a.*')\ndef handle(event):\n    raise ValueError('\\udcff')\n",
    )
    bench.emit("a.b")
    bench.drain()
    assert "udcff" in bench.letters()[0]["error"]


@pytest.mark.parametrize("option", ["concurrency: 4", "envelope: cortex", "batch: 3"])
def test_what_a_python_handler_cannot_have_is_refused(bench, option):
    bench.handler("on-a-py.py", f"# run: python   {option}\n")
    found = discover(bench.home.handlers, lambda _: ("a.b",))
    assert option.partition(":")[0] in found.refused[0].reason


@pytest.mark.parametrize("data", [b'{"k":1e400}', b'{"k":{"k":[]}}', b"3"])
def test_a_foreign_line_with_an_odd_key_stops_nobody(bench, data):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# key: data.k.k")
    bench.emit("a.b", id="one")
    line = bench.home.live("a").read_bytes().replace(b'"one"', b'"two"').replace(b"null", data)
    with bench.home.live("a").open("ab") as log:
        log.write(line)
    bench.drain()
    assert sorted(bench.said()) == ["one", "two"]


def test_a_handler_that_closes_its_output_does_not_keep_us_busy(bench):
    bench.shell("on-a-b.sh", "exec >/dev/null 2>&1; sleep 1")
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            while not dispatcher.running:
                dispatcher.tick(0.01)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            ends_s = time.monotonic() + 0.8
            while time.monotonic() < ends_s:
                dispatcher.tick(0.2)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 0.3
    finally:
        dispatcher.close()


def test_a_refused_handler_listens_as_soon_as_it_is_mended(bench):
    handler = bench.shell("on-a-b.sh", 'echo x >>"$OUT"')
    handler.chmod(0o640)
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            dispatcher.tick(0.0)
            handler.chmod(0o750)
            bench.emit("a.b")
            ends_s = time.monotonic() + 60
            while not bench.said():
                assert time.monotonic() < ends_s
                dispatcher.tick(0.05)
    finally:
        dispatcher.close()


def test_once_does_not_end_before_events_that_need_no_run_are_through(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    for _ in range(20):
        bench.emit("a.b", hops=20)
    bench.emit("a.b", id="good")
    bench.drain()
    assert bench.said() == ["good"]
    assert len(bench.letters()) == 20


def test_a_deleted_closed_segment_stops_nobody(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b", id="one")
    bench.drain()
    for name in ("two", "three"):
        bench.emit("a.b", id=name)
        rotate(bench.home, "a")
    bench.emit("a.b", id="four")
    for segment in sorted(bench.home.segments.iterdir())[:-1]:
        segment.unlink()
    bench.drain()
    assert bench.said() == ["one", "three", "four"]


@pytest.mark.parametrize("what", ["journal", "state", "index"])
def test_what_may_be_deleted_or_damaged_is_made_again(bench, what):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b", id="one")
    bench.drain()
    if what == "journal":
        bench.home.deliveries.write_text("")
    elif what == "state":
        shutil.rmtree(bench.home.state)
    else:
        (bench.home.state / STATE_FILE).write_bytes(b"not a database" * 1000)
        assert read_ledger(bench.home).handlers
    bench.emit("a.b", id="two")
    bench.drain()
    assert bench.said() == ["one", "two"]


def test_the_state_may_be_deleted_while_it_runs(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b", id="one")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            while bench.said() != ["one"]:
                dispatcher.tick(0.05)
            shutil.rmtree(bench.home.state)
            bench.emit("a.b", id="two")
            ends_s = time.monotonic() + 60
            while bench.said() != ["one", "two"]:
                assert time.monotonic() < ends_s, bench.spectator.notes
                dispatcher.tick(0.05)
    finally:
        dispatcher.close()


def test_an_alert_that_cannot_be_written_stops_nobody(bench):
    bench.shell("on-a-b.sh", "exit 78")

    def alert(*_):
        raise WriteFailed

    dispatcher = bench.dispatcher(alert=alert)
    bench.emit("a.b")
    try:
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.verdicts() == [("rejected", "dead-letter")]
    assert any("handler_paused" in note for note in bench.spectator.notes)


def test_a_file_that_cannot_be_taken_holds_up_no_other(bench):
    bench.shell("on-a-b.sh", 'jq -r .data "$1" >>"$OUT"')
    bench.home.live("blocked").mkdir()
    for name, type in (("1.json", "blocked.x"), ("2.json", "a.b")):
        event = {"specversion": "1.0", "type": type, "data": "taken"}
        (bench.home.queue / name).write_text(json.dumps(event))
    (bench.home.queue / ("x" * 250 + ".json")).write_text("{}")
    bench.drain()
    assert bench.said() == ["taken"]
    assert os.listdir(bench.home.queue) == ["1.json"]


def test_leftovers_in_the_working_folder_are_removed(bench):
    bench.shell("on-a-b.sh", "true")
    left = bench.home.state / "runs" / "on-a-b.sh.1.1"
    left.mkdir(parents=True)
    (left / "file").touch()
    bench.drain()
    assert not left.exists()


def test_a_working_folder_that_a_handler_has_locked_is_removed_and_nothing_outside(bench):
    outside = bench.home.root / "outside"
    outside.mkdir(mode=0o500)
    bench.shell(
        "on-a-b.sh", f'mkdir -p a/b c; touch a/b/x; ln -s {outside} c/out; chmod 0 a/b a c "$PWD"'
    )
    bench.emit("a.b")
    bench.drain()
    assert bench.verdicts() == [("done", "settled")]
    assert list((bench.home.state / "runs").iterdir()) == []
    assert outside.stat().st_mode & 0o777 == 0o500


def test_a_retry_does_not_wait_for_a_clock_that_was_set_back(bench):
    bench.shell("on-a-b.sh", 'echo x >>"$OUT"; exit 75', "# backoff: 100ms")
    bench.emit("a.b")

    class Clock(SystemClock):
        def now(self):
            return super().now().replace(year=super().now().year - len(bench.said()))

    dispatcher = bench.dispatcher(clock=Clock())
    try:
        with dispatcher.signals():
            ends_s = time.monotonic() + 60
            while len(bench.said()) < 3:
                assert time.monotonic() < ends_s
                dispatcher.tick(0.05)
    finally:
        dispatcher.close()


def test_two_signals_at_once_are_one(bench):
    bench.shell("on-a-b.sh", 'sleep 0.3; echo done >>"$OUT"')
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    with dispatcher.signals():
        try:
            while not dispatcher.running:
                dispatcher.tick(0.01)
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
            dispatcher.run()
        finally:
            dispatcher.close()
    assert bench.said() == ["done"]


@pytest.mark.parametrize("kind", ["exec", "python"])
def test_a_run_that_starts_as_the_second_signal_comes_is_ended_too(bench, monkeypatch, kind):
    bench.shell("on-a-b.sh", "sleep 600")
    if kind == "python":
        bench.home.handlers.joinpath("on-a-b.sh").unlink()
        bench.handler(
            "on-a-py.py",
            "# run: python\nimport time\nfrom hookline import on\n"
            "@on('a.*')\ndef handle(event):\n    time.sleep(600)\n",
        )
    runner = exec_runner if kind == "exec" else python_runner
    spawn, pids = runner.spawn, []
    monkeypatch.setattr(dispatcher_module, "ONE_SIGNAL_S", 0.0)
    dispatcher = bench.dispatcher()

    def spawned(*arguments, **more):
        pids.append(spawn(*arguments, **more))
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        return pids[-1]

    monkeypatch.setattr(runner, "spawn", spawned)
    bench.emit("a.b")
    try:
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == -signal.SIGKILL
    assert dispatcher.told_by == signal.SIGTERM
    assert bench.attempts() == []


def test_a_replay_to_a_handler_that_wants_the_domain_no_more_is_delivered(bench):
    bench.shell("on-a-b.sh", "exit 65")
    bench.emit("a.b")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    bench.shell("on-a-b.sh", 'echo "$EVENT_REPLAYOF" >>"$OUT"', "# on: other.thing")
    dispatcher = bench.dispatcher()
    try:
        letters.replay(bench.home, letter, SystemClock())
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said() == [letter.letter]


@pytest.mark.parametrize("header", ["", "# key: subject"])
def test_a_replay_whose_log_cannot_be_read_waits_and_stops_nobody(bench, header):
    bench.shell(
        "on-a-b.sh", 'echo "$EVENT_TYPE" >>"$OUT"; [[ $EVENT_REPLAYOF ]] || exit 65', header
    )
    bench.shell("on-c-d.sh", 'echo "$EVENT_TYPE" >>"$OUT"')
    bench.emit("a.b")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    live = bench.home.live("a")
    kept = live.rename(bench.home.root / "kept")
    live.symlink_to(kept)
    letters.replay(bench.home, letter, SystemClock())
    bench.emit("c.d")
    bench.drain()
    assert bench.said() == ["a.b", "c.d"]
    assert sum("a-events.jsonl is a symbolic link" in note for note in bench.spectator.notes) > 0
    assert len(bench.letters()) == 1

    dispatcher = bench.dispatcher()
    try:
        dispatcher.tick()
        kept.rename(live)
        deadline_s = time.monotonic() + 60
        while len(bench.said()) < 3:
            assert time.monotonic() < deadline_s
            dispatcher.tick(0.05)
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said() == ["a.b", "c.d", "a.b"]
    assert len(bench.letters()) == 1


def test_a_replay_from_a_deleted_segment_makes_nobody_read_again(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"; [[ $EVENT_ID != two ]] || exit 65')
    for name in ("one", "two", "three"):
        bench.emit("a.b", id=name)
        rotate(bench.home, "a")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    bench.home.segments.joinpath("a-events.00000002.jsonl").unlink()
    letters.replay(bench.home, letter, SystemClock())
    bench.drain()
    assert bench.said() == ["one", "two", "three", "two"]


def test_a_handler_that_is_replaced_while_nothing_can_be_written_runs_nothing_twice(
    bench, monkeypatch
):
    """What it had done was not written down yet: the new file does not begin before that."""
    wait = 'touch "$OUT.begun"; until [[ -e $OUT.go ]]; do read -rt 0.02 <> <(:); done'
    handler = bench.shell("on-a-b.sh", f'{wait}\necho "$EVENT_ID" >>"$OUT"')
    sent = [bench.emit("a.b")]
    dispatcher = bench.dispatcher()
    try:
        while not (bench.home.root / "out.begun").exists():
            dispatcher.tick(0.05)
        with monkeypatch.context() as patch:
            full = WriteFailed("no space left on device")
            patch.setattr(dispatcher._journal, "enter", lambda _: (_ for _ in ()).throw(full))
            (bench.home.root / "out.go").touch()
            while dispatcher.running:
                dispatcher.tick(0.05)
            handler.write_text(handler.read_text() + "# changed\n")
            for _ in range(3):
                dispatcher._look_at_s = 0.0
                dispatcher.tick(0.05)
        sent.append(bench.emit("a.b"))
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said() == sent


def test_who_only_drains_ends_a_tail_that_has_stood_for_long(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b", id="one")
    log = bench.home.live("a")
    log.write_bytes(log.read_bytes().rstrip(b"\n"))
    bench.drain()
    assert bench.said() == [], "somebody may be writing it"
    os.utime(log, (1, 1))
    bench.drain()
    assert bench.said() == ["one"]
