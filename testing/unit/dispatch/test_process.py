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


def test_a_program_has_the_descriptors_that_it_is_given_and_no_other():
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", STARTS],
        pass_fds=[read, write], capture_output=True, text=True, check=True,
    )  # fmt: skip
    # The last one is of the folder that ls reads.
    assert done.stdout.split() == ["0", "1", "2", "3", "5"] * 2
