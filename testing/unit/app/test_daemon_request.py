"""A daemon is asked for by a file, and whoever asked hears when it is ready."""

import os
import subprocess
import sys
import threading

import pytest

from hookline.app import daemon_request, daemons
from hookline.app.daemon_request import ask, take_up
from hookline.control.daemon import folder_of
from hookline.control.units import REQUEST
from hookline.model.errors import BadData
from testing.waiting import until

EVENT = {"HOOKLINE_ATTEMPT": "1", "EVENT_ID": "01a2006a-0920-7018-85da-ff3ac5580500"}


@pytest.fixture
def request_file(home):
    return folder_of(home, "x") / REQUEST


def comes(request_file, work):
    """What systemd does: start something as soon as the file is there."""
    thread = threading.Thread(target=lambda: until(request_file.exists) and work())
    thread.start()
    return thread


def test_who_asks_hears_of_it_and_who_comes_knows_the_event(home, request_file):
    taken = []
    thread = comes(request_file, lambda: taken.append(take_up(home, "x")))
    fd = ask(home, "x", {**EVENT, "PATH": "/bin"})
    thread.join()
    assert taken[0].cause == EVENT
    assert not request_file.exists()
    os.write(taken[0].answer_fd, b"\n")
    os.close(taken[0].answer_fd)
    assert os.read(fd, 8) == b"\n"
    assert os.read(fd, 8) == b""
    os.close(fd)


def test_where_nobody_comes_nothing_stays_asked_for(home, request_file, monkeypatch):
    monkeypatch.setattr(daemon_request, "TAKEN_UP_S", 0.05)
    assert ask(home, "x", {}) is None
    assert not request_file.exists()


def test_where_nothing_was_asked_for_nothing_is_taken_up(home, request_file):
    assert take_up(home, "x") == ({}, -1)
    request_file.parent.mkdir(parents=True)
    request_file.write_text("{}")
    assert take_up(home, "x") == ({}, -1), "and nobody waits for the answer"
    assert not request_file.exists()


@pytest.mark.parametrize(("text", "cause"), [
    ("torn", {}),
    ("[1]", {}),
    ('{"EVENT_ID": 5, "TRACEPARENT": null, "PATH": "/x", "EVENT_HOPS": "2"}', {"EVENT_HOPS": "2"}),
    ("[" * 100_000, {}),
])  # fmt: skip
def test_what_a_request_should_not_say_is_passed_over(home, request_file, text, cause):
    request_file.parent.mkdir(parents=True)
    request_file.write_text(text)
    assert take_up(home, "x") == (cause, -1)
    assert not request_file.exists(), "or systemd would start it for ever"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_waited_for(home, request_file, make):
    request_file.parent.mkdir(parents=True)
    make(request_file)
    assert take_up(home, "x").cause == {}


def test_a_name_is_looked_up_before_it_is_a_path(home, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/nobody")
    with pytest.raises(BadData, match="no daemon"):
        daemons.supervisor(home, "../../../esc")
    assert not list(home.root.parent.glob("esc*"))


@pytest.mark.parametrize(("body", "is_ready"), [
    ('trap "exit 0" TERM\nprintf "\\n" >&"$HOOKLINE_READY_FD"\nsleep 60 & wait\n', True),
    ("exit 78\n", False),
])  # fmt: skip
def test_a_unit_starts_what_a_handler_asks_for(home, monkeypatch, request_file, body, is_ready):
    (home.config / "daemons.toml").write_text('[daemon.x]\nscript = "x.sh"\n')
    (home.root / "x.sh").write_text(f"#!/bin/bash\n{body}")
    (home.root / "x.sh").chmod(0o750)
    monkeypatch.setattr(daemons, "is_waited_for", lambda *_: True)
    for name, value in EVENT.items():
        monkeypatch.setenv(name, value)
    started = []

    def start():
        command = [sys.executable, "-m", "hookline", "daemon", "run", "x", "--home", home.root]
        environ = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": "/nobody"}
        started.append(subprocess.Popen(command, env=environ))

    thread = comes(request_file, start)
    try:
        assert daemons.launch(home, "x") is is_ready
        thread.join()
        assert f'"causationid":"{EVENT["EVENT_ID"]}"' in home.live("daemon").read_text()
    finally:
        for each in started:
            each.terminate()
            each.wait(60)
