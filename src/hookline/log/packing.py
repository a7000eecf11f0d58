"""Compressing sealed segments, and reading compressed ones."""

import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

from hookline.log.files import MODE
from hookline.model.errors import BadData

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

LEVEL: Final = 3
_BLOCK_BYTES = 1 << 18


def pack(plain: str, packed: str) -> int:
    """Make one zstd frame of a file, on disk and proved by reading it back; the plain size.

    Both files get the same time of last change, because it tells how old the newest event is.
    Raises OSError, and BadData when what was written is not what was meant.
    """
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(plain, "rb") as source, open(os.open(packed, flags, MODE), "r+b") as target:
        status = os.fstat(source.fileno())
        with zstd.ZstdFile(target, "w", options=options) as frame:
            for block in _blocks(source, status.st_size):
                frame.write(block)
        target.flush()
        os.fsync(target.fileno())
        # Else what is compared would be the page cache, which the disk need not agree with.
        os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        target.seek(0)
        _compare(_blocks(source, status.st_size), target, packed)
        os.utime(target.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))
    return status.st_size


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file."""
    file.seek(0)
    while block := file.read(min(_BLOCK_BYTES, size)):
        size -= len(block)
        yield block


def _compare(source: Iterator[bytes], target: IO[bytes], packed: str) -> None:
    try:
        with zstd.ZstdFile(target, "r") as frame:
            same = all(frame.read(len(block)) == block for block in source)
            same = same and not frame.read(1)
    except (zstd.ZstdError, EOFError):
        same = False
    if not same:
        raise BadData(f"{packed} does not unpack to what was packed: is the disk sound?")


class Unpacked:
    """The text of a compressed segment, to be read at any offset; unpacked as far as was asked for.

    It goes to a file without a name, so that readers at many places of one segment unpack it once.
    """

    def __init__(self, fd: int, folder: str) -> None:
        """`fd` is the compressed file and stays the caller's; `folder` takes the unpacked text."""
        self._packed = open(fd, "rb", buffering=0, closefd=False)  # noqa: SIM115 - closed in close()
        self._frame = zstd.ZstdFile(self._packed, "r")
        self._plain = _nameless(folder)
        self._bytes = 0
        self._whole = False
        self.damage = ""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from there; fewer only at the end, or where the file is damaged."""
        while self._bytes < offset + size and not self._whole:
            self._unpack_on()
        return os.pread(self._plain, size, offset)

    def size(self) -> int:
        """How long the text is."""
        while not self._whole:
            self._unpack_on()
        return self._bytes

    def _unpack_on(self) -> None:
        try:
            block = self._frame.read(_BLOCK_BYTES)
        except (zstd.ZstdError, EOFError) as error:
            self.damage = str(error) or "the file ends too early"
            block = b""
        if not block:
            self._whole = True
        view = memoryview(block)
        while view:
            written = os.write(self._plain, view)
            self._bytes += written
            view = view[written:]

    def close(self) -> None:
        """Let go of the unpacked text."""
        self._frame.close()
        self._packed.close()
        if self._plain >= 0:
            os.close(self._plain)
            self._plain = -1


def _nameless(folder: str) -> int:
    # Beside the segment there is room for it; /tmp may be memory. Who may only read has no choice.
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
