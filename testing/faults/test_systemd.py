"""A home under a systemd of its own: what hangs or is killed comes back; the drop box is served.

It runs in a mount namespace in which it takes itself for the user's manager of a booted system, so
that the machine's own is never touched.
"""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from hookline.app.services import Services
from testing.waiting import until

DAEMON = 'trap "exit 0" TERM\nprintf "\\n" >&"$HOOKLINE_READY_FD"\nsleep 600 & wait\n'
SYSTEMD = "/lib/systemd/systemd"
BOOTED = """
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
exec "$0" --user --log-target=console
"""


class Manager:
    """systemd, and commands where it can be asked."""

    def __init__(self, folder):
        self.env = {
            **os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_RUNTIME_DIR": "/run/user/0", "SYSTEMD_LOG_TARGET": "console",
        }  # fmt: skip
        self.log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", "-c", BOOTED, SYSTEMD],
            env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def run(self, *command):
        inside = ["nsenter", f"--target={self._process.pid}", "--mount", "--wd=/"]
        return subprocess.run([*inside, *command], env=self.env, capture_output=True, text=True,
                              check=False)  # fmt: skip

    def hookline(self, *arguments):
        done = self.run(sys.executable, "-m", "hookline", *arguments)
        assert done.returncode == 0, done.stderr

    def show(self, unit, key):
        return self.run("systemctl", "--user", "show", f"--property={key}", "--value", unit)\
            .stdout.strip()  # fmt: skip

    def answers(self):
        assert self._process.poll() is None, "it has ended"
        return "running" in self.run("systemctl", "--user", "is-system-running").stdout

    def close(self):
        self._process.terminate()
        self._process.wait(60.0)
        self.log.close()


@pytest.fixture
def manager(soak_s, home, tmp_path):
    if not soak_s:
        pytest.skip("only in a long run")
    if os.geteuid() != 0 or not os.path.exists(SYSTEMD) or shutil.which("unshare") is None:
        pytest.skip("needs root and systemd")
    (home.config / "programs.toml").write_text("")
    manager = Manager(tmp_path)
    try:
        until(manager.answers)
        yield manager
    finally:
        manager.close()


def dispatcher(manager, unit, *, other_than=0):
    """The process of the dispatcher, once it serves."""
    found = []

    def serves():
        found[:] = [int(manager.show(unit, "MainPID") or 0)]
        return manager.show(unit, "StatusText") == "serving" and found[0] not in (0, other_than)

    until(serves)
    return found[0]


def test_what_hangs_or_is_killed_comes_back_and_the_drop_box_is_served(home, manager):
    handler = home.handlers / "on-a-b.sh"
    handler.write_text('#!/bin/bash\necho "$EVENT_ID" >>"$HOOKLINE_HOME/ran"\n')
    handler.chmod(0o750)
    ran = home.root / "ran"
    for name, body in (("x", DAEMON), ("bad", "exit 78\n")):
        (home.root / name).write_text(f"#!/bin/bash\n{body}")
        (home.root / name).chmod(0o750)
    (home.config / "daemons.toml").write_text(
        '[daemon.x]\nscript = "x"\n[daemon.bad]\nscript = "bad"\n'
    )
    services = Services(home, "user")
    unit = f"{services.place.prefix}-dispatcher.service"
    drop_in = home.root.parent / f"config/systemd/user/{unit}.d/test.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")

    manager.hookline("daemon", "install", "--user", "--now")
    first = dispatcher(manager, unit)
    os.kill(first, signal.SIGSTOP)
    second = dispatcher(manager, unit, other_than=first)
    os.kill(second, signal.SIGKILL)
    dispatcher(manager, unit, other_than=second)
    manager.hookline("emit", "a.b")
    until(ran.exists)

    manager.hookline("daemon", "install", "--user", "--now", "--on-demand")
    assert manager.show(unit, "ActiveState") == "inactive"
    for n in (2, 3):
        event = home.queue / ".x"
        event.write_text('{"specversion":"1.0","type":"a.b","data":{}}')
        event.rename(home.queue / f"{n}.json")
        until(lambda n=n: len(ran.read_text().split()) == n)

    manager.hookline("daemon", "launch", "x")
    assert manager.show(f"{services.place.prefix}-daemon@x.service", "ActiveState") == "active"
    failed = manager.run(sys.executable, "-m", "hookline", "daemon", "launch", "bad")
    assert failed.returncode == os.EX_UNAVAILABLE

    manager.hookline("daemon", "uninstall", "--user")
    left = manager.run("systemctl", "--user", "list-units", "--all", "--no-legend", "hookline*")
    assert left.stdout == ""
    assert list(drop_in.parent.parent.glob("**/hookline*.service")) == []
