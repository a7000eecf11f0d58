"""One daemon, really started, and what its supervisor says of it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hookline.control.daemon import folder_of, lock_of
from hookline.control.supervisor import UNAVAILABLE
from testing.waiting import DEADLINE_S, until

# In a process of its own: a supervisor takes signals.
DRIVER = """
import json, os, resource, sys
from hookline.control import supervisor as module
from hookline.control.daemon import Daemon
from hookline.control.restarts import Restarts
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model.cause import Cause
from hookline.model.clock import SystemClock
from pathlib import Path

class Notes:
    told = set()
    def turn(self, now_s):
        if "turn" not in self.told:
            print("turn", flush=True)
            self.told.add("turn")
        return now_s + 60.0
    def stop(self):
        print("stop", flush=True)

root, more, cause, limits = json.loads(sys.argv[1])
Restarts.pause_s = property(lambda self: 0.001 * self.ends)
spawn, left, is_full = module.spawn, limits.pop("SHORT", 0), limits.pop("FULL", False)

def short(*arguments, **more):
    global left
    left -= 1
    if left >= 0:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return spawn(*arguments, **more)

module.spawn = short
for name, value in limits.items():
    setattr(module, name, value)
home = Home(Path(root))
it = Daemon(script="scripts/daemons/x-daemon.sh", **more)
made = module.Supervisor(
    home, "x", it, log=Log(home), cause=cause and Cause(**cause), clock=SystemClock(),
    passed={"PATH": os.environ["PATH"]}, notifier=Notes(),
)
if is_full:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
status = made.run()
for line in made.unsaid():
    print(line, file=sys.stderr)
sys.exit(status)
"""
READY = 'printf "\\n" >&"$HOOKLINE_READY_FD"\n'
STAY = "trap 'exit 0' TERM\n" + READY + 'while :; do sleep 60 & wait "$!"; done\n'


@pytest.fixture
def script(home):
    """Lays down the daemon's script."""

    def lay(body, mode=0o750):
        path = home.root / "scripts/daemons/x-daemon.sh"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/bash\n" + body)
        path.chmod(mode)

    return lay


@pytest.fixture
def supervise(home, script):
    """Supervises the script, without long pauses, until it comes to an end by itself; its exit
    status."""

    def run(body=None, *, cause=None, limits=None, **more):
        if body is not None:
            script(body)
        told = json.dumps([str(home.root), more, cause, limits or {}])
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, told],
            capture_output=True, text=True, check=False, timeout=DEADLINE_S * 2,
        )  # fmt: skip
        run.notes, run.errors = done.stdout.split(), done.stderr
        return done.returncode

    return run


