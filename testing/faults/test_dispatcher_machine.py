"""What the machine does to a dispatcher: a second one, a stop, silence of the kernel, folders that
move, a long backlog."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from hookline.app.selftest import leaks
from hookline.dispatch.lock import holder
from hookline.model import envelope, ids
from hookline.model.clock import SystemClock, rfc3339

MEMORY_BYTES_MAX = 100e6

# A dispatcher that looks by itself once and never again: what it sees then, its watch has told.
HEARING_ONLY = (
    sys.executable,
    "-c",
    (
        "import sys; from hookline.cli.main import main; from hookline.dispatch import dispatcher; "
        "dispatcher.LOOK_S = 1e6; sys.exit(main(sys.argv[sys.argv.index('hookline') + 1 :]))"
    ),
)


def lines(count, type="a.b", **more):
    """Lines of events with `data.n` from 0, and their ids."""
    now = time.time_ns()
    found = []
    for n in range(count):
        event = ids.uuid7(now + 1_000_000 * n)
        line = envelope.line(
            id=event,
            source="writer",
            type=type,
            time=rfc3339(SystemClock().now()),
            data=b'{"n":%d}' % n,
            **more,
        )
        found.append((event, line + b"\n"))
    return found


def test_a_second_dispatcher_names_the_first_and_harms_nobody(bus):
    bus.shell(":")
    first = bus.ready()
    for options in ([], ["--once"]):
        second = bus.start(*options)
        assert second.wait(60) == os.EX_TEMPFAIL
    assert bus.said().count("\n") == 2
    assert bus.said().count(f"process {first.pid}") == 2
    bus.emit("k")
    bus.wait_answered()
    bus.stop(first)
    bus.check()


@pytest.mark.parametrize("stale", ["1", "", "no number", "999999999"])
def test_what_a_power_cut_leaves_of_a_dispatcher_stops_no_other(bus, stale):
    bus.shell(":")
    process = bus.ready()
    process.kill()
    process.wait()
    assert holder(bus.home) is None
    (bus.home.state / "dispatcher.pid").write_text(stale)
    bus.emit("k")
    bus.once()
    bus.check()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", ["shell", "python", "stream"])
def test_a_dispatcher_that_was_stopped_for_longer_than_a_timeout_goes_on(bus, soak_s, kind):
    header = "timeout: 2s   attempts: 3   backoff: 100ms"
    if kind == "shell":
        bus.shell("sleep 0.5", f"{header}   key: subject   concurrency: 6")
    elif kind == "python":
        bus.python("time.sleep(0.2)", header)
    else:
        bus.stream("time.sleep(0.2)", header)
    process = bus.ready()
    bus.emit_many(12, keys=6)
    bus.wait(bus.begun, "nothing runs")
    process.send_signal(signal.SIGSTOP)
    bus.emit_many(6, keys=6)
    time.sleep(min(600.0, soak_s) or 4.0)  # the stop itself
    process.send_signal(signal.SIGCONT)
    bus.wait_answered()
    bus.stop(process)
    assert {verdict for verdict, _ in bus.verdicts()} == {"done"}
    assert set(bus.runs().values()) == {1}
    bus.check(attempts_max=3)


def test_what_hangs_when_the_dispatcher_was_stopped_is_ended_once_and_alone(bus):
    bus.shell(
        "[[ $EVENT_SUBJECT != hangs || $EVENT_ATTEMPT != 1 ]] || sleep 1000",
        "timeout: 1s   attempts: 3   backoff: 10ms   key: subject   concurrency: 4",
    )
    process = bus.ready()
    hanging = bus.emit("hangs")
    bus.emit_many(8, keys=3)
    bus.wait(lambda: hanging in bus.begun(), "it does not run")
    process.send_signal(signal.SIGSTOP)
    time.sleep(3.0)  # the stop itself
    process.send_signal(signal.SIGCONT)
    bus.wait_answered()
    bus.stop(process)
    assert bus.verdicts(hanging) == [("timeout", "retry"), ("done", "settled")]
    assert [verdict for verdict, _ in bus.verdicts()].count("timeout") == 1
    bus.check(attempts_max=3)


LISTENER = """# run: python   from: beginning
import os
from hookline import on

out = open(os.path.join(os.environ["HOOKLINE_HOME"], "seen"), "ab", buffering=0)

@on("*.b", batch=100)
def handle(events):
    out.write(b"".join(f"{event.id}\\n".encode() for event in events))
