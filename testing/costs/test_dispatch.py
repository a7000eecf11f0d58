"""What a delivery costs in calls of the kernel: ceilings that a faster dispatcher lowers."""

from collections.abc import Callable

import pytest

from hookline.log.home import Home
from hookline.log.log import Log
from testing.costs.counting import (
    ALL,
    EXECS,
    FORKS,
    OPENS,
    SYNCS,
    WRITES,
    Each,
    Trace,
    Tracer,
    python,
)

DISPATCH = "import sys; from hookline.cli.main import main; sys.exit(main(['dispatch', '--once']))"
TRACE = "%process,write,writev,pwrite64,fsync,fdatasync,mkdir,rmdir,memfd_create,pipe2,openat"
FUNCTION = """# run: python
# from: beginning
from hookline import on

@on("worker.done")
def done(event):
    pass
"""
HANDLERS = {
    "exec": ("on-worker-done.sh", "#!/bin/bash\n# from: beginning\n:\n"),
    "warm": ("on-worker-done.sh", "#!/bin/bash\n# run: warm\n# from: beginning\n:\n"),
    "python": ("on-worker-done.py", FUNCTION),
}


BY_THE_CLOCK = 60
"""Commits come by time, not by event: on a slow machine each of a few events may have its own."""
JOURNAL = "/deliveries.jsonl"
FOLDERS = ("mkdir", "rmdir")
"""A run costs none: the working folder is there."""
ONCE = 1 / 10
"""Of twenty events: a bash that is begun beside the first run may still hold what is its own, and a
slow machine may take one round more."""
Drain = Callable[[str, int, int], Each]


@pytest.fixture
def drain(home: Home, tracer: Tracer) -> Drain:
    """What each event costs when so few, and then so many, are there for a handler of a kind."""

    def run(events: int) -> Trace:
        with Log(home).batch() as log:
            for _ in range(events):
                log.append("worker.done", source="test", data={"a": 1})
        return tracer.run(*python(DISPATCH), trace=TRACE)

    def per_event(kind: str, few: int, many: int) -> Each:
        name, text = HANDLERS[kind]
        (home.handlers / name).write_text(text)
        (home.handlers / name).chmod(0o750)
        return Each(run, few, many)

    return per_event


def test_an_exec_handler_costs_a_fork_an_exec_and_a_line_of_the_journal(drain: Drain) -> None:
    per_event = drain("exec", 5, 25)
    assert (per_event(FORKS), per_event(EXECS)) == (1, 1)
    assert per_event(WRITES, JOURNAL) <= 1 + ONCE
    assert max(map(per_event, FOLDERS)) <= ONCE
    assert (per_event("memfd_create"), per_event("pipe2")) == (1, 2)
    assert per_event(ALL) <= BY_THE_CLOCK


def test_the_bash_of_an_exec_handler_reads_one_locale_file_and_no_passwd(drain: Drain) -> None:
    per_event = drain("exec", 5, 25)
    # It is looked for in an archive, among aliases, and by two spellings of its name.
    assert 0 < per_event(OPENS, "locale/") <= 4
    assert per_event(OPENS, "passwd") == 0


def test_a_warm_handler_costs_a_fork_and_no_exec(drain: Drain) -> None:
    per_event = drain("warm", 5, 25)
    assert (per_event(FORKS), per_event(EXECS)) == (1, 0)
    assert per_event(WRITES, JOURNAL) <= 1 + ONCE
    assert max(map(per_event, FOLDERS)) <= ONCE
    # Its event; its outputs, and two pipes with which bash waits for its own.
    assert (per_event("memfd_create"), per_event("pipe2")) == (1, 4)
    assert per_event(ALL) <= BY_THE_CLOCK


def test_python_handlers_share_writes_and_syncs(drain: Drain) -> None:
    per_event = drain("python", 500, 2500)
    assert (per_event(FORKS), per_event(EXECS)) == (0, 0)
    assert per_event(WRITES, JOURNAL) <= 1 / 50
    assert per_event(WRITES) <= 1 / 2
    assert per_event(SYNCS) <= 1 / 50