@pytest.fixture
def start(home, script, request):
    """Supervises the script in a process of its own, as `hookline daemon run` does."""

    def begin(body, root=home.root):
        script(body)
        home.config.mkdir(parents=True, exist_ok=True)
        (home.config / "daemons.toml").write_text(
            '[daemon.x]\nlabel = "The X"\nscript = "scripts/daemons/x-daemon.sh"\n'
        )
        made = subprocess.Popen(
            [sys.executable, "-m", "hookline", "daemon", "run", "x", "--home", root],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

        def end():
            if made.poll() is None:
                made.terminate()
            made.communicate()

        request.addfinalizer(end)
        return made

    return begin


def said(home):
    """Types and data of what was said so far."""
    path = home.live("daemon")
    if not path.exists():
        return []
    return [(each["type"], each["data"]) for each in map(json.loads, path.read_text().splitlines())]


def last(home, type):
    """The data of the last event of a type that was said; nothing before there is one."""
    return ([data for name, data in said(home) if name == type] or [None])[-1]


def is_locked(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_is_started_when_it_says_that_it_is_ready_and_stopped_when_told(home, start):
    process = start(STAY)
    until(lambda: last(home, "daemon.started"))
    daemon, supervisor = map(int, lock_of(home, "x").read_text().split())
    assert last(home, "daemon.started") == {
        "daemon_type": "x", "daemon_name": "The X", "daemon_script": "scripts/daemons/x-daemon.sh",
        "pid": daemon, "startup_mode": "normal", "starts": 1,
    }  # fmt: skip
    assert supervisor == process.pid
    assert is_locked(lock_of(home, "x"))
    assert is_locked(folder_of(home, "x"))
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    stopped = last(home, "daemon.stopped")
    assert (stopped["reason"], stopped["graceful"]) == ("SIGTERM", True)
    assert not is_locked(lock_of(home, "x"))
    assert not lives(daemon)


def test_a_daemon_that_was_killed_is_started_again(home, start):
    start(STAY)
    first = until(lambda: last(home, "daemon.started"))["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: (last(home, "daemon.started") or {})["starts"] == 2)
    failed, again = last(home, "daemon.failed"), last(home, "daemon.started")
    assert (failed["reason"], failed["ends"], failed["retry_in_s"]) == ("SIGKILL", 1, 1.0)
    assert (again["startup_mode"], again["pid"] != first) == ("restart", True)


def test_one_that_is_told_to_end_between_two_runs_has_stopped(home, start):
    process = start("exit 3\n")
    until(lambda: last(home, "daemon.failed"))
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    assert last(home, "daemon.stopped")["reason"] == "SIGTERM"


def test_a_second_supervisor_says_who_has_it(home, start):
    process = start(STAY)
    until(lambda: last(home, "daemon.started"))
    second = start(STAY)
    assert second.wait(DEADLINE_S) == 75
    assert f"(process {process.pid})" in second.stderr.read().decode()
    assert process.poll() is None
    assert len(said(home)) == 1


def test_where_a_supervisor_was_killed_the_daemon_goes_on_until_there_is_another(home, start):
    process = start(STAY)
    daemon = until(lambda: last(home, "daemon.started"))["pid"]
    process.kill()
    process.wait()
    assert lives(daemon)
    assert is_locked(lock_of(home, "x"))
    start(STAY)
    until(lambda: last(home, "daemon.started")["pid"] != daemon)
    assert not lives(daemon)


def test_what_was_left_is_found_by_whatever_name_the_home_is_reached(home, start, tmp_path):
    letgo = READY + "exec 4>&- >/dev/null 2>&1\nsleep 60 & wait\n"
    (tmp_path / "link").symlink_to(home.root)
    process = start(letgo, root=tmp_path / "link")
    daemon = until(lambda: last(home, "daemon.started"))["pid"]
    until(lambda: not is_locked(lock_of(home, "x")))
    process.kill()
    process.wait()
    start(letgo)
    until(lambda: last(home, "daemon.started")["pid"] != daemon)
    assert not lives(daemon)


def test_one_that_runs_without_a_supervisor_is_left_alone(home, supervise):
    folder_of(home, "x").mkdir(parents=True)
    with lock_of(home, "x").open("w") as lock:
        lock.write("4711 0\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert supervise(STAY) != 0
        assert "without a supervisor (process 4711)" in supervise.errors
    assert said(home) == []


def test_a_crash_loop_is_given_up(home, supervise):
    assert supervise("exit 3\n") == UNAVAILABLE
    assert [(type, data["ends"]) for type, data in said(home)] == [
        ("daemon.failed", ends) for ends in range(1, 6)
    ]
    failures = [data for _, data in said(home)]
    assert failures[0]["reason"] == "exit 3 before it was ready"
    assert [each["retry_in_s"] is None for each in failures] == [False] * 4 + [True]
    assert failures[-1]["reason"] == "crash loop: 5 ends in a row, the last with exit 3"


@pytest.mark.parametrize(
    ("status", "why"), [(78, "configuration"), (64, "arguments"), (127, "pro")]
)
def test_what_another_start_would_not_change_is_given_up_at_once(home, supervise, status, why):
    assert supervise(f"exit {status}\n") == UNAVAILABLE
    assert [type for type, _ in said(home)] == ["daemon.failed"]
    assert last(home, "daemon.failed")["retry_in_s"] is None
    assert why in last(home, "daemon.failed")["reason"]


def test_a_script_that_is_not_there_is_a_failure_that_says_so(home, supervise):
    assert supervise() == UNAVAILABLE
    assert "No such file" in last(home, "daemon.failed")["reason"]


def test_a_script_that_may_not_be_executed_is_a_failure_that_says_so(home, script, supervise):
    script("exit 0\n", mode=0o640)
    assert supervise() == UNAVAILABLE
    assert "Permission denied" in last(home, "daemon.failed")["reason"]


def test_a_script_that_others_may_write_to_is_not_started(home, script, supervise):
    script("exit 0\n", mode=0o770)
    assert supervise() == UNAVAILABLE
    assert "chmod go-w" in last(home, "daemon.failed")["reason"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("place", ["scripts/daemons/x-daemon.sh", "scripts/daemons", "."])
def test_a_script_that_belongs_to_somebody_else_is_not_started(home, script, supervise, place):
    script(STAY)
    path = home.root / place
    os.chown(path, 65534, -1)
    assert supervise() == UNAVAILABLE
    assert last(home, "daemon.failed")["reason"] == (
        f"{path} belongs to user 65534, who could change it: chown root {path}"
    )


def test_one_that_ends_well_by_itself_has_stopped(home, supervise):
    assert supervise(READY + "exit 0\n") == 0
    assert [type for type, _ in said(home)] == ["daemon.started", "daemon.stopped"]
    assert last(home, "daemon.stopped")["reason"] == "it has ended by itself"
    assert supervise.notes == ["turn"]


def test_one_that_ends_well_before_it_is_ready_has_failed(home, supervise):
    assert supervise("exit 0\n") == UNAVAILABLE
    assert said(home)[0][1]["reason"] == "exit 0 before it was ready"


def test_one_that_never_says_that_it_is_ready_is_killed_and_given_up(home, supervise):
    # Longer than a steady run has to be: only who was ready has run steadily.
    limits = {"READY_S": 0.2}
    assert supervise("sleep 60\n", limits=limits) == UNAVAILABLE
    assert said(home)[0][1]["reason"] == "SIGKILL before it was ready"
    assert last(home, "daemon.failed")["ends"] == 5


def test_one_that_says_nothing_is_ready_when_it_has_lived_for_so_long(home, supervise):
    log = '"$HOOKLINE_HOME/coordination/events/daemon-events.jsonl"'
    assert supervise(f"until [ -s {log} ]; do sleep 0.02; done\n", alive_for="50ms") == 0
    assert said(home)[0][0] == "daemon.started"


@pytest.mark.parametrize("away", ["setsid --fork", "env -i setsid --fork"])
def test_what_it_has_started_ends_with_it(home, supervise, away):
    child = '"$HOOKLINE_HOME/child"'
    body = f"""{READY}{away} bash -c 'echo $$ >"$1"; exec sleep 600' - {child}
until [[ -s {child} ]]; do sleep 0.01; done
exit 78
"""
    assert supervise(body) == UNAVAILABLE
    assert not lives(int((home.root / "child").read_text()))
    assert not is_locked(lock_of(home, "x"))


def test_while_the_machine_is_short_of_processes_it_is_tried_again(home, supervise):
    assert supervise(READY, limits={"SHORT": 7, "SHORTAGE_S": 0.01}) == 0
    failures = [data for type, data in said(home) if type == "daemon.failed"]
    assert [(each["ends"], each["retry_in_s"]) for each in failures] == [(0, 0.01)] * 7
    assert said(home)[-1][0] == "daemon.stopped"


def test_it_runs_on_a_full_disk_and_what_no_event_can_say_is_told_at_its_end(home, supervise):
    assert supervise(READY + "exit 0\n", limits={"FULL": True, "STOP_S": 0.05}) == 0
    lines = supervise.errors.splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["daemon.started", "daemon.stopped"]
    assert all(f"is not in the log: {home.live('daemon')}: " in line for line in lines)
    assert not is_locked(lock_of(home, "x"))


def test_what_has_left_it_altogether_lives_on(home, supervise):
    child = '"$HOOKLINE_HOME/child"'
    away = f"""(exec 3>&- 4>&-
exec env -i setsid --fork bash -c 'echo $$ >"$1"; exec sleep 600' - {child} <&- >/dev/null 2>&1)"""
    assert supervise(f"{READY}{away}\nuntil [[ -s {child} ]]; do sleep 0.01; done\nexit 78\n") == 69
    pid = int((home.root / "child").read_text())
    assert lives(pid)
    os.kill(pid, signal.SIGKILL)


def test_one_that_does_not_end_is_killed(home, supervise):
    # Its parent, which it asks to end here, is its supervisor.
    body = "trap '' TERM\n" + READY + 'kill -TERM "$PPID"\nwhile :; do sleep 0.05; done\n'
    assert supervise(body, limits={"STOP_S": 0.1}) == 0
    stopped = last(home, "daemon.stopped")
    assert (stopped["reason"], stopped["graceful"]) == ("SIGTERM", False)
    assert supervise.notes == ["turn", "stop"]


def test_what_asked_for_it_is_the_cause_of_its_first_words_only(home, supervise):
    supervise(READY + "sleep 0.05\nexit 3\n", cause={"id": "asked", "hops": 2})
    lines = [json.loads(line) for line in home.live("daemon").read_text().splitlines()]
    assert [(line.get("causationid"), line.get("hops")) for line in lines][:2] == [
        ("asked", 3), (None, None),
    ]  # fmt: skip


def test_what_could_not_be_said_is_said_later_in_its_order(home, supervise):
    home.live("daemon").parent.mkdir(parents=True, exist_ok=True)
    home.live("daemon").mkdir()
    # The log is a folder until the daemon has failed for the second time.
    body = (
        f'echo >>"$HOOKLINE_HOME/runs"\n[[ $(wc -l <"$HOOKLINE_HOME/runs") != 2 ]] ||'
        f' rmdir "{home.live("daemon")}"\nexit 3\n'
    )
    assert supervise(body, limits={"AGAIN_S": 0.01}) == UNAVAILABLE
    assert [data["ends"] for _, data in said(home)] == [1, 2, 3, 4, 5]
