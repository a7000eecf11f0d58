"""Short turns on the processor, for who does little and is waited for.

Who wakes another goes on with its turn, of some milliseconds, while the other one waits for the
same processor: the writer that has just appended, and then the dispatcher that has just handed the
event on. Linux (6.12 and later) lets who asks for shorter turns than the one at work begin at once.
Nobody gets more of the processor by that.
"""

import ctypes
import os
import platform
import struct
from typing import Final

DISPATCHER_NS: Final = 500_000
HOST_NS: Final = 250_000
"""Of who is woken by the dispatcher: shorter than its own."""
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""The number of the system call, for which the C library has had no name for long."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""Of `struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""
_RESET_ON_FORK: Final = 1


def take_short_turns(ns: int, pid: int = 0) -> None:
    """Ask for turns of so long, for a process but not for its children; a wish, and no more.

    Somebody who has chosen another policy or a higher priority for it has decided already.
    """
    call = _SCHED_SETATTR.get(platform.machine())
    try:
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        is_usual = os.sched_getscheduler(pid) == os.SCHED_OTHER and nice >= 0
    except ProcessLookupError:
        return
    if call is not None and is_usual:
        size, policy = _ATTRIBUTES.size, os.SCHED_OTHER
        wish = _ATTRIBUTES.pack(size, policy, _RESET_ON_FORK, nice, 0, ns, 0, 0)
        ctypes.CDLL(None).syscall(call, pid, wish, 0)
