"""What an event costs on its way in, in calls of the kernel."""

import os

import pytest

from testing.costs.conftest import LIB
from testing.costs.counting import (
    ALL,
    EXECS,
    FORKS,
    LOOKS,
    OPENS,
    SYNCS,
    WRITES,
    Each,
    Tracer,
    bash,
    python,
)

SOURCED = """
source "$LIB/event-logger.sh"
for ((number = 0; number < $2; number++)); do emit_event worker.done test "$1"; done
"""

PYTHON = """
import sys
from hookline import Log
from hookline.log import appender
{before}
log = Log()
for _ in range(int(sys.argv[1])):
    log.append("worker.done", source="test", data={{"a": 1}}{more})
"""

BATCH = """
import sys
from hookline import Log
with Log().batch() as log:
    for _ in range(int(sys.argv[1])):
        log.append("worker.done", source="test", data={"a": 1})
"""

READ = """
import sys
from hookline import Log
with Log().batch() as log:
    for _ in range(int(sys.argv[1])):
        log.append("worker.done", source="test", data={"a": 1})
for event in Log().read("worker.*"):
    pass
"""

MAIN = "import sys; from hookline.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize(
    "data",
    [
        '{"worker_id":"w-17","duration_ms":1834,"ok":true}',
        '{"worker":{"tags":["a","b"]},"steps":[{"n":1},{"n":2}]}',
        ' { "a" : [ 1, 2 ] }\n',
        r'{"path":"C:\\temp","note":"\"quoted\"\n"}',
        '{"name":"Zo\u00eb","note":"na\u00efve \u2013 \U0001f600\u202e"}',
    ],
    ids=["flat", "nested", "blanks", "escapes", "text"],
)
def test_a_sourcing_shell_emits_without_a_fork_in_one_write(tracer: Tracer, data: str) -> None:
    per_event = Each(lambda count: tracer.run(*bash(SOURCED, data, count)), 2, 12)
    assert (per_event(FORKS), per_event(EXECS), per_event(SYNCS)) == (0, 0, 0)
    assert per_event(WRITES) == 1
    # The log, and /dev/null for what bash has to say; is the log a plain file, a link, locked?
    assert per_event(OPENS) <= 2
    assert per_event(LOOKS) <= 3
    assert per_event(ALL) <= 24


def test_the_command_is_one_program_that_reads_seven_files(tracer: Tracer) -> None:
    logger = os.fspath(LIB / "event-logger.sh")
    emit = (logger, "--emit", "worker.done", "test", '{"worker_id":"w-17","pid":17}')
    trace = tracer.run(*emit)
    assert [trace.count(name) for name in (EXECS, FORKS, SYNCS)] == [1, 0, 0]
    # The line, and the id on stdout.
    assert trace.count(WRITES) == 2
    assert trace.count(OPENS, os.fspath(LIB)) <= 7


def test_an_append_alone_opens_writes_and_closes(tracer: Tracer) -> None:
    script = PYTHON.format(before="appender.BURST = 1 << 62", more="")
    per_event = Each(lambda count: tracer.run(*python(script, count)), 10, 110)
    assert (per_event(WRITES), per_event(OPENS), per_event(LOOKS)) == (1, 1, 2)
    assert per_event(ALL) <= 5


def test_an_append_in_a_burst_is_a_write_and_no_more(tracer: Tracer) -> None:
    script = PYTHON.format(before="appender.HOLD_S = 1e6", more="")
    per_event = Each(lambda count: tracer.run(*python(script, count)), 100, 1100)
    assert per_event(WRITES) <= 1
    # Not exactly: the thread that would close the log looks at it from time to time.
    assert per_event(ALL) <= 1.05


def test_an_append_that_syncs_does_so_once(tracer: Tracer) -> None:
    script = PYTHON.format(before="", more=", sync=True")
    per_event = Each(lambda count: tracer.run(*python(script, count)), 10, 60)
    assert (per_event(SYNCS), per_event(WRITES)) == (1, 1)
    assert per_event(ALL) <= 6


def test_a_batch_is_written_some_hundred_events_at_a_time(tracer: Tracer) -> None:
    per_event = Each(lambda count: tracer.run(*python(BATCH, count)), 1000, 6000)
    assert per_event(WRITES) <= 1 / 250
    assert per_event(ALL) <= 1 / 50


def test_events_are_read_some_hundred_at_a_time(tracer: Tracer) -> None:
    per_event = Each(lambda count: tracer.run(*python(READ, count)), 1000, 6000)
    assert per_event(ALL) <= 1 / 40


def test_hookline_emit_opens_no_more_than_it_must(tracer: Tracer) -> None:
    """Nearly all are modules, two thirds of the standard library; one more import may be ten."""
    emit = python(MAIN, "emit", "worker.done", "worker_id=w-17", "pid:=17")
    tracer.run(*emit)  # the first run may have to compile modules
    trace, bare = tracer.run(*emit), tracer.run(*python("pass"))
    assert [trace.count(name) for name in (EXECS, FORKS, SYNCS)] == [1, 0, 0]
    assert trace.count(WRITES) == 2
    assert trace.count(OPENS) - bare.count(OPENS) <= 75
