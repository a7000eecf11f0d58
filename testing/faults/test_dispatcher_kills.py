"""kill -9 of the dispatcher at random moments under load: nothing is lost, order holds, attempts
are bounded."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookline.app.selftest.history import History, read_letters, read_log, read_runs
from hookline.log.append import append_line_to_log
from hookline.model import envelope, ids
from hookline.model.clock import SystemClock, rfc3339

ATTEMPTS_MAX = 6
KEYS = 4

# Each run notes its beginning and its end in one write each; one in eight fails, one in sixteen
# is slow.
HANDLER = """#!/bin/bash
# key: data.k   concurrency: 3   attempts: 6   backoff: 20ms
now() { printf -v moment '%s' "${EPOCHREALTIME/./}"; }
key=${EVENT_SUBJECT}
now; printf 'begin %s %s %s %s\\n' "$EVENT_ID" "$key" "$EVENT_ATTEMPT" "$moment" >>"$OUT"
status=0
((RANDOM % 8)) || status=1
((RANDOM % 16)) || sleep 0.1
now; printf 'end %s %s %s %s %s\\n' "$EVENT_ID" "$key" "$EVENT_ATTEMPT" "$moment" "$status" >>"$OUT"
exit "$status"
"""

# The same in Python: all events in one lane, in long stretches, one in eight failing.
PYTHON_HANDLER = """# run: python   attempts: 6   backoff: 20ms
import os, random, time
from hookline import on

out = open(os.environ["OUT"], "ab", buffering=0)

def note(what, event, status=""):
    out.write(f"{what} {event.id} all 1 {time.time_ns() // 1000} {status}\\n".encode())

@on("a.b")
def handle(event):
    note("begin", event)
    time.sleep(random.choice([0, 0, 0, 0.02]))
    failed = random.random() < 0.125
    note("end", event, int(failed))
    if failed:
        raise RuntimeError("one in eight")
"""

DISPATCH = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from hookline.dispatch.dispatcher import Dispatcher
from hookline.dispatch.python_runner import describe
from hookline.log.home import Home
from hookline.model.clock import SystemClock
root = Path(sys.argv[1])
passed = {"PATH": os.defpath, "OUT": str(root / "out")}
dispatcher = Dispatcher(
    Home(root), clock=SystemClock(), describe=lambda path: describe(path, passed),
    lines=lambda _, d: d.raw, alert=lambda *a: None, passed=passed,
)
dispatcher.run() if sys.argv[3] == "run" else dispatcher.drain()
dispatcher.close()
"""


def emit(home, n, order):
    identity = ids.uuid7(time.time_ns())
    key = f"k{n % KEYS}"
    line = envelope.line(
        id=identity,
        source="writer",
        type="a.b",
        time=rfc3339(SystemClock().now()),
        subject=key,
        data=json.dumps({"k": key, "n": n}, separators=(",", ":")).encode(),
    )
    append_line_to_log(home.root, "a", line)
    order.setdefault(key, []).append(identity)
    return identity


def start(home, how):
    source = Path(__file__).resolve().parents[2] / "src"
    return subprocess.Popen(
        [sys.executable, "-c", DISPATCH, str(home.root), str(source), how],
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


def answered(home):
    """The events that were delivered or given up."""
    done = {run.event for run in read_runs(home.root / "out") if run.exit == 0}
    return done | read_letters(home.dead_letters)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "text"),
    [("on-a-b.sh", HANDLER), ("on-a-b.py", PYTHON_HANDLER)],
    ids=["exec", "python"],
)
def test_nothing_is_lost_however_often_the_dispatcher_is_killed(home, soak_s, name, text):
    kills = 200 if soak_s else 25
    seed = random.randrange(1 << 32)  # noqa: S311  # a seed of a test
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311  # as above
    handler = home.handlers / name
    handler.write_text(text)
    handler.chmod(0o750)
    acknowledged, order = set(), {}
    for _ in range(kills):
        process = start(home, "run")
        ends_s = time.monotonic() + chance.uniform(0.05, 0.8)
        while time.monotonic() < ends_s and process.poll() is None:
            acknowledged.add(emit(home, len(acknowledged), order))
            time.sleep(chance.uniform(0.0, 0.02))  # the load itself, as irregular as drawn
        # Its handlers live on and hold the pipe: only what is there already is read.
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
    process = start(home, "run")
    deadline_s = time.monotonic() + 240
    while not acknowledged <= answered(home):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline_s, "the backlog does not drain"
        time.sleep(0.2)  # the condition is read from files, of which nobody tells
    process.terminate()
    _, said = process.communicate(timeout=60)
    # It may have been told to end before it was ready to hear that.
    assert process.returncode in (0, -signal.SIGTERM)
    assert said == b""
    logged = read_log([home.live("a")])
    history = History(
        acknowledged=acknowledged,
        runs=read_runs(home.root / "out"),
        letters=read_letters(home.dead_letters),
        known={event["id"] for event in logged},
        order=order if name.endswith(".sh") else {"all": [event["id"] for event in logged]},
        attempts_max=ATTEMPTS_MAX,
    )
    assert len(history.runs) >= len(acknowledged) > kills
    assert history.problems() == []


def test_a_run_that_a_killed_dispatcher_left_is_ended_before_the_event_runs_again(home):
    handler = home.handlers / "on-a-b.sh"
    handler.write_text(
        '#!/bin/bash\necho "$EVENT_ATTEMPT $$" >>"$OUT"\n'
        "[[ $EVENT_ATTEMPT == 1 ]] && exec sleep 30\nexit 0\n"
    )
    handler.chmod(0o750)
    emit(home, 0, {})
    process = start(home, "run")
    out = home.root / "out"
    deadline_s = time.monotonic() + 20
    while not out.exists() or not out.read_text():
        assert time.monotonic() < deadline_s
        os.sched_yield()
    process.kill()
    process.wait()
    process.stderr.close()
    first = int(out.read_text().split()[1])
    assert Path(f"/proc/{first}").exists()
    _, said = start(home, "drain").communicate(timeout=20)
    assert said == b""
    assert [line.split()[0] for line in out.read_text().splitlines()] == ["1", "2"]
    status = Path(f"/proc/{first}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"
