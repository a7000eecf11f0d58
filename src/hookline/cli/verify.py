"""`hookline verify`: every line of every segment, looked at."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.output import Style, counted, print_json

if TYPE_CHECKING:
    from hookline.log.verify import Finding, Tally

_SHOW_S = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Look at every line of every segment, of the journal and of the dead letters, as a reader "
        "does, and say what is wrong, where, and what became of it; and whether the dead letters "
        "that the journal tells of are there. Changes nothing; may be used at any time. Exits 0 "
        "when nothing is wrong (there may be notes), 65 when something is."
    )
    parser.add_argument(
        "wanted", nargs="*", metavar="DOMAIN|PATTERN",
        help="only these logs; default: all, the journal and the dead letters",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line, a sum at last")


def run(args: argparse.Namespace) -> int:
    """Look, and say it."""
    from msgspec import to_builtins

    from hookline.app.verify import verify
    from hookline.log.verify import Tally

    tally = Tally()
    counts = {"wrong": 0, "note": 0}
    begun_s = time.monotonic()
    progress = _Progress(tally)
    tally.grown = progress.show
    for finding in verify(home_of(args), args.wanted, tally):
        counts[finding.level] += 1
        progress.clear()
        if args.json:
            print_json(to_builtins(finding))
        else:
            _print(finding)
    progress.clear()
    took_s = time.monotonic() - begun_s
    if args.json:
        print_json(
            {
                "lines": tally.lines, "events": tally.events, "bytes": tally.bytes,
                "wrong": counts["wrong"], "notes": counts["note"], "seconds": round(took_s, 1),
            }
        )  # fmt: skip
    else:
        verdict = f"{counts['wrong']} wrong" if counts["wrong"] else "nothing is wrong"
        print(
            f"{verdict}, {counted(counts['note'], 'note')}: {counted(tally.lines, 'line')}, "
            f"{counted(tally.events, 'event')}, {counted(tally.bytes, 'byte')}"
        )
    return 65 if counts["wrong"] else 0


def _print(finding: "Finding") -> None:
    style = Style(sys.stdout)
    mark = style.paint("wrong", "red") if finding.level == "wrong" else style.paint("note ", "cyan")
    where = f"{finding.log} {finding.segment:08d}:{finding.offset}"
    length = f" ({finding.length} bytes)" if finding.length else ""
    said = "; ".join(part for part in (finding.found, finding.means) if part)
    then = f": {finding.next}" if finding.next else ""
    print(f"{mark}  {where}{length}  {said}{then}")


class _Progress:
    """How far it has got, on stderr if that is a terminal."""

    def __init__(self, tally: "Tally") -> None:
        self._tally = tally
        self._on = sys.stderr.isatty()
        self._shown = False
        self._next_s = time.monotonic() + _SHOW_S

    def show(self) -> None:
        """Say it, now and then."""
        if self._on and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _SHOW_S
            text = f"\r{self._tally.bytes / 1e6:.0f} MB, {self._tally.lines} lines"
            print(text, end="", file=sys.stderr, flush=True)
            self._shown = True

    def clear(self) -> None:
        """Leave the line to what is to be printed."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False
