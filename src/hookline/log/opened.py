"""An opened segment: the live file, a closed one, or a compressed one, all read the same way."""

import errno
import os
import stat

from hookline.log.lease import Quiescence
from hookline.log.packing import Unpacked
from hookline.model.clock import Clock
from hookline.model.errors import NotAllowed, TryAgain, WriteFailed

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Opened:
    """A segment that can be read.

    `closed`: it is not the live file any more. `sealed`: it will not change any more. `boundary`:
    an offset right behind a newline, which must still be there when the next read begins at it.
    """

    def __init__(self, fd: int, ordinal: int, clock: Clock, *, closed: bool) -> None:
        self.fd = fd
        self.ordinal = ordinal
        self.closed = closed
        self.sealed = False
        self.boundary = 0
        self.unsynced = False
        self._quiescence = Quiescence(clock)
        status = os.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)

    @property
    def damage(self) -> str:
        """Why the text ends where it does, when that is not its end."""
        return ""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from there; fewer only at the present end."""
        return os.pread(self.fd, size, offset)

    def size(self) -> int:
        """How long the segment is at present."""
        return os.fstat(self.fd).st_size

    def is_at(self, path: str) -> bool:
        """Whether the path still leads to this file."""
        try:
            status = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def seal_wait_s(self) -> float:
        """0.0 once a closed segment is final, and then it is `sealed`; else when to ask again."""
        if self.sealed:
            return 0.0
        wait_s = self._quiescence.wait_s(self.fd)
        self.sealed = wait_s <= 0.0
        return wait_s

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()


class Packed(Opened):
    """A sealed and compressed segment."""

    def __init__(self, fd: int, ordinal: int, clock: Clock, folder: str) -> None:
        super().__init__(fd, ordinal, clock, closed=True)
        self.sealed = True
        self._text = Unpacked(fd, folder)

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes of the text from there; fewer only at its end or at a damage."""
        return self._text.read(offset, size)

    def size(self) -> int:
        """How long the text is; unpacks all of it."""
        return self._text.size()

    @property
    def damage(self) -> str:
        """Why the text ends where it does, when that is not its end."""
        return self._text.damage

    def close(self) -> None:
        """Give descriptor and unpacked text back."""
        self._text.close()
        super().close()


def open_read(path: str) -> int:
    """A descriptor to read a regular file with.

    Raises FileNotFoundError, NotAllowed, TryAgain; WriteFailed for a disk that fails.
    """
    try:
        fd = os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotAllowed(f"{path} is a symbolic link: put the file itself there") from error
        if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
            raise TryAgain(f"{path}: {error.strerror}") from error
        if error.errno == errno.EIO:
            raise WriteFailed(f"{path}: {error.strerror}") from error
        raise NotAllowed(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotAllowed(f"{path} is not a regular file: remove it")
    return fd
