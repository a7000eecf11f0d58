"""Daemons where the disk is full: above all the one that makes room."""

import os
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_a_cleanup_that_is_due_makes_room_on_a_full_disk(small_disk):
    home = small_disk.root / "home"
    for part in ("daemons", "events/lib"):
        shutil.copytree(CHECKOUT / "scripts" / part, home / "scripts" / part)
    litter = home / "coordination/state/litter.tmp"
    litter.parent.mkdir(parents=True)
    litter.write_bytes(b"x" * 40_000)
    os.utime(litter, (0, 0))
    small_disk.fill()
    script = str(small_disk.mount_point / "home/scripts/daemons/cleanup-daemon.sh")
    done = small_disk.run(["bash", script, "run", "--once"], {"HOOKLINE_HOME": ""})
    assert done.returncode == 0, done.stderr
    assert not litter.exists()
    assert (home / "coordination/metrics/maintenance-stats.json").exists()
    assert not list(Path("/dev/shm").glob("hookline-cleanup.*"))
