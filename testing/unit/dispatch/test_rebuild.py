"""`state/` made again from the logs and the journal is the state that it was, and nothing runs
twice for it: over random histories with real handlers, kills of the dispatcher and of the rebuild.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from itertools import accumulate

import pytest

from hookline.app.pausing import set_paused
from hookline.dispatch import letters, replays
from hookline.dispatch import rebuild as module
from hookline.dispatch.identities import Identities
from hookline.dispatch.journal import STATE_FILE, load_ledger, read_ledger
from hookline.dispatch.lock import Lock
from hookline.dispatch.rebuild import rebuild
from hookline.log.home import Home
from hookline.model.clock import SystemClock
from hookline.model.errors import TryAgain
from hookline.model.position import Position
from testing.unit.bench import Bench

CLOCK = SystemClock()
HANDLERS = ["on-a-b.sh", "on-a-keyed.sh", "on-a-any.py"]
NOTE = 'printf "%s %s %s %s\\n" "${0##*/}" "$EVENT_ID" "$EVENT_ATTEMPT" "$EVENT_REPLAYOF" >>"$OUT"'
# Data is what the run is to come to: an exit status, or the end of the dispatcher itself.
SHELL = f"""#!/bin/bash
# on: a.*   attempts: 3   backoff: 1ms   key: subject   concurrency: 2
{NOTE}
read -r event <"$1"
event=${{event%?}} verdict=${{event##*:}}
[[ $verdict != 137 ]] || {{ kill -9 "$PPID"; sleep 60; }}  # until the next dispatcher ends it
exit "$verdict"
"""
SERIAL = SHELL.replace("key: subject   concurrency: 2", "")
PYTHON = """# run: python   attempts: 3   backoff: 1ms
import os
from hookline import Retry, on

@on("a.*")
def handle(event):
    with open(os.environ["OUT"], "a") as out:
        print("on-a-any.py", event.id, "?", file=out)
    if event.value() in (65, 75):
        raise Retry(after_s=0.001)
"""


def dispatch(root):
    """A dispatcher that may be killed; whether it was."""
    with warnings.catch_warnings():
        # The child of a process with threads may deadlock: ours dispatches and ends.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            Bench(root).drain()
            os._exit(0)
        except BaseException:  # noqa: BLE001  # what is not caught here would go on as a second pytest
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def settle(root):
    """Dispatch until nothing kills the dispatcher any more and nothing waits."""
    for _ in range(30):
        killed = dispatch(root)
        ledger = read_ledger(Home(root))
        paused = {name for name, each in ledger.handlers.items() if each.paused}
        waits = any(each.pending for name, each in ledger.handlers.items() if name not in paused)
        if not killed and not waits:
            return
    pytest.fail("it does not come to an end")


def twins(home, reached=None):
    """How far a domain's events are known by what is on disk, and which were stored twice."""
    known = Identities(home.state / "identities")
    reached = reached or known.reached("a")
    assert known.reached("a") >= reached
    return reached, {each for each in places(home) if each < reached and each in known._twins["a"]}


def places(home):
    """Where the lines of the log begin."""
    lines = home.live("a").read_bytes().splitlines(keepends=True)
    starts = accumulate(map(len, lines), initial=0)
    return {Position(1, start) for start, _ in zip(starts, lines, strict=False)}


def to_come(home, ledger, twins):
    """The ledger with the places of the events that are still to be delivered instead of cursors
    and what is settled behind them: the index alone knows when a cursor has passed over a twin."""
    wanted = places(home) - twins
    for progress in ledger.handlers.values():
        cursor = progress.cursors.pop("a")
        unread = {place for place in wanted if place >= cursor.position}
        progress.settled = {"a": unread - progress.settled.pop("a", {}).keys()}
    return ledger


def histories(soak_s):
    return range(25 if soak_s else 1)


def live(bench, chance):
    """Some of what can happen to a home."""
    ids = [f"e{n}" for n in range(4)]
    for _ in range(chance.randrange(3, 9)):
        for _ in range(chance.randrange(4)):
            verdict = chance.choice([0, 0, 0, 0, 65, 75, 99, 1, 137])
            id = chance.choice(ids) if chance.random() < 0.2 else f"n{chance.randrange(10**6)}"
            bench.emit("a.b", verdict, subject=f"k{chance.randrange(3)}", id=id)
        match chance.randrange(6):
            case 0:
                action = chance.choice(["pause", "resume"])
                set_paused(bench.home, chance.choice(HANDLERS), action, "")
            case 1:
                for letter in list(letters.open_letters(bench.home))[:2]:
                    chance.choice([letters.replay, letters.drop])(bench.home, letter, CLOCK)
            case _:
                dispatch(bench.home.root)


def begin_anew(bench):
    shutil.rmtree(bench.home.root)
    bench.home.root.mkdir(mode=0o750)
    for folder in (bench.home.events, bench.home.queue, bench.home.segments, bench.home.handlers):
        folder.mkdir(parents=True)
    bench.handler("on-a-b.sh", SERIAL)
    bench.handler("on-a-keyed.sh", SHELL)
    bench.handler("on-a-any.py", PYTHON)
    dispatch(bench.home.root)


@pytest.mark.timeout(900)
def test_a_rebuilt_state_is_the_state_that_it_was(bench, chance, soak_s):
    for _ in histories(soak_s):
        begin_anew(bench)
        live(bench, chance)
        settle(bench.home.root)
        before, (reached, known) = read_ledger(bench.home), twins(bench.home)
        said = Counter(bench.said())
        rebuild(bench.home)
        after = read_ledger(bench.home)
        assert after.folded == before.folded
        # What rode with an event that killed the dispatcher is remembered to run alone: a wish.
        for progress in before.handlers.values():
            for place, pending in list(progress.pending.items()):
                if not pending.attempt and not pending.replay:
                    del progress.pending[place]
        for name, progress in after.handlers.items():
            assert progress.cursors["a"].position <= before.handlers[name].cursors["a"].position
        assert to_come(bench.home, after, known) == to_come(bench.home, before, known)
        assert twins(bench.home, reached) == (reached, known)
        settle(bench.home.root)
        assert Counter(bench.said()) == said


@pytest.mark.timeout(900)
def test_after_a_kill_and_a_rebuild_nothing_is_lost_and_nothing_runs_twice(bench, chance, soak_s):
    for _ in histories(soak_s):
        begin_anew(bench)
        live(bench, chance)
        killer = f"killer{chance.randrange(10**6)}"
        bench.emit("a.b", 137, subject="new", id=killer)
        while not any(killer in line for line in bench.said()):
            dispatch(bench.home.root)
            for name in HANDLERS:
                set_paused(bench.home, name, "resume", "")
        over = settled(bench.home)
        said = Counter(bench.said())
        rebuild(bench.home)
        settle(bench.home.root)
        later = Counter(bench.said()) - said
        # A Python function is not told that it repeats a dead letter.
        again = {(*each[:2], "") for each in asked(bench.home) if each[0].endswith(".py")}
        assert {delivery_of(line) for line in later} & over <= again
        runs = Counter(delivery_of(line) for line in bench.said() if "any.py" not in line)
        assert max(runs.values()) <= 3
        everything = {(name, each) for name in HANDLERS for each in events(bench.home)}
        assert settled(bench.home) >= {(name, each, "") for name, each in everything}


def delivery_of(line):
    handler, event, _, *replay = line.split(" ")
    return handler, event, "".join(replay)


def events(home):
    return {json.loads(line)["id"] for line in home.live("a").read_text().splitlines()}


def asked(home):
    entries = map(json.loads, home.deliveries.read_text().splitlines())
    return {(e["handler"], e["event"], e["letter"]) for e in entries if e["action"] == "replay"}


def settled(home):
    """The deliveries that the journal says to be over."""
    found = set()
    for line in home.deliveries.read_text().splitlines():
        entry = json.loads(line)
        if entry["action"] == "attempt" and entry["then"] in ("settled", "dead-letter"):
            found.add((entry["handler"], entry["event"], entry.get("replayof", "")))
        if entry["action"] == "batch":
            log = home.live("a").read_bytes()[entry["offset"] : entry["end"][1]]
            ids = [json.loads(each)["id"] for each in log.splitlines()]
            found |= {(entry["handler"], each, "") for each in ids}
    return found


@pytest.fixture(name="killed")
def make_killed(bench):
    """A home whose dispatcher was killed by an event, with one attempt under way."""
    bench.handler("on-a-b.sh", SERIAL)
    for n in range(3):
        bench.emit("a.b", 0, id=f"e{n}")
    bench.emit("a.b", 137, id="killer")
    assert dispatch(bench.home.root)
    return bench


def attempts_of(bench, event):
    return [line.split()[2] for line in bench.said() if f" {event} " in line]


def test_an_event_that_kills_the_dispatcher_stays_counted(killed):
    while len(killed.letters()) == 0:
        rebuild(killed.home)
        dispatch(killed.home.root)
    assert attempts_of(killed, "killer") == ["1", "2", "3"]
    assert [letter["event"]["id"] for letter in killed.letters()] == ["killer"]
    assert attempts_of(killed, "e0") == ["1"]


def test_a_spoilt_index_forgets_no_attempt(killed):
    for path in killed.home.state.glob(f"{STATE_FILE}*"):
        path.write_bytes(b"garbage" * 1000)
    assert rebuild(killed.home).underway == 1
    settle(killed.home.root)
    assert attempts_of(killed, "killer") == ["1", "2", "3"]
    assert attempts_of(killed, "e0") == ["1"]
    assert len(killed.letters()) == 1


def test_a_dry_run_changes_nothing(killed):
    def everything():
        return {
            path: path.read_bytes()
            for path in killed.home.coordination.rglob("*")
            if path.is_file() and not path.name.endswith(("-shm", ".pid"))
        }

    before = everything()
    done = rebuild(killed.home, dry_run=True)
    assert (done.underway, done.handlers) == (1, 1)
    assert "identities" in done.deleted
    assert everything() == before


def test_what_is_not_derived_stays(killed):
    (killed.home.state / "locks").mkdir()
    (killed.home.state / "hookline").symlink_to("/bin/true")
    (killed.home.state / "dispatch.damaged").touch()
    rebuild(killed.home)
    assert {path.name for path in killed.home.state.iterdir()} == {
        STATE_FILE, "dispatcher.pid", "hookline", "identities", "locks", "runs",
    }  # fmt: skip


def test_a_running_dispatcher_is_in_the_way(killed):
    lock = Lock(killed.home)
    with pytest.raises(TryAgain, match=f"kill {os.getpid()}"):
        rebuild(killed.home)
    lock.close()


class Killed(BaseException):
    """The end of the process, as far as a test can have one inside itself."""


STEPS = ("_delete", "load_ledger", "State", "_save", "_read_identities")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rebuild_that_is_killed_can_be_done_again_or_left(killed, monkeypatch, step, when):
    for times in range(1, 5):
        calls = 0
        real = getattr(module, step)

        def fatal(*given, real=real, times=times, **named):
            nonlocal calls
            calls += 1
            if calls == times and when == "before":
                raise Killed
            result = real(*given, **named)
            if calls == times:
                raise Killed
            return result

        with monkeypatch.context() as patch:
            patch.setattr(module, step, fatal)
            try:
                rebuild(killed.home)
            except Killed:
                pending = load_ledger(killed.home, None).handlers["on-a-b.sh"].pending
                assert all(each.attempt <= 1 for each in pending.values())
    settle(killed.home.root)
    assert attempts_of(killed, "killer") == ["1", "2", "3"]
    assert attempts_of(killed, "e0") == ["1"]
    assert len(killed.letters()) == 1


def test_a_preview_writes_nothing(bench):
    bench.home.deliveries.touch()
    before = sorted(bench.home.root.rglob("*"))
    assert rebuild(bench.home, dry_run=True).deleted == []
    assert sorted(bench.home.root.rglob("*")) == before


def test_a_preview_beside_a_dispatcher_sees_what_it_does_and_disturbs_nothing(bench):
    begun = bench.home.root / "begun"
    body = 'touch "$HOOKLINE_HOME/begun"; until [[ -e $OUT ]]; do sleep 0.05; done'
    bench.shell("on-a-b.sh", body)  # until the test lets it go
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    ends_s = time.monotonic() + 60
    try:
        while not begun.exists():
            assert time.monotonic() < ends_s
            dispatcher.tick(0.05)
        told = rebuild(bench.home, dry_run=True)
        assert (told.handlers, told.underway, told.waiting) == (1, 1, 0)
        bench.out.touch()
        dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.verdicts() == [("done", "settled")]


def test_the_lock_of_a_replay_that_is_asked_for_meanwhile_stays(bench):
    bench.home.state.mkdir()
    with replays.alone(bench.home, "weekly"):
        rebuild(bench.home)
        with pytest.raises(TryAgain, match="weekly"):
            held_by_another(bench.home, "weekly")


def held_by_another(home, name):
    """What another process meets: the locks are those of a process."""
    code = (
        "import sys; from pathlib import Path; from hookline.log.home import Home; "
        "from hookline.dispatch.replays import alone\n"
        "with alone(Home(Path(sys.argv[1])), sys.argv[2]): pass"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, home.root, name], check=False, capture_output=True, text=True
    )
    if ran.returncode:
        raise TryAgain(ran.stderr)
