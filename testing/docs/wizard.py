"""The screens of docs/WIZARD.md: a session with the wizard in a real terminal.

`python -m testing.docs.wizard --write` puts the true screens into the page; the test holds the page
to them. A block that follows `<!-- screen: NAME -->` is a screen.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.docs.console import CHECKOUT, shape
from testing.terminal import Terminal, plain_environment
from testing.waiting import until

PAGE = CHECKOUT / "docs/WIZARD.md"
BLOCK = re.compile(r"(<!-- screen: ([\w-]+) -->\n+```text\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
_TABLE = """\
[daemon.health]
label = "Health Monitor"
script = "scripts/daemons/heartbeat-monitor-daemon.sh"
replaces = ["on-worker-heartbeat.sh"]

[daemon.metrics]
label = "Metrics Snapshot"
script = "scripts/daemons/metrics-snapshot-daemon.sh"
start = "direct"

[daemon.mailer]
label = "Sends the mail"
script = "scripts/mailer.sh"
"""
_MAILER = '#!/bin/sh\necho "mailer: no server is configured" >&2\nexit 78\n'
_HANDLERS = {"on-system-daemon-start-requested.sh", "on-worker-heartbeat.sh"}
_CHOICE, _BACK = "Your choice:", "Enter: back to the menu"
_PASSING = re.compile(r"^\w+: (?:requested|starting)\n", re.MULTILINE)
_NUMBERS = [
    (re.compile(r"process \d+"), "process N"),
    (re.compile(r"\b\d+ (?:s|min)\b"), "N s"),
    (re.compile(r"(\d (?:health|metrics|mailer) .*?N s +)\d+ "), r"\1N "),
]


class Session:
    """One person at the menu."""

    def __init__(self, root: Path, lines: int = 24, **terminal: str) -> None:
        env = plain_environment(root, HOME=str(root.parent), NO_COLOR="1", **terminal)
        plain = ["--plain"] if "DIALOGS" not in terminal else []
        script = root / "scripts/wizards/daemon-control.sh"
        self.terminal = Terminal([str(script), *plain], env=env, cwd=root, lines=lines)
        self._before = ""

    def menu(self) -> str:
        """The menu, as it is when one comes to it."""
        if self._before:
            self.terminal.type("\r")
            self.terminal.hides(self._before)
        self._before = ""
        return self.terminal.shows(_CHOICE)

    def choose(self, *answers: tuple[str, str], until: str = _BACK) -> str:
        """Answer each question, and what is on the screen below the menu then."""
        for question, answer in answers:
            self.terminal.shows(question)
            self.terminal.type(f"{answer}\r")
        text = self.terminal.shows(until)
        if until == _BACK:
            self._before = _BACK
        return text[text.index(_CHOICE) :]

    def close(self) -> None:
        """End it."""
        self.terminal.close()


def screens(folder: Path) -> Iterator[tuple[str, str]]:
    """Each screen of the page with its name, in a home that is made in the folder."""
    root = folder / "my-bus"
    _make(root)
    which = "Which daemon"
    with _dispatcher(root):
        short = Session(root, lines=9)
        session = Session(root)
        yield "menu", session.menu()
        yield "short", short.menu()
        short.close()
        yield "start", session.choose((_CHOICE, "2"), (which, "health"))
        yield "refresh", session.menu()
        yield "start-all", session.choose((_CHOICE, "6"))
        session.menu()
        yield "restart", session.choose((_CHOICE, "4"), (which, "1"))
        session.menu()
        yield "logs", session.choose((_CHOICE, "5"), (which, "mailer"))
        session.menu()
        yield "health", session.choose((_CHOICE, "8"), ("Restart mailer?", "n"))
        session.menu()
        yield "stop", session.choose((_CHOICE, "3"), (which, "metrics"))
        session.menu()
        yield "stop-all", session.choose((_CHOICE, "7"), ("Stop all", "y"))
        session.menu()
        session.close()
        if shutil.which("whiptail"):
            dialogs = Session(root, DIALOGS="1")
            dialogs.terminal.shows("<Cancel>")
            yield "dialog", dialogs.terminal.shows("exit").strip("\n")
            dialogs.close()
    session = Session(root)
    session.menu()
    yield "unserved", session.choose((_CHOICE, "2"), (which, "health"))
    yield "legacy", session.choose((_BACK, "l"), until=f"when it ends\n{_BACK}")
    session.close()
    session = Session(root)
    session.menu()
    yield "withdrawn", session.choose((_CHOICE, "3"), (which, "health"))
    session.close()
    (root / "scripts/events/lib/event-logger.sh").unlink()
    session = Session(root)
    session.choose((_CHOICE, "7"), ("Stop all", "y"))
    session.menu()
    yield "no-logger", session.choose((_CHOICE, "2"), (which, "health"))
    session.close()
    _wizard(root, "stop", "--all", "--yes")


def comparable(screen: str) -> str:
    """The screen with what differs from run to run made equal; what is but passed through is not
    always seen."""
    screen = _PASSING.sub("", screen)
    for pattern, text in _NUMBERS:
        screen = pattern.sub(text, screen)
    return shape(screen)


def _make(root: Path) -> None:
    hookline = [sys.executable, "-m", "hookline"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    subprocess.run([*hookline, "init", root], env=env, check=True, stdout=subprocess.DEVNULL)
    command = root / "coordination/state/hookline"
    command.unlink(missing_ok=True)
    command.symlink_to(CHECKOUT / ".venv/bin/hookline")
    for handler in (root / "scripts/events/handlers").iterdir():
        if handler.name not in _HANDLERS:
            handler.unlink()
    (root / "coordination/config/daemons.toml").write_text(_TABLE)
    (root / "scripts/mailer.sh").write_text(_MAILER)
    (root / "scripts/mailer.sh").chmod(0o750)


@contextmanager
def _dispatcher(root: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "hookline", "dispatch", "--home", str(root)]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        until((root / "coordination/state/dispatcher.pid").exists)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        # One that has run a moment ago could be one of cron's, which comes again.
        (root / "coordination/state/dispatcher.pid").unlink()


def _wizard(root: Path, *arguments: str) -> None:
    subprocess.run(
        [root / "scripts/wizards/daemon-control.sh", *arguments],
        env=plain_environment(root), check=False, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _write(page: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shown = dict(screens(Path(folder)))

    def block(match: re.Match[str]) -> str:
        head, name, old, end = match.groups()
        return f"{head}{shown[name]}\n{end}" if name in shown else head + old + end

    page.write_text(BLOCK.sub(block, page.read_text()))


if __name__ == "__main__":
    os.umask(0o022)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    _write(PAGE)
