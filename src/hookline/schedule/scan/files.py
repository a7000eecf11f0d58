"""The programs below some folders, read and never run."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hookline.model.errors import BadData, printable, told
from hookline.schedule.scan import python, shell
from hookline.schedule.scan.loops import Loop, Scanner

FILE_BYTES_MAX: Final = 1 << 20
_FOLDERS_PASSED_OVER: Final = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "site-packages", ".tox",
    ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache",
})  # fmt: skip
_BY_SUFFIX: Final[dict[str, Scanner]] = {
    ".py": python.scan, ".pyw": python.scan, ".sh": shell.scan, ".bash": shell.scan,
}  # fmt: skip
_SHELLS: Final = (b"sh", b"bash", b"dash", b"ksh", b"zsh")
_HEAD_BYTES: Final = 4096
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

Tell = Callable[[str], None]


def scan(paths: list[Path], tell: Tell) -> Iterator[Loop]:
    """The timer loops of these files, and of the programs below these folders, one file after the
    other; `tell` gets a line for each file that is passed over, and why."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        for each in _files(path, tell):
            yield from _scan(each, tell, seen, asked=each == path)


def _files(path: Path, tell: Tell) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    # Links to folders are not followed, so that there is no end to be missed.
    for folder, folders, files in os.walk(path, onerror=lambda error: tell(told(error))):
        folders[:] = sorted(each for each in folders if not _is_passed_over(folder, each))
        yield from (Path(folder, each) for each in sorted(files))


def _is_passed_over(folder: str, name: str) -> bool:
    return name in _FOLDERS_PASSED_OVER or os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))


def _scan(path: Path, tell: Tell, seen: set[tuple[int, int]], *, asked: bool) -> Iterator[Loop]:
    suffix = path.suffix.lower()
    if suffix and suffix not in _BY_SUFFIX and not asked:
        return
    try:
        data = _read(path, seen, suffix)
        scanner = None if data is None else _BY_SUFFIX.get(suffix) or _by_first_line(data)
        if data is not None and scanner is not None:
            yield from scanner(printable(str(path)), data)
        elif asked and data is not None:
            tell(f"{path}: neither Python nor a shell program, by its name and its first line")
    except BadData as error:
        tell(f"{error}: passed over")
    except OSError as error:
        tell(f"{path}: {error.strerror}: passed over")


def _read(path: Path, seen: set[tuple[int, int]], suffix: str) -> bytes | None:
    """What is in a file; None where it is no text, or was read before. Raises OSError, BadData."""
    # Opened as it is: nothing waits for the other end of a pipe, and nothing is read of a device.
    fd = os.open(path, _FLAGS)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        identity = found.st_dev, found.st_ino
        if not stat.S_ISREG(found.st_mode) or identity in seen:
            return None
        seen.add(identity)
        head = file.read(_HEAD_BYTES)
        if b"\0" in head or (not suffix and not head.startswith(b"#!")):
            return None
        if found.st_size > FILE_BYTES_MAX:
            raise BadData(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB")
        return head + file.read(FILE_BYTES_MAX)


def _by_first_line(data: bytes) -> Scanner | None:
    words = data.partition(b"\n")[0].removeprefix(b"#!").replace(b"/", b" ").split()
    if any(word.startswith(b"python") for word in words):
        return python.scan
    return shell.scan if any(word in _SHELLS for word in words) else None
