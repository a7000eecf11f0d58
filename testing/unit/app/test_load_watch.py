"""What a load test takes of the machine, from /proc."""

import os
import subprocess
import time

from hookline.app.load_watch import Process, family, processes, sample
from testing.unit.app.load_runs import Run


def test_this_process_and_what_comes_from_it():
    with subprocess.Popen(["sleep", "60"]) as child:
        all_ = processes()
        child.kill()
    assert all_[child.pid].parent == os.getpid()
    assert all_[child.pid] in family(all_, os.getpid())
    assert all_[os.getpid()].kib > 1000
    assert time.process_time() >= all_[os.getpid()].cpu_s - 0.02


def test_a_family_is_all_that_come_from_one_and_nobody_else():
    def of(parent):
        return Process(parent, 1.0, 2.0, 3)

    all_ = {1: of(0), 2: of(1), 3: of(2), 4: of(1), 5: of(4)}
    assert len(family(all_, 2)) == 2
    assert family(all_, 9) == []


def test_a_line_says_what_the_report_reads(home, tmp_path):
    account = Run(home, tmp_path / "notes").account()
    figures = [float(each) for each in sample(account, [os.getpid(), 1 << 30]).split()]
    assert len(figures) == 6
    assert figures[1:3] == [0, 0]  # nobody dispatches
    assert figures[3] > 0
