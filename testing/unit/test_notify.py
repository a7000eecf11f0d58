"""What a service manager is told: by the notifier alone, by a dispatcher, by a scheduler."""

import math
import os
import signal
import socket
import subprocess
import sys

import pytest

from hookline.dispatch.core import Core
from hookline.notify import AGAIN_S, Notifier


class Manager:
    """As much of systemd as a program sees: a socket."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(20.0)
        self._socket.bind(address)

    def told(self):
        return self._socket.recv(4096).decode()

    def told_nothing(self):
        self._socket.setblocking(False)
        try:
            return self.told()
        except BlockingIOError:
            return None
        finally:
            self._socket.settimeout(20.0)

    def close(self):
        self._socket.close()


@pytest.fixture
def address(tmp_path):
    return str(tmp_path / "notify")


@pytest.fixture
def manager(address):
    manager = Manager(address)
    yield manager
    manager.close()


def test_the_first_turn_says_that_it_serves_and_the_others_that_it_lives(manager, address):
    notifier = Notifier(address, 10.0)
    assert notifier.turn(100.0) == 105.0
    assert manager.told() == "READY=1\nSTATUS=serving"
    assert notifier.turn(104.9) == 105.0
    assert manager.told_nothing() is None
    assert notifier.turn(105.0) == 110.0
    assert manager.told() == "WATCHDOG=1"
    notifier.stop()
    assert manager.told().startswith("STOPPING=1\n")


def test_without_a_watchdog_it_is_not_waited_for(manager, address):
    notifier = Notifier(address)
    notifier.turn(1.0)
    assert manager.told().startswith("READY=1\n")
    assert notifier.turn(2.0) == math.inf
    assert manager.told_nothing() is None


def test_where_nobody_asked_nobody_is_told():
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000"})
    assert notifier.turn(1.0) == math.inf
    assert notifier.tell("STATUS=alone")
    notifier.stop()


def test_an_abstract_socket_will_do():
    name = f"hookline-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    assert Notifier(f"@{name}").tell("STATUS=there")
    assert manager.told() == "STATUS=there"
    manager.close()


def test_a_manager_that_does_not_take_it_is_told_again(address):
    notifier = Notifier(address, 10.0)
    assert notifier.turn(1.0) == 1.0 + AGAIN_S
    manager = Manager(address)
    assert notifier.turn(1.5) == 1.0 + AGAIN_S
    assert notifier.turn(2.0) == 7.0
    assert manager.told().startswith("READY=1\n")
    manager.close()


def test_what_the_manager_asked_for_is_handed_on_to_nobody():
    environ = {"NOTIFY_SOCKET": "@it", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Notifier.from_environment(environ)
    assert environ == {"PATH": "/bin"}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", [["dispatch"], ["schedule", "run"], ["up", "--quiet"]])
def test_a_daemon_says_that_it_serves_that_it_lives_and_that_it_ends(manager, address, command):
    environ = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    daemon = subprocess.Popen([sys.executable, "-m", "hookline", *command], env=environ)
    try:
        assert manager.told() == "READY=1\nSTATUS=serving"
        for _ in range(3):
            assert manager.told() == "WATCHDOG=1"
        daemon.send_signal(signal.SIGTERM)
        while (told := manager.told()) == "WATCHDOG=1":
            pass
        assert told.startswith("STOPPING=1\n")
        assert daemon.wait(60) == 0
    finally:
        daemon.kill()
        daemon.wait()


def test_a_dispatcher_that_is_short_of_something_says_that_it_lives(bench, monkeypatch):
    """That may go on for longer than a watchdog waits."""

    class Manager(Notifier):
        turns = 0

        def turn(self, now_s):
            self.turns += 1
            if self.turns == 3:
                dispatcher.stop()
            return super().turn(now_s)

    rounds = iter(range(100))

    def no_memory(_):
        next(rounds)
        raise MemoryError

    manager = Manager()
    dispatcher = bench.dispatcher(companions=[manager])
    with monkeypatch.context() as patched:
        patched.setattr(Core, "turn", no_memory)
        dispatcher.run()
    dispatcher.close()
    assert manager.turns == 3
