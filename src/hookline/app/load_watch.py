"""What a load test takes of the machine while it goes on, read from /proc (proc(5), stat)."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hookline.app.load_account import Account
from hookline.dispatch.lock import holder

_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


class Process(NamedTuple):
    """A process at one moment."""

    parent: int
    cpu_s: float
    """Its own."""
    with_ended_s: float
    """And that of its children that have ended and were waited for."""
    kib: int


def processes() -> dict[int, Process]:
    """All that there are now."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path("/proc", name, "stat").read_bytes()
            except OSError:
                continue
            # The name of the command, in brackets, may have anything in it.
            fields = text.rpartition(b")")[2].split()
            user, system, ended_user, ended_system = (
                int(each) / _TICKS_S for each in fields[11:15]
            )
            own = user + system
            kib = int(fields[21]) * _PAGE_KIB
            found[int(name)] = Process(int(fields[1]), own, own + ended_user + ended_system, kib)
    return found


def family(all_: Mapping[int, Process], first: int) -> list[Process]:
    """A process and all that come from it."""
    wanted, found = {first}, []
    while wanted:
        found += [all_[pid] for pid in wanted if pid in all_]
        wanted = {pid for pid, process in all_.items() if process.parent in wanted}
    return found


def sample(account: Account, workers: Iterable[int]) -> str:
    """A line for `usage`: see hookline.app.load_report."""
    all_ = processes()
    pid = holder(account.home) or 0
    group = family(all_, pid) if pid else []
    own = all_.get(pid, Process(0, 0.0, 0.0, 0))
    figures = (
        time.time(),
        own.cpu_s,
        sum(each.with_ended_s for each in group),
        sum(all_[each].with_ended_s for each in workers if each in all_),
        own.kib,
        sum(each.kib for each in group),
    )
    return " ".join(f"{each:.3f}" for each in figures)
