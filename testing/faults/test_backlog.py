"""A dispatcher that was away for long finds millions of lines: it starts at once, in small memory.

Sixty thousand lines; with `--soak` ten million, when it takes 17 minutes or more.
"""

import os
import subprocess
import sys
import time
from array import array
from pathlib import Path

import pytest

from hookline.log.home import Home
from testing.faults.backlog import blocks, children, peak_kb, write_backlog

SOURCE = Path(__file__).resolve().parents[2] / "src"
QUICK_LINES = 60_000
SOAK_LINES = 10_000_000
MEMORY_KB_MAX = 100_000
STATE_BYTES_MAX = 4 << 20
STATE_BYTES_A_LINE = 12
SOAK_LINES_A_S = 100_000
SLOW_S_A_LINE = 0.002
"""What a machine that is busy with other things may take; nothing is measured by it."""

# It notes the number of each event as eight bytes, and when the first one came.
HANDLER = """# run: python   from: beginning
import os, time
from hookline import on

root = os.environ["HOOKLINE_HOME"]
out = open(root + "/handled", "ab", buffering=0)

@on("backlog.line")
def handle(event):
    number = event.value()["n"]
    if number == 0:
        with open(root + "/first", "w") as first:
            first.write(str(time.monotonic()))
    out.write(number.to_bytes(8, "little"))
"""


def start(home: Home, command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "hookline", command, "--home", str(home.root)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.DEVNULL,
    )


def run_to_end(process: subprocess.Popen[bytes], gives_up_s: float) -> int:
    """Wait for its end; the most memory that it has had, as far as one could see."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_kb(process.pid))
        assert time.monotonic() < gives_up_s
        time.sleep(0.02)  # memory is sampled
    assert process.returncode == 0
    return peak


def handled_in_order(path: Path, lines: int) -> bool:
    """Whether the handler has noted 0, 1, 2, … and nothing else."""
    with path.open("rb") as file:
        for numbers in blocks(0, lines):
            found = array("Q")
            found.frombytes(file.read(8 * len(numbers)))
            if found.tolist() != list(numbers):
                return False
        return not file.read(1)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


@pytest.mark.timeout(0)
def test_a_long_backlog_is_drained_in_order_in_small_memory(home: Home, soak_s: float) -> None:
    lines = min(SOAK_LINES, int(SOAK_LINES_A_S * soak_s)) or QUICK_LINES
    write_backlog(home, lines)
    gives_up_s = time.monotonic() + 60 + lines * SLOW_S_A_LINE
    handled, first = home.root / "handled", home.root / "first"
    (home.handlers / "on-backlog-line.py").write_text(HANDLER)
    started_s = time.monotonic()
    process = start(home, "dispatch")
    try:
        while not handled.exists() or handled.stat().st_size < 8 * lines:
            assert process.poll() is None
            assert time.monotonic() < gives_up_s
            time.sleep(0.02)  # files that grow tell nobody here
        drained_s = time.monotonic() - started_s
        peaks = {"dispatcher": peak_kb(process.pid)}
        peaks["handler"] = max(map(peak_kb, children(process.pid)))
    finally:
        process.terminate()
        assert process.wait(60) == 0
    verified_s = time.monotonic()
    peaks["verify"] = run_to_end(start(home, "verify"), gives_up_s)
    state_bytes = folder_bytes(home.state)
    print(
        f"{lines} lines: first delivery after {float(first.read_text()) - started_s:.2f} s, "
        f"drained in {drained_s:.1f} s, {drained_s / lines * 1e6:.1f} us each; verified in "
        f"{time.monotonic() - verified_s:.1f} s; peak kB: {peaks}; state/ {state_bytes} bytes"
    )
    assert handled_in_order(handled, lines)
    assert max(peaks.values()) < MEMORY_KB_MAX
    assert state_bytes < STATE_BYTES_MAX + lines * STATE_BYTES_A_LINE
