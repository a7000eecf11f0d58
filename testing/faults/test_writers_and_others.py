"""What others do to a log while it is written to: foreign writers, signals, replaced files."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from hookline.log.log import Log
from testing.faults.emitters import LOGGER, identities, problems, stored

SIZES = [100, 4_000, 9_000, 100_000, 900_000]

# Numbered events of all sizes, the largest beside the log; each is told when it is there.
PYTHON_WRITER = """
import itertools, os, sys
from hookline.log.log import Log
log, name, stop, sizes = Log(sys.argv[1]), *sys.argv[2:4], [*map(int, sys.argv[4].split())]
for n, size in enumerate(itertools.cycle(sizes)):
    if n > len(sizes) and os.path.exists(stop):
        break
    print(log.append("a.x", source=name, data={"n": n, "text": "x" * size}).id, flush=True)
"""

# The shell keeps no data beside the log, so the largest go through the command that does.
SHELL_WRITER = """
name=$2 stop=$3 python=$4 n=0
read -ra sizes <<<"$5"
source "$1"
while ((n <= ${#sizes[@]})) || [[ ! -e $stop ]]; do
  size=${sizes[n % ${#sizes[@]}]}
  printf -v data '{"n":%d,"text":"%0*d"}' "$n" "$size" 0
  if ((size > 250000)); then
    "$python" -m hookline emit a.x --source "$name" --data - <<<"$data" || exit
  else
    emit_event a.x "$name" "$data" && printf '%s\\n' "$HOOKLINE_EVENT_ID" || exit
  fi
  n=$((n + 1))
done
"""

FOREIGN = """
printf -v long '%09000d' 0
for ((i = 0; ; i++)); do
  printf '{"foreign":%d}\\n' "$i" >>"$1"
  printf '{"foreign":%d,"text":"%s"}\\n' "$i" "$long" >>"$1"
  printf 'torn %s' "$i" >>"$1"
  read -rt 0.01 <> <(:)
done
"""


# Every fifth event is a long one: dd and its fork in the one, data beside others in the other.
STORMY_SHELL = [
    "bash",
    "-c",
    """trap 'caught=1' ALRM USR1; source "$1"
    for ((i = 0; i < $2; i++)); do
      ((i % 5)) && data=$i || printf -v data '"%09000d"' "$i"
      emit_event a.x w "$data" && printf '%s\\n' "$HOOKLINE_EVENT_ID" || exit
    done
    until read -r; (($? == 1)); do :; done""",
    "-",
    LOGGER,
]
STORMY_PYTHON = [
    sys.executable,
    "-c",
    """
import os, signal, sys
from hookline.log.log import Log
signal.signal(signal.SIGALRM, lambda *_: None)
signal.signal(signal.SIGUSR1, lambda *_: None)
log = Log(os.environ["HOOKLINE_HOME"])
for i in range(int(sys.argv[1])):
    print(log.append("a.x", source="w", data="x" * (9 if i % 5 else 9_000)).id, flush=True)
sys.stdin.read()
""",
]
SIGNALLED = 150


def environment(bench):
    """What a process of this home sees."""
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "HOOKLINE_HOME": str(bench.home.root), "PYTHONPATH": path}


def writers(bench, each, sizes):
    """So many writers in bash and as many in Python, until the file `stop` is there."""
    stop = str(bench.home.root / "stop")
    shell = ["bash", "-c", SHELL_WRITER, "-", LOGGER]
    python = [sys.executable, "-c", PYTHON_WRITER, bench.home.root]
    wanted = " ".join(map(str, sizes))
    commands = [[*shell, f"shell-{i}", stop, sys.executable, wanted] for i in range(each)]
    commands += [[*python, f"python-{i}", stop, wanted] for i in range(each)]
    return [
        subprocess.Popen(command, env=environment(bench), stdout=subprocess.PIPE, text=True)
        for command in commands
    ]


def ended(bench, processes):
    """The ids that the writers were given, when they have all ended well."""
    (bench.home.root / "stop").touch()
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert {process.returncode for process in processes} == {0}
    return said


@pytest.mark.timeout(0)
def test_eight_writers_of_all_sizes_leave_no_bad_line(bench, soak_s):
    """W03: bash and Python, from 100 bytes to 900 kB."""
    processes = writers(bench, 4, SIZES)
    time.sleep(min(soak_s, 60.0))  # how long they write
    said = ended(bench, processes)
    found = stored(bench.home, "a")
    assert Counter(identities(found)) == Counter(event for each in said for event in each)
    log = Log(bench.home)
    numbers = {}
    for record in found:
        data = log.value(record.event)
        assert len(data["text"]) == SIZES[data["n"] % len(SIZES)]
        assert data["n"] == numbers.get(record.event.source, 0)
        numbers[record.event.source] = data["n"] + 1
    assert len(numbers) == 8


@pytest.mark.timeout(0)
def test_foreign_writers_tear_their_own_lines_only(bench, soak_s):
    """W04: `echo >>` beside ours; long ones of theirs are two writes, and some have no end."""
    bench.emit("a.x")
    foreign = subprocess.Popen(["bash", "-c", FOREIGN, "-", bench.home.live("a")])
    try:
        processes = writers(bench, 2, [100, 9_000])
        while bench.home.live("a").stat().st_size < 400_000:
            assert foreign.poll() is None
            os.sched_yield()
        time.sleep(min(soak_s, 60.0))  # how long they write
        said = ended(bench, processes)
    finally:
        foreign.kill()
        foreign.wait()
    acknowledged = {event for each in said for event in each}
    found = stored(bench.home, "a")
    kinds = Counter(record.kind for record in found)
    print(kinds)
    assert min(kinds["legacy"], kinds["torn"]) > 0
    assert problems(bench, acknowledged) == []


@pytest.mark.parametrize("command", [STORMY_SHELL, STORMY_PYTHON], ids=["shell", "python"])
def test_a_storm_of_signals_neither_tears_nor_doubles(bench, command):
    """W11: handled ones, in the middle of everything."""
    with subprocess.Popen(
        [*command, str(SIGNALLED)],
        env=environment(bench),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        acknowledged = [process.stdout.readline().strip()]
        calm = threading.Event()
        storm = threading.Thread(target=send_signals, args=[process, calm])
        storm.start()
        acknowledged += [process.stdout.readline().strip() for _ in range(SIGNALLED - 1)]
        calm.set()
        storm.join()
        # It waits for this, since the end of a program is no place for signals.
        process.stdin.close()
    assert process.returncode == 0
    found = stored(bench.home, "a")
    assert [record.kind for record in found] == ["event"] * SIGNALLED
    assert identities(found) == acknowledged


def send_signals(process, calm):
    """All the time, until it is calm."""
    while not calm.is_set():
        process.send_signal(signal.SIGALRM)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.0005)  # the storm's pace: at tens of thousands a second bash itself crashes