"""


def seen(bus):
    """The ids that the listener has seen, in its order."""
    path = bus.home.root / "seen"
    return path.read_text().split() if path.exists() else []


def test_more_changes_than_the_kernel_remembers_lose_no_event(bus):
    bus.file("on-all.py", LISTENER)
    process = bus.ready(under=HEARING_ONLY)
    first = [bus.emit("k"), bus.emit("k", type="c.b"), bus.emit("k", type="d.b")]
    bus.wait(lambda: sorted(seen(bus)) == sorted(first), "nothing is seen")
    process.send_signal(signal.SIGSTOP)
    remembered = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    count = remembered // 2 + 2_000
    expected = set(first)
    with bus.home.live("a").open("ab", 0) as a, bus.home.live("c").open("ab", 0) as c:
        # In turns: changes of one file behind each other are one to inotify.
        for (one, line), (other, beside) in zip(lines(count), lines(count, "c.b"), strict=True):
            a.write(line)
            c.write(beside)
            expected |= {one, other}
    # The queue is full: nothing says that this one changed.
    expected.add(bus.emit("k", type="d.b"))
    process.send_signal(signal.SIGCONT)
    bus.wait(lambda: len(seen(bus)) >= len(expected), "not all is seen")
    assert set(seen(bus)) == expected
    assert len(seen(bus)) == len(expected)
    late = bus.emit("k")
    bus.wait(lambda: seen(bus)[-1] == late, "it does not hear any more")
    bus.stop(process)
    assert leaks.settled(bus.home) == []


@pytest.mark.parametrize(
    "shortage",
    ["inotify_init1:error=EMFILE", "inotify_add_watch:error=ENOSPC"],
    ids=["instances", "watches"],
)
def test_without_inotify_it_looks_by_the_clock_and_says_so(bus, shortage):
    bus.shell(":")
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull]
    trace = f"--trace={shortage.partition(':')[0]}"
    bus.start(under=[*strace, trace, f"--inject={shortage}", *HEARING_ONLY])
    bus.wait(lambda: holder(bus.home), "it does not start")
    bus.emit("k")
    bus.wait_answered()
    bus.wait(lambda: "max_user_instances" in bus.said(), "it does not say so")
    bus.emit("k")
    bus.wait_answered()
    os.kill(holder(bus.home), signal.SIGTERM)
    assert bus.processes[-1].wait(60) == 0
    assert bus.said().count("max_user_instances") == 1
    bus.check()


def test_a_folder_that_is_moved_away_and_made_again_is_watched_again(bus):
    bus.shell(":")
    process = bus.ready(under=HEARING_ONLY)
    bus.emit("k")
    bus.wait_answered()
    away = bus.home.events.rename(bus.home.root / "away")
    bus.home.events.mkdir()
    second = bus.emit("k")
    bus.wait_answered()
    # Its events come after those that were there in between, which are not lost for it.
    # In one step: the dispatcher makes what is missing in a folder that is still there.
    bus.home.events.rename(bus.home.root / "in between")
    away.rename(bus.home.events)
    bus.acknowledged.remove(second)
    bus.emit("k")
    bus.wait_answered()
    bus.stop(process)
    assert second in bus.begun()
    assert leaks.settled(bus.home) == []


@pytest.mark.parametrize("more", [0, 3], ids=["as long", "longer"])
def test_a_log_that_became_another_is_read_again_for_every_handler(bus, more):
    for name in "xyz":
        bus.file(f"on-{name}.py", LISTENER.replace('"seen"', f'"seen-{name}"'))
    process = bus.ready(under=HEARING_ONLY)
    bus.emit("k")
    logs = {name: bus.home.root / f"seen-{name}" for name in "xyz"}

    def all_saw(events):
        return all(log.exists() and log.read_text().split() == events for log in logs.values())

    bus.wait(lambda: all_saw(bus.acknowledged), "not all saw the first")
    bus.home.live("a").rename(bus.home.root / "away")
    for _ in range(1 + more):
        bus.emit("k")
    bus.wait(lambda: all_saw(bus.acknowledged), "not all saw the log that was new")
    bus.stop(process)


def test_logs_that_are_there_before_anybody_watches_are_read(bus):
    bus.file("on-all.py", LISTENER)
    process = bus.ready(under=HEARING_ONLY)
    expected = []
    for n in range(60):
        # A log that is made and written in one go: what inotify tells of it is that it came.
        (event, line), *_ = lines(1, f"d{n}.b")
        with bus.home.live(f"d{n}").open("xb", 0) as log:
            log.write(line)
        expected.append(event)
    bus.wait(lambda: len(seen(bus)) >= len(expected), "not all is seen")
    assert sorted(seen(bus)) == sorted(expected)
    bus.stop(process)


@pytest.mark.timeout(0)
def test_a_long_backlog_is_read_in_order_and_in_little_memory(bus, soak_s):
    count = 1_000_000 if soak_s else 50_000
    bus.file("on-all.py", LISTENER)
    expected = []
    with bus.home.live("a").open("wb") as log:
        for event, line in lines(count):
            log.write(line)
            expected.append(event)
    process = bus.ready()
    bus.wait((bus.home.root / "seen").exists, "nothing comes")
    wanted = sum(len(event) + 1 for event in expected)
    path = bus.home.root / "seen"
    bus.wait(lambda: path.stat().st_size >= wanted, "not all is seen", 300.0)
    assert rss_bytes(process.pid) < MEMORY_BYTES_MAX
    bus.stop(process)
    assert seen(bus) == expected
    told = sum(int(entry.get("events", 1)) for entry in bus.journal() if "verdict" in entry)
    assert told == count


def rss_bytes(pid):
    """The most memory that a process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize("kind", ["exec", "warm", "python", "stream"])
def test_a_lock_of_whoever_starts_it_is_not_handed_on_to_handlers(bus, kind):
    lock = bus.home.root / "lock"
    tell = 'readlink /proc/{}/fd/* >>"$HOOKLINE_HOME/open"'
    if kind in ("python", "stream"):
        install = bus.python if kind == "python" else bus.stream
        install(f"subprocess.run(['sh', '-c', {tell.format('$PPID')!r}])")
    else:
        bus.shell(tell.format("$BASHPID") + "; :", f"run: {kind}")
    bus.emit("k")
    under = ["bash", "-c", 'exec 9>"$0"; flock 9; exec "$@"', str(lock)]
    assert bus.start("--once", under=under).wait(40) == 0, bus.said()
    found = (bus.home.root / "open").read_text().splitlines()
    assert found
    assert str(lock) not in found
    bus.check()
