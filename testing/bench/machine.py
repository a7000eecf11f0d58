"""What was measured on: without it, no figure means anything."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Final

import hookline
from testing.bench import ours
from testing.bench.installed import library_version, program_version
from testing.bench.load import CHECKOUT
from testing.bench.peers import celery_redis, huey_sqlite, jetstream, redis_streams, rq_redis

DURABILITY: Final = {
    "Hookline": ours.DURABILITY,
    **{
        peer.NAME: peer.DURABILITY
        for peer in (redis_streams, jetstream, huey_sqlite, celery_redis, rq_redis)
    },
    "xargs -P": "nothing is recorded",
}
_PROGRAMS: Final = ("bash", "redis-server", "nats-server")
_LIBRARIES: Final = ("redis", "nats-py", "huey", "celery", "rq", "msgspec", "apsw")


def machine(folder: Path) -> dict[str, str]:
    """The machine, the disk that this folder lies on, and all versions."""
    cores = len(os.sched_getaffinity(0))
    return {
        "CPU": f"{_cpu()}, {cores} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "Python": platform.python_version(),
        "Hookline": f"{hookline.__version__}, commit {_commit()}",
        "programs": "; ".join(map(program_version, _PROGRAMS)),
        "libraries": ", ".join(map(library_version, _LIBRARIES)),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    command = ["df", "--output=fstype", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


def _commit() -> str:
    """With a plus when the checkout has changes of its own."""
    command = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty=+"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
