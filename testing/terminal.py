"""A real terminal, with what it shows: a program in a pseudo-terminal, and the screen that a person
would see."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pexpect  # type: ignore[import-untyped]  # its types are a package of their own
import pyte

from testing.waiting import DEADLINE_S, until

_CHUNK = 65536


class Terminal:
    """One program and its screen."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path,
        lines: int = 24,
        columns: int = 80,
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.said = b""
        """All that it has sent."""
        program, *arguments = map(str, command)
        self._child = pexpect.spawn(
            program, arguments, env=dict(env), cwd=cwd, dimensions=(lines, columns)
        )

    def text(self) -> str:
        """The screen as it is now."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def type(self, text: str) -> None:
        """Press these keys; `\\x03` is Ctrl-C."""
        self._child.send(text)

    def resize(self, lines: int, columns: int) -> None:
        """What happens to a window."""
        self._screen.resize(lines, columns)
        self._child.setwinsize(lines, columns)

    def shows(self, text: str, deadline_s: float = DEADLINE_S) -> str:
        """The screen, as soon as the text is on it."""

        def found() -> bool:
            self._read()
            return text in self.text()

        self._until(found, f"{text!r} is not shown", deadline_s)
        return self.text()

    def hides(self, text: str) -> None:
        """Wait until the text is not on the screen any more."""

        def gone() -> bool:
            self._read()
            return text not in self.text()

        self._until(gone, f"{text!r} is still shown")

    def ended(self) -> int:
        """Its exit status, once it has one; a signal is negative."""

        self._until(lambda: not self._read(), "it still runs")
        self._child.close()
        status: int | None = self._child.exitstatus
        return -int(self._child.signalstatus) if status is None else status

    def close(self) -> None:
        """End it, whatever it does."""
        self._child.close(force=True)

    def _until(
        self, condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S
    ) -> None:
        try:
            until(condition, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{what}:\n{self.text()}") from error

    def _read(self) -> bool:
        """Whatever has come by now; whether there can be more."""
        try:
            chunk = self._child.read_nonblocking(_CHUNK, timeout=0.02)
        except pexpect.TIMEOUT:
            return True
        except (pexpect.EOF, OSError):
            return False
        self.said += chunk
        self._stream.feed(chunk)
        return True


def plain_environment(home: Path, **more: str) -> dict[str, str]:
    """What a person has in a terminal, and no more."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "HOOKLINE_HOME": str(home),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **more,
    }
