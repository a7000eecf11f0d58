"""Output for people and for programs: colour and aligned columns on a terminal only, `NO_COLOR`
respected."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

from hookline.model.errors import printable

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Style:
    """Colours for one stream, or none."""

    def __init__(self, out: TextIO) -> None:
        self._on = (
            out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._on else text

    def bold(self, text: str) -> str:
        """Emphasis."""
        return self.paint(text, "bold")

    def dim(self, text: str) -> str:
        """The opposite."""
        return self.paint(text, "dim")

    def cyan(self, text: str) -> str:
        """A name."""
        return self.paint(text, "cyan")


def on_terminal(json_text: str) -> str:
    """JSON as it may be printed: on a terminal, what that would obey as JSON's own escapes."""
    return printable(json_text) if sys.stdout.isatty() else json_text


def print_json(value: object) -> None:
    """One value on one line, as compact as events are."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def tell(text: str) -> None:
    """Say something on stderr. Where nobody takes it (a full disk, a reader that has ended), that
    ends nothing: whoever runs for long has other things to do."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def counted(number: int, what: str) -> str:
    """How many there are, in words: `1 event`, `2 events`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def asks(args: argparse.Namespace) -> bool:
    """Whether a person on a terminal is asked, whom `--yes` has not answered for."""
    return not args.yes and not args.json and sys.stdin.isatty() and sys.stdout.isatty()


def agreed(args: argparse.Namespace, question: str) -> bool:
    """What a person on a terminal answers, unless `--yes` did; nobody else is asked."""
    if not asks(args):
        return True
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        # Ctrl-D: the line of the question is still open.
        print()
        return False


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns under heads on a terminal, else tab-separated lines with the heads first."""
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(heads), *texts]:
            print("\t".join(row))
        return
    widths = [max(len(row[i]) for row in [list(heads), *texts]) for i in range(len(heads))]
    style = Style(sys.stdout)
    print(
        style.bold(
            "  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()
        )
    )
    for row in texts:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
