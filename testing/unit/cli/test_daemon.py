"""`hookline daemon`, where it becomes the wizard; what it supervises is in unit/control."""

import json
import os
import subprocess
import sys

TABLE = """
[daemon.health]
script = "scripts/a.sh"

[daemon.pattern]
script = "scripts/b.sh"
"""


def test_the_words_of_the_wizard_are_actions_of_daemon(home):
    command = [sys.executable, "-m", "hookline", "daemon"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    (home.config / "daemons.toml").write_text(TABLE)

    def daemon(*arguments):
        return subprocess.run(
            [*command, *arguments], env=env, capture_output=True, text=True, check=False
        )

    done = daemon("status", "health", "pattern", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["name"], each["state"]) for each in told] == [
        ("health", "stopped"), ("pattern", "stopped"),
    ]  # fmt: skip
    assert daemon("start", "nobody", "--wait", "1").returncode == 65
    assert daemon("run").returncode == 64
    assert daemon("stop", "health", "--asked").returncode == 64
