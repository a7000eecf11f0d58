"""What is particular to warm handlers; what they share with programs is tested in
test_dispatcher.py."""

import contextlib
import fcntl
import os
import re
import signal
from pathlib import Path

import pytest

from hookline.app.selftest import leaks
from hookline.dispatch.environment import run_mark, warm_mark
from hookline.dispatch.handlers import discover
from hookline.dispatch.process import family
from hookline.dispatch.warm_runner import HOST, SPARE_MAX


@pytest.fixture(name="bench")
def make_bench(bench):
    bench.kind = "warm"
    return bench


def hosts(bench):
    """The bashes that wait or are at work, and their subshells."""
    found = []
    for each in family({warm_mark(str(bench.home.root))}):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if HOST.name in Path(f"/proc/{each.pid}/cmdline").read_text():
                found.append(each.pid)
    return found


def note(bench, text, header=""):
    bench.shell("on-a-b.sh", f"echo {text} >>$OUT", header)


def test_a_script_does_not_see_that_it_is_read_and_not_run(bench):
    body = '[[ ${BASH_SOURCE[0]} == "$0" ]] && echo "$0 $# $- ${OLDPWD-} $SHLVL" >>$OUT'
    warm = bench.shell("on-a-b.sh", body)
    bench.emit("a.b")
    bench.drain()
    bench.kind = "exec"
    bench.shell("on-a-b.sh", body)
    bench.emit("a.b")
    bench.drain()
    assert bench.said() == [f"{warm} 1 hB  1"] * 2


def test_the_libraries_are_there_and_one_run_leaves_nothing_to_the_next(bench):
    text = '"$(declare -F state_apply) ${left-nothing} $(umask)"'
    body = f"echo {text} >>$OUT; left=something; cd /; set -u; umask 0"
    bench.shell("on-a-b.sh", body, "# with state-file.sh")
    libraries = bench.home.root / "scripts/events/lib"
    libraries.mkdir(exist_ok=True)
    (libraries / "state-file.sh").write_text("state_apply() { :; }\n")
    for _ in range(3):
        bench.emit("a.b")
    bench.drain()
    assert bench.said() == ["state_apply nothing 0022"] * 3


@pytest.mark.parametrize("name", ["state-file.sh", "emit_event"])
def test_a_script_that_names_no_library_has_a_bash_without_them(bench, name):
    libraries = bench.home.root / "scripts/events/lib"
    libraries.mkdir(exist_ok=True)
    (libraries / "state-file.sh").write_text("there() { :; }\n")
    body = 'echo "$0 $# $(declare -F there) ${!_hookline*}" >>$OUT'
    without = bench.shell("on-a-b.sh", body)
    having = bench.shell("on-a-with.sh", body, f"# on: a.b   key: id\n# with {name}")
    for _ in range(3):
        bench.emit("a.b")
    bench.drain()
    assert sorted(bench.said()) == [f"{without} 1  "] * 3 + [f"{having} 1 there "] * 3


@pytest.mark.parametrize(
    ("body", "verdict", "error"),
    [
        ("exit 7", "failed", "exit 7"),
        ("kill -9 $BASHPID", "failed", "killed by SIGKILL"),
        ("kill -9 $$", "failed", "killed by SIGKILL"),
        ("exec bash -c 'exit 65'", "rejected", "exit 65"),
        ("set -e; false; exit 0", "failed", "exit 1"),
        ("trap 'exit 65' EXIT; exit 3", "rejected", "exit 65"),
        ("no-such-command", "broken", "no-such-command: command not found"),
        ("if", "failed", "syntax error"),
    ],
)
def test_how_it_ends_is_its_verdict(bench, body, verdict, error):
    bench.shell("on-a-b.sh", body, "# attempts: 1")
    bench.emit("a.b")
    bench.drain()
    (attempt,) = bench.attempts()
    assert attempt.verdict == verdict
    assert re.search(error, attempt.error)
    assert leaks.settled(bench.home) == []


@pytest.mark.timeout(600)
def test_whoever_kills_the_bash_that_waits_harms_no_event(bench):
    note(bench, "$EVENT_ID", "# backoff: 1ms")
    emitted = []

    def five_times_they_are_killed():
        if set(bench.said()) == set(emitted) and len(emitted) < 5:
            for pid in hosts(bench):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            emitted.append(bench.emit("a.b"))
        return bench.verdicts().count(("done", "settled")) == 5

    # A bash that ended before it could fork holds the handler for half a minute.
    bench.run_until(five_times_they_are_killed, deadline_s=200)
    assert list(dict.fromkeys(bench.said())) == emitted


def test_one_more_waits_than_is_at_work_and_never_many(bench):
    body = "echo $EVENT_ID >>$OUT; until [[ -e $HOOKLINE_HOME/go ]]; do read -rt 0.01 <><(:); done"
    bench.shell("on-a-b.sh", body, "# key: id   concurrency: 40")
    for _ in range(40):
        bench.emit("a.b")
    counts = []

    def all_wait_then_go():
        if len(bench.said()) == 40 and not counts:
            counts.append(len(hosts(bench)))
            (bench.home.root / "go").touch()
        if len(bench.verdicts()) == 40:
            counts.append(len(hosts(bench)))
        return len(counts) == 2

    bench.run_until(all_wait_then_go)
    # Each is a bash and its subshell.
    assert 2 * 40 < counts[0] <= 2 * 41
    assert counts[1] <= 2 * SPARE_MAX
    assert hosts(bench) == []


def test_what_a_killed_dispatcher_has_left_is_ended_by_the_next(bench):
    bench.shell("on-a-b.sh", "echo $BASHPID >>$OUT; exec sleep 300")
    event = bench.emit("a.b")
    dispatcher = bench.dispatcher()
    while not bench.said():
        dispatcher.tick(0.02)
    assert hosts(bench)
    # As if it had been killed: its lock is gone, and what it has started is not.
    fcntl.flock(dispatcher._lock._fd, fcntl.LOCK_UN)
    after = bench.dispatcher()
    assert hosts(bench) == []
    assert family({run_mark(str(bench.home.root), "on-a-b.sh", event, 1)}) == set()
    after.close()
    dispatcher.close()


def test_what_is_no_bash_script_cannot_be_warm(bench):
    bench.handler("on-a-b.py", "#!/usr/bin/env python3\n# run: warm\n")
    bench.handler("on-a-c.sh", "#!/bin/sh\n# run: warm\n")
    found = discover(bench.home.handlers, lambda _: ())
    refused = {each.name: each.reason for each in found.refused}
    assert set(refused) == {"on-a-b.py", "on-a-c.sh"}
    assert all("needs a bash script" in reason for reason in refused.values())


def test_who_stops_the_bash_that_waits_has_no_more_time_than_others(bench, monkeypatch):
    monkeypatch.setattr("hookline.dispatch.exec_runner.GRACE_S", 0.1)
    bench.shell("on-a-b.sh", "kill -STOP $$", "# attempts: 1   timeout: 100ms")
    bench.emit("a.b")
    bench.run_until(bench.attempts)
    assert bench.verdicts() == [("timeout", "dead-letter")]


def test_what_a_library_prints_while_it_is_read_goes_nowhere(bench):
    note(bench, "$EVENT_ID")
    libraries = bench.home.root / "scripts/events/lib"
    libraries.mkdir(exist_ok=True)
    (libraries / "state-file.sh").write_text("echo here I am; read -r line; echo again\n")
    ids = [bench.emit("a.b") for _ in range(3)]
    bench.drain()
    assert bench.said() == ids
