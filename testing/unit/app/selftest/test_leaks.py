"""The oracle must see each thing that can be left behind, or it proves nothing."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from hookline.app.selftest import leaks
from hookline.app.selftest.leaks import Idle
from hookline.dispatch.environment import run_mark
from hookline.dispatch.lock import Lock

WAIT = "import sys; sys.stdin.read()"


@pytest.fixture
def child():
    """A process that ends with its stdin."""
    process = subprocess.Popen([sys.executable, "-c", WAIT], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def without(child):
    """This process as if it did not have that child; it may have others."""
    idle = Idle.of(os.getpid())
    return replace(idle, children=idle.children - {child.pid})


def test_a_clean_home_has_no_problems(home):
    assert leaks.problems(home) == []
    assert leaks.problems(home, Idle.of(os.getpid())) == []


def test_a_process_that_a_handler_began_is_seen_and_no_other(home):
    for root, seen in ((home.root, True), (home.root / "other", False)):
        name, _, value = run_mark(str(root), "on-a-b.sh", "1", 1).partition("=")
        with subprocess.Popen(
            [sys.executable, "-c", WAIT], stdin=subprocess.PIPE, env={name: value}
        ) as process:
            found = [f"left running: process {process.pid} ({sys.executable} -c {WAIT})"]
            assert leaks.settled(home, within_s=0.5) == (found if seen else [])


@pytest.mark.parametrize(
    ("setting", "ended"),
    [
        ("HOOKLINE_HOME={}", True),
        ("HOOKLINE_HOME={}/selftest-1", True),
        ("HOOKLINE_ATTEMPT={}:on-a-b.sh:1:1", True),
        ("HOOKLINE_ATTEMPT={}/try-1:on-a-b.sh:1:1", True),
        ("HOOKLINE_HOME={}-2", False),
        ("HOOKLINE_ATTEMPT={}-2:on-a-b.sh:1:1", False),
    ],
)
def test_all_that_works_for_a_home_is_ended_and_nothing_else(home, setting, ended):
    name, _, value = setting.format(home.root).partition("=")
    with subprocess.Popen(
        [sys.executable, "-c", WAIT], stdin=subprocess.PIPE, env={name: value}
    ) as process:
        leaks.end_all(home.root)
        process.communicate()
        assert process.returncode == (-signal.SIGKILL if ended else 0)


def test_a_host_may_be_replaced_but_there_is_one_and_it_has_a_folder(home):
    idle = Idle.of(os.getpid())
    folder = home.state / "runs" / "on-a-b.py.1.1"
    folder.mkdir(parents=True)
    name, _, value = run_mark(str(home.root), "on-a-b.py", "host", 0).partition("=")
    hosts = []
    for problem in (None, "left running"):
        hosts.append(
            subprocess.Popen(
                [sys.executable, "-c", WAIT], stdin=subprocess.PIPE, env={name: value}, cwd=folder
            )
        )
        found = [each for each in leaks.problems(home, idle) if "descriptors" not in each]
        assert [each.partition(":")[0] for each in found[:1]] == ([problem] if problem else [])
    for host in hosts:
        host.communicate()
    assert leaks.problems(home) == ["left in the home: coordination/state/runs/on-a-b.py.1.1"]


def test_a_child_is_an_orphan_and_then_a_zombie(home, child):
    idle = without(child)
    assert [each.partition(" (")[0] for each in idle.problems()] == [f"orphan: process {child.pid}"]
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert leaks.problems(home, idle) == [f"zombie: process {child.pid}"]


def test_children_that_were_there_before_are_no_orphans(child):
    assert Idle.of(os.getpid()).problems() == []
    assert child.poll() is None


@pytest.mark.parametrize(
    ("kind", "name"), [("memfd", "/memfd:event (deleted)"), ("pipe", "pipe:"), ("file", "log")]
)
def test_a_descriptor_more_is_seen_by_its_kind(home, kind, name):
    idle = Idle.of(os.getpid())
    opened = {
        "memfd": lambda: [os.memfd_create("event")],
        "pipe": lambda: list(os.pipe()),
        "file": lambda: [os.open(home.root / "log", os.O_RDWR | os.O_CREAT)],
    }[kind]()
    try:
        (problem,) = idle.problems()
        assert problem.startswith(f"descriptors: {len(opened)} more of ")
        assert problem.endswith(name)
    finally:
        for fd in opened:
            os.close(fd)
    assert idle.problems() == []


def test_descriptors_that_are_replaced_are_no_more_than_before():
    before = os.pipe()
    idle = Idle.of(os.getpid())
    after = os.pipe()
    for fd in before:
        os.close(fd)
    assert idle.problems() == []
    for fd in after:
        os.close(fd)


def test_what_is_left_in_the_home_is_seen(home):
    (home.state / "runs" / "on-a-b.sh.1.1").mkdir(parents=True)
    (home.state / "runs" / "on-a-b.py.progress").touch()
    (home.rejected / ".1.json.77.abc.tmp").touch()
    assert leaks.problems(home) == [
        "left in the home: coordination/state/runs/on-a-b.sh.1.1",
        "left in the home: coordination/events/rejected/.1.json.77.abc.tmp",
    ]


def test_a_lock_is_seen_unless_its_holder_is_to_go_on(home):
    lock = Lock(home)
    try:
        assert leaks.problems(home) == ["the lock is held"]
        assert leaks.problems(home, Idle.of(os.getpid())) == []
    finally:
        lock.close()


def test_what_goes_away_by_itself_is_no_problem(home, child):
    idle = without(child)
    assert idle.problems()
    child.communicate()
    assert leaks.settled(home, idle) == []
