"""Whoever asks for a replay is killed, again and again: it goes on, and nothing is asked twice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from hookline.dispatch import replays
from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from hookline.model import envelope

EVENTS = 300
KILLS = 4
DEADLINE_S = 60.0
NOTING = """\
# run: python
import os
from hookline import on
@on("a.*")
def note(event):
    with open(os.environ["HOOKLINE_HOME"] + "/out", "a") as out:
        print(event.id, event.replayof, file=out)
"""


def hookline(home: Home, *arguments: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "HOOKLINE_HOME": str(home.root)}
    command = [sys.executable, "-m", "hookline", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ends_well(process: subprocess.Popen[bytes]) -> None:
    assert process.wait(DEADLINE_S) == 0


def asked(home: Home) -> int:
    begun = replays.find(home, "weekly")
    return begun.asked if begun else 0


def test_a_replay_whose_asker_is_killed_goes_on_and_doubles_nothing(home: Home) -> None:
    home.handlers.joinpath("on-a.py").write_text(NOTING)
    for number in range(EVENTS):
        moment = f"2026-11-20T00:{number // 60:02d}:{number % 60:02d}.000000Z"
        line = envelope.line(id=f"e{number}", source="s", type=f"{'ab'[number % 2]}.b", time=moment)
        append_line_to_log(str(home.root), "ab"[number % 2], line)
    home.deliveries.touch()
    for kill in range(1, KILLS + 1):
        command = ["replay", "--to", "on-a.py", "--name", "weekly", "--rate", "100/s"]
        process = hookline(
            home, *(command if kill == 1 else ["replay", "--resume", "weekly", "--rate", "100"])
        )
        ends_s = time.monotonic() + DEADLINE_S
        while asked(home) < kill * 20:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < ends_s
            time.sleep(0.01)  # the pace of looking: nothing tells us of the journal
        process.send_signal(signal.SIGKILL)
        process.wait()
        if kill % 2:
            ends_well(hookline(home, "dispatch", "--once"))
    ends_well(hookline(home, "replay", "--resume", "weekly"))
    ends_well(hookline(home, "dispatch", "--once"))
    said = Counter(Path(home.root, "out").read_text().splitlines())
    wanted = {f"e{number} weekly" for number in range(0, EVENTS, 2)}
    assert {line for line in said if line.endswith("weekly")} == wanted
    assert set(said.values()) == {1}
