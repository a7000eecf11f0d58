"""`hookline migrate scan`: an inventory of timer loops."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.cli.output import counted, print_json, print_table
from hookline.model.errors import Usage, printable

if TYPE_CHECKING:
    from hookline.schedule.scan.loops import Loop

_HEADS = ("Daemon", "File", "Interval", "Purpose", "Bus integration")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Find the hard-coded timer loops of Python and shell programs, and print an inventory: "
        "name, file:line, interval, purpose, and whether the bus sees what they do (yes, partial, "
        "none). The programs are read, never run or imported."
    )
    parser.add_argument("path", nargs="+", help="a program, or a folder of them")
    parser.add_argument(
        "--markdown", action="store_true", help="a Markdown table on a terminal, too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Read them all. What cannot be read is told, and is no failure."""
    from msgspec import to_builtins

    from hookline.schedule.scan.files import scan

    paths = [Path(each) for each in args.path]
    for path in paths:
        if not path.exists():
            raise Usage(f"{path}: there is nothing of that name: name a program or a folder")
    found = scan(paths, _tell)
    if args.json:
        for loop in found:
            print_json(to_builtins(loop))
        return 0
    loops = list(found)
    _print(loops, markdown=args.markdown or not sys.stdout.isatty())
    sys.stdout.flush()
    print(f"hookline migrate: {counted(len(loops), 'timer loop')}", file=sys.stderr)
    return 0


def _tell(trouble: str) -> None:
    print(f"hookline migrate: {printable(trouble)}", file=sys.stderr)


def _print(loops: "Iterable[Loop]", *, markdown: bool) -> None:
    rows = [
        (each.name, f"{each.path}:{each.line}", each.interval, each.purpose, each.bus)
        for each in loops
    ]
    if not markdown:
        print_table([head.upper() for head in _HEADS], rows)
        return
    print(_markdown_row(_HEADS))
    print("|---" * len(_HEADS) + "|")
    for row in rows:
        print(_markdown_row(row))


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"
