"""Short turns are for one process, and only where nobody has asked for anything else."""

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from subprocess import PIPE, Popen

import pytest

from hookline.dispatch.turns import DISPATCHER_NS, HOST_NS, take_short_turns

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_RUNTIME = 5


def turn_ns(pid: int) -> int:
    """How long a process's turns are; 0 where this kernel does not say."""
    found = ctypes.create_string_buffer(_ATTRIBUTES.size)
    call = _SCHED_GETATTR[platform.machine()]
    assert ctypes.CDLL(None).syscall(call, pid, found, len(found), 0) == 0
    return int(_ATTRIBUTES.unpack(found.raw)[_RUNTIME])


pytestmark = pytest.mark.skipif(
    platform.machine() not in _SCHED_GETATTR or not turn_ns(0),
    reason="needs Linux 6.12 on x86 or ARM",
)


@pytest.fixture
def shell() -> Iterator[Popen[bytes]]:
    """One that begins a child when it is told to, and says which."""
    command = ["/bin/bash", "-c", "read -r; sleep 600 & echo $!; read -r; kill $!"]
    with Popen(command, stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        yield process
        process.communicate(b"\n\n")


def test_a_process_has_them_and_its_children_have_not(shell):
    usual_ns = turn_ns(shell.pid)
    take_short_turns(HOST_NS, shell.pid)
    assert turn_ns(shell.pid) == HOST_NS < usual_ns
    shell.stdin.write(b"\n")
    assert turn_ns(int(shell.stdout.readline())) == usual_ns


def test_its_priority_stays_as_it_is(shell):
    os.setpriority(os.PRIO_PROCESS, shell.pid, 7)
    take_short_turns(HOST_NS, shell.pid)
    assert os.getpriority(os.PRIO_PROCESS, shell.pid) == 7
    assert turn_ns(shell.pid) == HOST_NS


def test_who_has_another_policy_keeps_it(shell):
    os.sched_setscheduler(shell.pid, os.SCHED_BATCH, os.sched_param(0))
    usual_ns = turn_ns(shell.pid)
    take_short_turns(HOST_NS, shell.pid)
    assert os.sched_getscheduler(shell.pid) == os.SCHED_BATCH
    assert turn_ns(shell.pid) == usual_ns


def test_who_is_gone_is_no_trouble():
    with Popen(["/bin/true"]) as process:
        process.wait()
        take_short_turns(HOST_NS, process.pid)


def test_a_dispatcher_is_waited_for_and_a_python_handler_even_more_so(bench):
    bench.handler(
        "on-a-py.py",
        "# run: python\nimport os\nfrom hookline import on\n"
        "@on('a.*')\ndef handle(event):\n"
        "    open(os.environ['OUT'], 'w').write(f'{os.getppid()} {os.getpid()}')\n",
    )
    bench.emit("a.b")
    turns: list[int] = []

    def ended() -> bool:
        turns[:] = [turn_ns(int(pid)) for pid in bench.said()[:1] for pid in pid.split()]
        return bool(turns)

    bench.run_until(ended)
    assert turns == [DISPATCHER_NS, HOST_NS]
