"""Daemons that are launched in the background."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from hookline.app import daemons
from hookline.app.daemons import (
    RunsAlready,
    answer,
    is_supervised,
    is_withdrawn,
    kept_daemons,
    launch,
    supervisor,
)
from hookline.app.programs import ProgramKeeper
from hookline.control.daemon import lock_of, log_of
from hookline.log.log import Log
from hookline.model.errors import BadData, TryAgain
from testing.waiting import until

READY = 'printf "\\n" >&"$HOOKLINE_READY_FD"\n'
STAY = "trap 'exit 0' TERM\n" + READY + 'while :; do sleep 60 & wait "$!"; done\n'


@pytest.fixture
def lay(home):
    """Lays down a daemon of the name x."""
    home.config.mkdir(parents=True, exist_ok=True)
    (home.config / "daemons.toml").write_text('[daemon.x]\nscript = "x.sh"\n')

    def write(body):
        (home.root / "x.sh").write_text("#!/bin/bash\n" + body)
        (home.root / "x.sh").chmod(0o750)

    yield write
    if is_supervised(home, "x"):
        os.kill(int(lock_of(home, "x").read_text().split()[1]), signal.SIGTERM)
        until(lambda: not is_supervised(home, "x"))


def test_it_is_ready_when_the_launch_is_over_and_outlives_it(home, lay):
    lay("echo hello\n" + STAY)
    done = subprocess.run(
        [sys.executable, "-m", "hookline", "daemon", "launch", "x", "--home", home.root],
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert is_supervised(home, "x")
    assert log_of(home, "x").read_text() == "hello\n"


def test_a_lock_of_whoever_launches_it_is_not_held_by_it(home, lay, tmp_path):
    lay(STAY)
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    command = [sys.executable, "-m", "hookline", "daemon", "launch", "x", "--home", home.root]
    subprocess.run(command, pass_fds=[fd], check=True)
    os.close(fd)
    assert is_supervised(home, "x")
    with (tmp_path / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_one_that_fails_is_not_launched(home, lay):
    lay("exit 78\n")
    assert launch(home, "x") is False
    failed = json.loads(home.live("daemon").read_text())
    assert failed["data"]["reason"] == "exit 78: its configuration is wrong"


@pytest.mark.usefixtures("lay")
def test_an_unknown_name_is_told_with_those_that_are_known(home):
    for ask in (launch, supervisor):
        with pytest.raises(BadData, match=r"no daemon 'y' in .*: x$"):
            ask(home, "y")


def test_one_that_is_always_to_run_is_kept_beside_the_dispatcher(home, lay):
    lay(STAY)
    (home.config / "daemons.toml").write_text(
        '[daemon.x]\nscript = "x.sh"\nrun = "always"\n[daemon.y]\nscript = "y.sh"\n'
    )
    programs = kept_daemons(home)
    assert list(programs) == ["x"]
    keeper = ProgramKeeper(home, programs, {})
    keeper.turn(0.0)
    until(lambda: home.live("daemon").exists())
    keeper.stop()
    until(lambda: not is_supervised(home, "x"))
    told = [json.loads(line)["type"] for line in home.live("daemon").read_text().splitlines()]
    assert told == ["daemon.started", "daemon.stopped"]
    keeper.close()


def test_what_it_prints_goes_to_its_log_where_systemd_would_take_it(home, lay):
    lay("echo hello\nexit 78\n")
    done = subprocess.run(
        [sys.executable, "-m", "hookline", "daemon", "run", "x", "--home", home.root],
        capture_output=True, check=False, env={**os.environ, "NOTIFY_SOCKET": "/nobody"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (os.EX_UNAVAILABLE, b"")
    assert log_of(home, "x").read_text() == "hello\n"


def test_one_that_another_supervises_is_not_launched_whatever_becomes_of_it(home, lay):
    lay("exit 3\n")
    command = [sys.executable, "-m", "hookline", "daemon", "run", "x", "--home", home.root]
    with subprocess.Popen(command) as process:
        until(home.live("daemon").exists)
        with pytest.raises(
            RunsAlready, match=rf"process {process.pid}\): hookline daemon status x"
        ):
            launch(home, "x")
        process.terminate()


def test_what_asked_for_it_may_be_withdrawn_by_its_id_wherever_that_lies(home):
    log = Log(home)
    ask = "system.daemon_start_requested"
    take_back = partial(log.append, "system.daemon_start_withdrawn", source="me")
    # A clock of the future, and a request that waits in the drop box still.
    take_back(data={"daemon_type": "x", "requests": ["dropped"]}, time="2099-01-01T00:00:00Z")
    early, late = (log.append(ask, source="me", data={"daemon_type": "x"}) for _ in range(2))
    for data in (None, {"daemon_type": "x"}, {"daemon_type": "x", "requests": early.id}):
        take_back(data=data)
    assert not is_withdrawn(home, "x", early.id)
    take_back(data={"daemon_type": "x", "requests": [5, early.id]}, time="2020-01-01T00:00:00Z")
    assert is_withdrawn(home, "x", early.id)
    assert is_withdrawn(home, "x", "dropped")
    assert not is_withdrawn(home, "x", late.id)
    assert not is_withdrawn(home, "y", early.id)


def refused(home):
    """The answers that have started nothing."""
    lines = map(json.loads, home.live("system").read_text().splitlines())
    return [(each.get("causationid"), each["data"]["reason"]) for each in lines]


@pytest.fixture
def asked(monkeypatch):
    """This process handles the event."""
    monkeypatch.setenv("HOOKLINE_ATTEMPT", "1")
    monkeypatch.setenv("EVENT_ID", "asked")


@pytest.mark.usefixtures("asked")
def test_whose_supervisor_was_killed_has_no_answer_yet_and_is_asked_for_again(home, lay):
    lay('kill -KILL "$PPID"\n')
    with pytest.raises(TryAgain, match="its supervisor was killed"):
        answer(home, "x")
    assert not home.live("daemon").exists()
    lay(STAY)
    answer(home, "x")
    assert json.loads(home.live("daemon").read_text())["causationid"] == "asked"


@pytest.mark.usefixtures("asked", "lay")
def test_who_asks_for_an_unknown_one_is_refused_and_no_daemon_has_failed(home):
    with pytest.raises(BadData):
        answer(home, "y")
    ((cause, reason),) = refused(home)
    assert cause == "asked"
    assert reason.startswith("no daemon 'y' in ")
    assert not home.live("daemon").exists()


@pytest.mark.usefixtures("asked", "lay")
def test_who_asks_where_the_table_is_wrong_is_refused_and_no_handler_is_paused_for_it(home):
    (home.config / "daemons.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(BadData, match=r"daemons\.toml"):
        answer(home, "x")
    ((cause, reason),) = refused(home)
    assert cause == "asked"
    assert "daemons.toml" in reason


@pytest.mark.usefixtures("asked")
def test_who_asks_for_one_that_runs_without_a_supervisor_is_told_so(home, lay):
    lay(STAY)
    lock_of(home, "x").parent.mkdir(parents=True)
    with lock_of(home, "x").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer(home, "x")
    ((cause, reason),) = refused(home)
    assert cause == "asked"
    assert "x runs already, without a supervisor" in reason


@pytest.mark.usefixtures("asked")
def test_who_asks_for_one_that_cannot_be_supervised_is_told_that_it_failed(home, lay):
    lay(STAY)
    lock_of(home, "x").parent.mkdir(parents=True)
    lock_of(home, "x").symlink_to("elsewhere")
    answer(home, "x")
    failed = json.loads(home.live("daemon").read_text())
    assert (failed["type"], failed["causationid"]) == ("daemon.failed", "asked")
    assert failed["data"]["reason"].startswith("it cannot be started: ")
    assert failed["data"]["retry_in_s"] is None


@pytest.mark.usefixtures("asked")
def test_who_asks_is_answered_by_the_supervisor_however_long_that_takes(home, lay, monkeypatch):
    lay(STAY)
    (home.config / "daemons.toml").write_text('[daemon.x]\nscript = "x.sh"\nalive_for = "1h"\n')
    (home.root / "x.sh").write_text("#!/bin/bash\nsleep 60 & wait\n")
    monkeypatch.setattr(daemons, "_WAIT_S", 0.0)
    monkeypatch.setattr(daemons, "is_supervised", lambda *_: True)
    answer(home, "x")
    assert not home.live("system").exists()
    until(lambda: is_supervised(home, "x"))
    until(lambda: lock_of(home, "x").exists() and lock_of(home, "x").read_text())
