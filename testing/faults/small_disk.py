"""A disk of some kilobytes, that can be filled, and be read only: a tmpfs of its own.

It is mounted in a name space that only a waiting shell is in, so that no privilege is needed and
nothing is left behind; its files are reached through that shell's root folder in /proc.
"""

import os
import subprocess
from pathlib import Path
from typing import Self


class NoNameSpaces(Exception):
    """This user may not mount anything, not even in a name space of their own."""


class SmallDisk:
    """The disk; `root` is its top folder. A context manager: at its end the disk is gone."""

    def __init__(self, mount_point: Path, size: str) -> None:
        self.mount_point = mount_point
        self._shell = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._say(f"mount -t tmpfs -o size={size},mode=0755 none {mount_point}")
        self.root = Path(f"/proc/{self._shell.pid}/root{mount_point}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.communicate()

    def _say(self, command: str) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        try:
            self._shell.stdin.write(f"{command} && echo done || echo failed\n")
            self._shell.stdin.flush()
            heard = self._shell.stdout.readline()
        except BrokenPipeError:
            heard = ""
        if heard != "done\n":
            self._shell.kill()
            raise NoNameSpaces(self._shell.communicate()[1])

    def set_read_only(self, read_only: bool) -> None:
        """Let nobody write to the disk, or everybody again."""
        self._say(f"mount -o remount,bind,{'ro' if read_only else 'rw'} {self.mount_point}")

    def run(
        self, command: list[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """A command that sees the disk where it is mounted, `mount_point`: what asks the kernel
        where a file really lies, as SQLite does, finds it nowhere else."""
        return subprocess.run(
            ["nsenter", "--user", "--mount", f"--target={self._shell.pid}", *command],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all room but so much, rounded up to a page."""
        status = os.statvfs(self.root)
        room = status.f_bavail - -(-leave_bytes // status.f_frsize)
        (self.root / "filler").write_bytes(b"x" * (room * status.f_frsize))

    def make_room(self) -> None:
        """Give back what `fill` took."""
        (self.root / "filler").unlink()
