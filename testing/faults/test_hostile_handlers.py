"""Handlers that hang, flee, flood, die, kill, vanish: each costs its own event an attempt, and
nobody else anything."""

import os
import signal
from pathlib import Path

import pytest

from hookline.app.selftest import leaks

KINDS = ["shell", "python", "stream"]
QUICK = "attempts: 2   backoff: 10ms"
OVERTIME = "timeout: 300ms   attempts: 2   backoff: 10ms"
WARM = "warm"
"""The key of an event that its handler is done with at once: to see the dispatcher idle."""


def install(bus, kind, shell, python, header):
    """A handler of this kind that lets warm-up events pass."""
    if kind == "shell":
        bus.shell(f"[[ $EVENT_SUBJECT == {WARM} ]] && exit 0\n{shell}", header)
    else:
        install = bus.python if kind == "python" else bus.stream
        install(f'if event.subject == "{WARM}": return\n{python}', header)


def warmed(bus):
    """A dispatcher that has had one event, and what it has open since."""
    process = bus.ready()
    bus.emit(WARM)
    bus.wait_answered()
    return process, bus.idle(process)


def finish(bus, process, idle, **more):
    """What is there goes on as if nothing had been: an event more, no leak, an orderly end."""
    bus.emit(WARM)
    bus.wait_answered()
    assert leaks.settled(bus.home, idle) == []
    bus.stop(process)
    bus.check(**more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_that_hangs_is_ended_in_time_and_tried_again(bus, kind):
    install(bus, kind, "sleep 1000000", "signal.pause()", OVERTIME)
    process, idle = warmed(bus)
    event = bus.emit("k")
    bus.wait_answered()
    assert bus.verdicts(event) == [("timeout", "retry"), ("timeout", "dead-letter")]
    finish(bus, process, idle)


FLIGHT = r"""
{trap}
sleep 1001.{tag} &
setsid sleep 1002.{tag} &
(setsid bash -c 'sleep 1003.{tag}' &)
(setsid bash -c 'trap "" TERM; (setsid sleep 1004.{tag} &); sleep 1005.{tag}' &)
env -i sleep 1006.{tag} &
set -m; (env -i sleep 1007.{tag} &); set +m
setsid env -i bash -c 'setsid sleep 1008.{tag} & wait' &
setsid env -i bash -c 'sleep 1009.{tag}; :' &
sleep 1010.{tag}
sleep 1011.{tag}
"""
FLED = 10
ESCAPE = "setsid env -i setsid sleep 1099.{tag}"


@pytest.mark.parametrize("trap", ["trap '' TERM", ":"], ids=["ignores TERM", "ends by TERM"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_handler_begot_survives_its_timeout(bus, kind, trap, tmp_path):
    script = tmp_path / "flight"
    script.write_text(FLIGHT.format(trap=trap, tag=os.getpid()))
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if trap != ":" else ""
    python = f"{ignore}subprocess.run(['bash', {str(script)!r}])\nsignal.pause()"
    install(bus, kind, f". {script}", python, "timeout: 700ms   attempts: 1")
    process = bus.ready()
    event = bus.emit("k")
    bus.wait(lambda: len(fled()) >= FLED, "not all have fled")
    before = fled()
    bus.wait_answered()
    assert bus.verdicts(event) == [("timeout", "dead-letter")]
    bus.wait(lambda: not alive(before), f"of {len(before)} there escaped {alive(before)}")
    bus.stop(process)
    bus.check()


def test_only_who_hides_in_all_ways_at_once_escapes_a_timeout(bus):
    # No environment, no session, no parent: it could be a service that was left on purpose.
    bus.shell(f"{ESCAPE.format(tag=os.getpid())} & sleep 1000", "timeout: 700ms   attempts: 1")
    process = bus.ready()
    bus.emit("k")
    bus.wait(fled, "it does not flee")
    bus.wait_answered()
    (escaped,) = fled()
    os.kill(escaped, signal.SIGKILL)
    # It had become a child of the dispatcher's, who lets no zombie stand.
    bus.wait(lambda: not fled() and not Path(f"/proc/{escaped}").exists(), "it is a zombie")
    bus.stop(process)
    bus.check()


def fled():
    """The processes of this test's flight, whatever they have done to hide."""
    tag = b".%d" % os.getpid()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if command[:1] == [b"sleep"] and command[1].endswith(tag):
            found.append(int(path.parent.name))
    return found


def alive(pids):
    """Those that still run; a zombie does not."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(pid)
    return found


def test_a_background_child_that_holds_the_output_does_not_hold_the_attempt(bus):
    install(bus, "shell", "sleep 997 & echo $! >>$HOOKLINE_HOME/child", "", QUICK)
    process, idle = warmed(bus)
    event = bus.emit("k")
    bus.wait_answered(deadline_s=60.0)
    assert bus.verdicts(event) == [("done", "settled")]
    child = int((bus.home.root / "child").read_text())
    assert leaks.settled(bus.home, idle, within_s=0.2) != []
    os.kill(child, signal.SIGKILL)
    finish(bus, process, idle)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_of_output_is_drained_cut_and_ended(bus, kind):
    python = "while True: os.write(1, b'y' * 65536)"
    install(bus, kind, "yes", python, "timeout: 1s   attempts: 1")
    process, _ = warmed(bus)
    before = rss_bytes(process.pid)
    event = bus.emit("k")
    bus.wait_answered()
    assert bus.verdicts(event) == [("timeout", "dead-letter")]
    (letter,) = bus.letters()
    assert letter["stdout"].startswith("[…]")
    assert len(letter["stdout"]) < 5000
    assert rss_bytes(process.pid) - before < 10e6
    bus.stop(process)
    bus.check()


def rss_bytes(pid):
    """The most memory that a process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_event_that_nobody_reads_holds_up_nothing(bus, kind):
    install(bus, kind, "exec <&-", "pass", QUICK)
    process, idle = warmed(bus)
    for _ in range(3):
        # The longest line that there is; it is far more than a pipe or a socket takes.
        bus.emit("k", "x" * 250_000)
    finish(bus, process, idle)
    assert {verdict for verdict, _ in bus.verdicts()} == {"done"}


STATUSES = {
    0: ("done", "settled"),
    1: ("failed", "dead-letter"),
    2: ("failed", "dead-letter"),
    63: ("failed", "dead-letter"),
    64: ("rejected", "dead-letter"),
    65: ("rejected", "dead-letter"),
    66: ("failed", "dead-letter"),
    74: ("failed", "dead-letter"),
    75: ("retry", "dead-letter"),
    76: ("failed", "dead-letter"),
    98: ("failed", "dead-letter"),
    99: ("skipped", "settled"),
    100: ("failed", "dead-letter"),
    125: ("failed", "dead-letter"),
    128: ("failed", "dead-letter"),
    128 + signal.SIGKILL: ("failed", "dead-letter"),
    128 + signal.SIGTERM: ("failed", "dead-letter"),
    255: ("failed", "dead-letter"),
}
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE, signal.SIGHUP]


def test_each_exit_status_has_its_verdict(bus):
    bus.shell(
        'trap - EXIT; [[ $EVENT_SUBJECT != -* ]] || kill "$EVENT_SUBJECT" $$\n'
        'status=$EVENT_SUBJECT; note end "${status/#99/0}"; exit "$status"',
        "attempts: 1   key: id   concurrency: 4",
    )
    # In this order never ten fail in a row, which would pause it.
    signals = {bus.emit(f"-{number:d}"): number for number in SIGNALS}
    statuses = {bus.emit(str(status)): status for status in STATUSES}
    bus.once()
    for event, status in statuses.items():
        assert bus.verdicts(event) == [STATUSES[status]], status
    entries = {entry["event"]: entry for entry in bus.journal() if entry["action"] == "attempt"}
    for event, number in signals.items():
        assert bus.verdicts(event) == [("failed", "dead-letter")]
        assert (entries[event]["signal"], "exit" in entries[event]) == (number, False)
    bus.check()


@pytest.mark.parametrize("status", [126, 127, 77, 78])
def test_a_status_that_speaks_of_the_handler_stops_it_and_loses_nothing(bus, status):
    bus.shell(f"exit {status}", "attempts: 1")
    events = [bus.emit("k") for _ in range(3)]
    bus.once()
    broken = status in (126, 127)
    verdict = ("broken", "held") if broken else ("rejected", "dead-letter")
    assert bus.verdicts() == [verdict]
    bus.shell("exit 0", "attempts: 1")
    bus.once()
    bus.check()
    done = [entry["event"] for entry in bus.journal() if entry.get("verdict") == "done"]
    assert done == (events if broken else events[1:])


@pytest.mark.parametrize("then", ["hangs", "goes on"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_that_kills_the_dispatcher_is_a_dead_letter_after_its_attempts(bus, kind, then):
    wait = {"hangs": ("sleep 997", "signal.pause()"), "goes on": (":", "pass")}[then]
    install(bus, kind, f"kill -9 $PPID; {wait[0]}", f"os.kill(os.getppid(), 9)\n{wait[1]}", QUICK)
    before, poison, after = bus.emit(WARM), bus.emit("k"), bus.emit(WARM)
    deaths = 0
    while True:
        process = bus.start()
        bus.wait(bus.over, "it neither died nor gave up")
        if process.poll() is None:
            break
        assert process.returncode == -signal.SIGKILL, bus.said()
        deaths += 1
        # Of a run with several events, one death may be needed to tell which of them it was.
        assert deaths <= 3
    bus.wait_answered()
    bus.stop(process)
    (letter,) = bus.letters()
    assert (letter["event"]["id"], letter["verdict"]) == (poison, "interrupted")
    assert letter["attempts"] == 2
    runs = bus.runs()
    assert runs[poison] == deaths
    # What was done and not yet written down comes again with it.
    assert max(runs[before], runs[after]) <= deaths
    bus.check()


@pytest.mark.parametrize("how", ["killed", "out of memory"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_that_the_kernel_ends_is_a_failed_attempt(bus, kind, how):
    if how == "killed":
        shell, python = "kill -9 $$", "os.kill(os.getpid(), 9)"
    else:
        shell = "ulimit -v 200000; dd if=/dev/zero of=/dev/null bs=1G count=1"
        python = (
            "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
            "bytearray(1 << 30)"
        )
    install(bus, kind, shell, python, QUICK)
    process = bus.ready()
    bus.emit(WARM)
    poison = bus.emit("k")
    bus.emit(WARM)
    bus.wait_answered()
    assert bus.verdicts(poison) == [("failed", "retry"), ("failed", "dead-letter")]
    bus.stop(process)
    bus.check()


BOMB_PROCESSES = 200


def test_a_handler_that_forks_without_end_is_ended_with_all_of_them(bus):
    # Bounded, since the machine is shared: each process that ends is one more that may come.
    bus.shell(
        "trap - EXIT; trap '' TERM\n"
        "grow() { (($(jobs -pr | wc -l) < 3 && $1 > 0)) || sleep 997; grow $(($1 - 1)) & wait; }\n"
        f"for ((n = 0; n < {BOMB_PROCESSES}; n++)); do (setsid sleep 997 &) & done; sleep 997",
        "timeout: 2s   attempts: 1",
    )
    bus.shell('echo "$EVENT_ID" >>"$HOOKLINE_HOME/other"', "on: a.c", name="on-a-c.sh")
    process = bus.ready()
    bus.emit("k")
    bus.wait(lambda: len(leaks.marked(bus.home)) > BOMB_PROCESSES // 2, "no bomb")
    bus.emit("k", type="a.c")
    other = bus.home.root / "other"
    bus.wait(other.exists, "another handler waits for the bomb")
    bus.wait_answered()
    bus.stop(process)
    bus.check()
