"""What is measured in bash: emitting, and handlers that are scripts."""

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hookline.log.home import Home
from testing.bench.figure import Failed
from testing.bench.installed import program
from testing.bench.load import CHECKOUT, PAUSE_S, tick, wait_for
from testing.bench.notes import NOTES
from testing.bench.ours import LIBRARY, TYPE, HomeQueue, install, new_home
from testing.bench.server import redis_server

LOGGER: Final = CHECKOUT / LIBRARY / "event-logger.sh"
DATA: Final = json.dumps(tick(0, 1), separators=(",", ":"))
AT_ONCE: Final = 2 * len(os.sched_getaffinity(0))
"""Shell handlers that run at the same time: two for each core, so that none waits for the next to
be begun."""

# Times itself, because its own start is not what is asked for.
_LOOP: Final = """
data=$1 count=$2
{setup}
began=${{EPOCHREALTIME/./}}
for ((n = 0; n < count; n++)); do
  {body}
done
printf '%s\\n' "$((${{EPOCHREALTIME/./}} - began))"
"""
# The same for xargs, which knows no header.
_HANDLER: Final = """#!/bin/bash
# run: {kind}   key: id   concurrency: {at_once}   from: beginning
[[ -n ${{1-}} ]] || exit 65
printf '%s\\n' "${{EPOCHREALTIME/./}}000" >>"$BENCH_NOTES"
"""


def loop_ms(setup: str, body: str, count: int, env: dict[str, str] | None = None) -> float:
    """Milliseconds that bash takes for `body`, of many. Raises Failed."""
    done = subprocess.run(
        ["bash", "-c", _LOOP.format(setup=setup, body=body), "bench", DATA, str(count)],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or done.stderr:
        raise Failed(f"bash ended with {done.returncode}: {done.stderr[-200:]}")
    return int(done.stdout) / count / 1000


def emit_function_ms(count: int) -> float:
    """`emit_event` in a shell that has sourced it."""
    with new_home() as home:
        return loop_ms(
            f"source {shlex.quote(str(LOGGER))}",
            f'emit_event {TYPE} bench "$data" || exit',
            count,
            _env(home),
        )


def printf_ms(count: int) -> float:
    """The limit: the same line, made once, appended by the shell."""
    with new_home() as home:
        log = shlex.quote(str(home.live("bench")))
        line = f'source {shlex.quote(str(LOGGER))}; line=$(create_event {TYPE} bench "$data")'
        return loop_ms(line, f"printf '%s\\n' \"$line\" >>{log}", count, _env(home))


def emit_command_ms(count: int) -> float:
    """`event-logger.sh --emit` as a process."""
    with new_home() as home:
        command = f'{shlex.quote(str(LOGGER))} --emit {TYPE} bench "$data" >/dev/null || exit'
        return loop_ms("", command, count, _env(home))


def hookline_emit_ms(count: int) -> float:
    """`hookline emit` as a process."""
    with new_home() as home:
        command = f'{shlex.quote(sys.executable)} -m hookline emit {TYPE} --data "$data"'
        env = {**_env(home), "PYTHONPATH": str(CHECKOUT / "src")}
        return loop_ms("", f"{command} >/dev/null || exit", count, env)


def redis_cli_ms(count: int) -> float:
    """`redis-cli XADD` as a process."""
    client = program("redis-cli")
    with redis_server() as path:
        command = f"{client} -s {path} XADD bench '*' data \"$data\" >/dev/null || exit"
        return loop_ms("", command, count)


def bash_ms(count: int) -> float:
    """The limit: a bash that does nothing."""
    return loop_ms("", "bash -c : || exit", count)


class ShellHandler:
    """A home with one handler in bash, of a kind."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    @contextmanager
    def open(self) -> Iterator[HomeQueue]:
        """A new home."""
        with new_home() as home:
            install(home, "on-bench-tick.sh", handler_text(self._kind))
            yield HomeQueue(home, in_batch=True)


def handler_text(kind: str) -> str:
    """A handler that notes when it runs."""
    return _HANDLER.format(kind=kind, at_once=AT_ONCE)


def handlers_rate(kind: str, notes: Path, count: int) -> float:
    """Runs of a shell handler in a second."""
    notes.unlink(missing_ok=True)
    with ShellHandler(kind).open() as queue:
        queue.append(count)
        with queue.working(notes) as process:
            return _rate(wait_for(notes, count, process))


def xargs_rate(kind: str, notes: Path, count: int) -> float:
    """The same handler's file, run by `xargs -P` over bash: an event's line is its argument."""
    notes.unlink(missing_ok=True)
    with ShellHandler(kind).open() as queue:
        queue.append(count)
        handler = queue.home.handlers / "on-bench-tick.sh"
        with queue.home.live("bench").open("rb") as log:
            subprocess.run(
                ["xargs", "-d", "\\n", "-n", "1", "-P", str(AT_ONCE), "bash", handler],
                stdin=log,
                env={**os.environ, NOTES: str(notes)},
                check=True,
            )
        return _rate([int(line) for line in notes.read_text().split()])


def shell_latency_ms(kind: str, notes: Path, count: int) -> float:
    """The median time from appending an event to the first command of a shell handler."""
    notes.unlink(missing_ok=True)
    sent_ns = []
    with ShellHandler(kind).open() as queue, queue.working(notes) as process:
        for number in range(count + 1):
            time.sleep(PAUSE_S)  # the pace of the load
            # Bash has no other clock than this one.
            sent_ns.append(time.time_ns())
            queue.ping()
            noted_ns = wait_for(notes, number + 1, process)
    pairs = zip(sent_ns[1:], noted_ns[1:], strict=True)
    return statistics.median(noted - sent for sent, noted in pairs) / 1e6


def _rate(noted_ns: list[int]) -> float:
    return (len(noted_ns) - 1) / (max(noted_ns) - min(noted_ns)) * 1e9


def _env(home: Home) -> dict[str, str]:
    return {"HOOKLINE_HOME": str(home.root)}
