"""A home with daemons of the test's own, the wizard in a terminal, and a dispatcher."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from testing.terminal import Terminal, plain_environment
from testing.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]
ASKED = "on-system-daemon-start-requested.sh"
GOOD = """trap 'exit 0' TERM
printf '\\n' >&"$HOOKLINE_READY_FD"
while :; do sleep 60 4>&- & wait "$!"; done
"""
LEGACY = """#!/usr/bin/env bash
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
daemon_round() { printf 'a round\\n'; }
daemon_main NAME 60 -- "$@"
"""


class Wizard:
    """One home, and who looks at it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.coordination = root / "coordination"
        self.logger = root / "scripts/events/lib/event-logger.sh"
        self._terminals: list[Terminal] = []
        self._dispatcher: subprocess.Popen[bytes] | None = None
        (self.coordination / "config").mkdir(parents=True)
        for folder in ("segments", "queue", "rejected", "data"):
            (self.coordination / "events" / folder).mkdir(parents=True)
        (self.coordination / "state").mkdir()
        (self.coordination / "state/hookline").symlink_to(CHECKOUT / ".venv/bin/hookline")
        for part in ("events/lib", "daemons", "wizards"):
            shutil.copytree(CHECKOUT / "scripts" / part, root / "scripts" / part)
        handlers = root / "scripts/events/handlers"
        handlers.mkdir()
        shutil.copy(CHECKOUT / "scripts/events/handlers" / ASKED, handlers)
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o022)
        self.table = ""

    def daemon(
        self, name: str, body: str = LEGACY, *, start: str = "event", more: str = ""
    ) -> None:
        """One more, at the end of the table; a body without a first line is a supervised one."""
        script = f"scripts/daemons/{name}-test-daemon.sh"
        if not body.startswith("#!"):
            body = "#!/bin/bash\n" + body
        (self.root / script).write_text(body.replace("NAME", name))
        (self.root / script).chmod(0o750)
        self.table += (
            f'[daemon.{name}]\nlabel = "The {name}"\nscript = "{script}"\nstart = "{start}"\n{more}'
        )
        (self.coordination / "config/daemons.toml").write_text(self.table)

    def dispatch(self) -> None:
        """From now on, handlers are served."""
        self._dispatcher = subprocess.Popen(
            [sys.executable, "-m", "hookline", "dispatch", "--home", str(self.root)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
        )
        until((self.coordination / "state/dispatcher.pid").exists)

    def terminal(self, *arguments: str, lines: int = 24, columns: int = 80, **env: str) -> Terminal:
        """The wizard, on a screen."""
        terminal = Terminal(
            ["bash", self.root / "scripts/wizards/daemon-control.sh", *arguments],
            env=plain_environment(self.root, **env),
            cwd=self.root,
            lines=lines,
            columns=columns,
        )
        self._terminals.append(terminal)
        return terminal

    def run(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """The wizard, in a pipe."""
        return subprocess.run(
            ["bash", self.root / "scripts/wizards/daemon-control.sh", *arguments],
            input=stdin,
            env=plain_environment(self.root, **env),
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    def close(self) -> None:
        """Leave nothing behind."""
        for terminal in self._terminals:
            terminal.close()
        if self.table:
            self.run("stop", "--all", "--yes")
        if self._dispatcher:
            self._dispatcher.send_signal(signal.SIGTERM)
            self._dispatcher.wait(60)
