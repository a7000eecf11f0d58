"""What writes to the journal and to the dead letters."""

import contextlib
import os
from pathlib import Path

from hookline.log.files import append_line, is_torn, open_append, write_line
from hookline.model.errors import HooklineError


def append_whole(path: Path, lines: bytes, *, locked_append: Path, sync: bool = False) -> None:
    """Append lines to the journal or to the dead letters of a home. Raises as `append_line`.

    What a crash or a full disk has torn is ended first: unlike an event, a line that is glued to it
    would be lost with it.
    """
    append_line(path, lines, sync=sync, locked=os.path.exists(locked_append), whole=True)


class Pen:
    """Appends to the journal as `append_whole` does, and quicker: its dispatcher alone closes the
    live file, and may keep it open.

    While the file is the same, and as long as this left it, nobody can have torn its last line.
    """

    def __init__(self, path: Path, locked_append: Path) -> None:
        self._path = path
        self._locked_append = locked_append
        self._name, self._lock_name = os.fspath(path), os.fspath(locked_append)
        self._fd = -1
        self._file = (0, 0)
        self._end = -1

    def append(self, lines: bytes) -> None:
        """In one write. Raises as `append_line`."""
        if self._fd < 0 or not self._is_as_left():
            self.close()
            append_whole(self._path, lines, locked_append=self._locked_append)
            if not os.path.exists(self._locked_append):
                self._open()
            return
        begins, self._end = self._end, -1
        write_line(self._fd, lines, self._name)
        end = os.lseek(self._fd, 0, os.SEEK_CUR)
        ours = end - len(lines) - 1
        if ours != begins and is_torn(self._fd, ours):
            # Somebody's write came short between the look and ours: once more, behind our own.
            write_line(self._fd, lines, self._name)
            end = os.lseek(self._fd, 0, os.SEEK_CUR)
        self._end = end

    def _is_as_left(self) -> bool:
        try:
            status = os.stat(self._name, follow_symlinks=False)
        except FileNotFoundError:
            return False
        is_same = (status.st_dev, status.st_ino) == self._file and status.st_nlink == 1
        return is_same and status.st_size == self._end and not os.path.exists(self._lock_name)

    def _open(self) -> None:
        # What was to be written is: where it cannot be kept open, it is opened again next time.
        with contextlib.suppress(HooklineError, OSError):
            self._fd = open_append(self._path, os.O_RDWR)
            status = os.fstat(self._fd)
            self._file = status.st_dev, status.st_ino
            self._end = -1 if is_torn(self._fd, status.st_size) else status.st_size

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
