"""Processes of handlers: what one gets from who starts it."""

import os
import subprocess
import sys

STARTS = """
import os, sys
from hookline.dispatch.process import spawn
kept = os.pipe()[1]
for _ in range(2):
    pid = spawn(["/bin/ls", "/proc/self/fd"], env={}, cwd="/", descriptors={1: 1, 5: kept})
    os.waitpid(pid, 0)
"""


SWAPS = """
import fcntl, os
from hookline.dispatch.process import spawn
given = {1: 1}
for ours, childs, name in ((3, 4, "four"), (4, 3, "three"), (5, 5, "five")):
    file = fcntl.fcntl(os.open(name, os.O_CREAT), fcntl.F_DUPFD_CLOEXEC, 10)
    os.dup2(file, ours, inheritable=False)
    given[childs] = ours
shown = [f"/proc/self/fd/{number}" for number in range(3, 10)]
os.waitpid(spawn(["/bin/readlink", *shown], env={}, cwd="/", descriptors=given), 0)
"""


def test_numbers_that_are_given_to_others_first_are_not_mixed_up(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SWAPS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(tmp_path / name) for name in ("three", "four", "five")]


def test_a_program_has_the_descriptors_that_it_is_given_and_no_other():
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", STARTS],
        pass_fds=[read, write], capture_output=True, text=True, check=True,
    )  # fmt: skip
    # The last one is of the folder that ls reads.
    assert done.stdout.split() == ["0", "1", "2", "3", "5"] * 2
