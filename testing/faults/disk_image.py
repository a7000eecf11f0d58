"""A file system in a file, and what is left of it after a power cut at any moment.

The loop device writes to the file what a disk would have been told to write. So the file, copied
while everything runs on, is the disk after the power was cut: what no sync has brought there is
missing, and the file system's own journal has to be replayed. A copy must be of one moment, though,
or it would be a disk that never was: a direct read holds the lock of the file that each write
needs, on ext4 and xfs, so that one big read is such a moment. (A copy through the page cache is
not: of 30 taken under load, 30 mixed two moments; of 30 direct ones, none.)
"""

import mmap
import os
import subprocess
from pathlib import Path
from typing import Final, Self

_ATOMIC_READS: Final = frozenset({"ext2/ext3", "xfs"})
_STEP: Final = 1 << 20


def why_not(folder: Path) -> str:
    """Why there can be no disk image in a folder; empty when there can."""
    if os.geteuid() != 0:
        return "only root may mount a file"
    try:
        told = subprocess.run(
            ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True
        )
        made = subprocess.run(["mkfs.ext4", "-V"], capture_output=True, check=False)
        spaces = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    except OSError as error:
        return f"{error.filename} is missing"
    if told.stdout.strip() not in _ATOMIC_READS:
        return f"a copy of one moment cannot be had on {told.stdout.strip()}"
    if made.returncode or spaces.returncode or not Path("/dev/loop-control").exists():
        return "files cannot be mounted here"
    return ""


class DiskImage:
    """An ext4 in a file, mounted where only `path` leads to. Raises OSError where it cannot be."""

    def __init__(self, folder: Path, size: int, options: str = "defaults") -> None:
        self._file = folder / "disk.img"
        self._size = size
        self._options = options
        with self._file.open("wb") as file:
            file.truncate(size)
        # Blocks of 4 KiB, as on any disk that is not tiny.
        subprocess.run(["mkfs.ext4", "-q", "-b", "4096", self._file], check=True)
        self._mounted = _Mounted(self._file, folder / "disk", options)
        self.path = self._mounted.path
        """Where it is mounted, for this process; a program finds it in `folder / "disk"`."""

    def command(self, *command: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
        """The command that runs a command where the image is mounted."""
        return [*self._mounted.inside, "--", *command]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._mounted.close()

    def cut(self) -> mmap.mmap:
        """What is on the disk at this moment."""
        fd = os.open(self._file, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        disk = mmap.mmap(-1, self._size)
        try:
            if os.preadv(fd, [disk], 0) != self._size:
                raise OSError(f"{self._file} could not be read at once")
        finally:
            os.close(fd)
        return disk

    def after(self, disk: mmap.mmap, folder: Path) -> None:
        """Switch the power on again: mount what was on the disk, and copy its files to `folder`."""
        image = folder.with_suffix(".img")
        with image.open("wb") as file:
            for start in range(0, self._size, _STEP):
                block = disk[start : start + _STEP]
                if block.count(0) != len(block):
                    file.seek(start)
                    file.write(block)
            file.truncate(self._size)
        mounted = _Mounted(image, folder.with_suffix(".mounted"), self._options)
        try:
            subprocess.run(["cp", "-a", f"{mounted.path}/.", folder], check=True)
        finally:
            mounted.close()
            image.unlink()


class _Mounted:
    """A mounted image. It is to be seen in a namespace of its own, which goes with its keeper, and
    the keeper with us: whatever dies, no mount and no loop device is left."""

    def __init__(self, image: Path, at: Path, options: str) -> None:
        at.mkdir(exist_ok=True)
        script = 'mount -o "loop,$1" "$2" "$3" && echo mounted && exec cat'
        self._keeper = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, "sh", options, image, at],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        if self._keeper.stdout.readline() != "mounted\n":
            raise OSError(f"cannot mount {image}: {self._keeper.stderr.read()}")
        self.inside = ["nsenter", "--target", str(self._keeper.pid), "--mount"]
        self.path = Path(f"/proc/{self._keeper.pid}/root{at}")

    def close(self) -> None:
        self._keeper.communicate()
