"""`hookline up` as a process of its own, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from hookline.cli.main import main
from testing.waiting import until


def test_up_shows_what_happens_and_ends_with_what_was_done(made):
    handler = made.handlers / "on-a-b.sh"
    handler.write_text("#!/bin/bash\nexit 0\n")
    handler.chmod(0o750)
    made.config.joinpath("programs.toml").write_text(
        '[program.emitter]\ncommand = ["/bin/sh", "-c", "sleep 300"]\nabout = "sleeps"\n'
    )
    process = start(made)
    said = ""
    while "another terminal" not in said:
        said += process.stdout.readline()
    main(["emit", "a.b", "--home", str(made.root)])
    main(["emit", "x.y", "--home", str(made.root)])
    while not ("unhandled" in said and "done" in said):
        said += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "program  emitter" in said
    assert "Events: 2. Deliveries settled: 1," in said


def test_an_end_of_up_lets_its_programs_come_to_theirs(made):
    note = made.coordination / "note"
    slow = f"trap 'sleep 0.5; echo ended >{note}; exit' TERM; echo begun; sleep 300 & wait"
    deaf = "trap '' TERM; echo begun; sleep 300 & while :; do wait; done"
    process = with_programs(made, slow=slow, deaf=deaf)
    process.send_signal(signal.SIGTERM)
    until(note.exists)
    assert process.poll() is None, "the other has not come to its end"
    said = ""
    while "waits for deaf to end" not in said:
        said += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert note.read_text() == "ended\n"
    assert not marked(f"HOOKLINE_PROGRAM={made.root}:deaf".encode())


def with_programs(home, **lines):
    """`hookline up` with these lines of shell, each of which has said something."""
    home.config.joinpath("programs.toml").write_text(
        "".join(
            f'[program.{name}]\ncommand = [\'/bin/bash\', \'-c\', """{line}"""]\n'
            for name, line in lines.items()
        )
    )
    process = start(home)
    for name in lines:
        log = home.coordination / f"logs/{name}.log"
        until(lambda log=log: log.exists() and log.read_text())
    return process


def start(home):
    return subprocess.Popen(
        [sys.executable, "-m", "hookline", "up", "--home", str(home.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
    )


def test_a_closed_terminal_ends_up_and_its_programs(made):
    made.handlers.rmdir()
    made.config.joinpath("programs.toml").write_text(
        '[program.sleeper]\ncommand = ["/bin/sleep", "997"]\n'
    )
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hookline", "up", "--home", str(made.root)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(terminal)
    said = b""
    while b"another terminal" not in said:
        said += os.read(controller, 4096)
    assert b"no handlers: " in said
    mark = f"HOOKLINE_PROGRAM={made.root}:sleeper".encode()
    until(lambda: marked(mark))
    os.close(controller)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 0
    assert not marked(mark)


def marked(mark):
    """The processes with this setting in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", pid, "environ").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            found.append(pid)
    return found
