"""The files that the house rules are held against."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One text file of the checkout; `path` is relative to its root."""

    path: str
    text: str
    executable: bool = False

    @property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return self.text.split("\n")

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def is_python(self) -> bool:
        """Whether Python reads it."""
        return self.path.endswith(".py")

    @property
    def is_bats(self) -> bool:
        """Whether bats reads it."""
        return self.path.endswith(".bats")

    @property
    def is_shell(self) -> bool:
        """Whether a shell (or bats) reads it."""
        return self.path.endswith((".sh", ".bash", ".bats")) or (
            self.text.startswith("#!") and self.lines[0].endswith(("/sh", "/bash", " bash"))
        )

    @property
    def is_handler(self) -> bool:
        """Whether a dispatcher would take it for a handler."""
        return "/handlers/on-" in self.path and self.path.startswith("scripts/")

    @property
    def is_library(self) -> bool:
        """Whether it is there to be sourced only."""
        return "/lib/" in self.path and self.is_shell and not self.text.startswith("#!")

    @property
    def is_script(self) -> bool:
        """Whether a person starts it: no library, no part of one test, no bats file."""
        inside_a_test = self.is_test and self.path.count("/") > 1
        return (
            self.is_shell and self.text.startswith("#!") and not self.is_bats and not inside_a_test
        )

    @property
    def is_test(self) -> bool:
        """Whether it is only there to test the rest."""
        return self.path.startswith("testing/")


@cache
def sources() -> tuple[Source, ...]:
    """Every text file that git knows or would add, by path."""
    # The owner of a checkout may be another user than the one who tests it: git would refuse.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = []
    for path in sorted(set(filter(None, listing.split("\0")))):
        file = ROOT / path
        if file.is_symlink() or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found.append(Source(path=path, text=text, executable=bool(file.stat().st_mode & 0o100)))
    return tuple(found)


def source(path: str) -> Source:
    """The file at this path."""
    return next(each for each in sources() if each.path == path)
