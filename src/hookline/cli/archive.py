"""`hookline archive`: close, compress and delete segments by the home's policy."""

import argparse
import sys
from typing import TYPE_CHECKING

from hookline.app.root import home_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookline.app.archive import Part, Step

_PARTS: "dict[str, tuple[Part, ...]]" = {
    "rotate_only": ("rotate",),
    "compress_only": ("compress",),
    "cleanup_only": ("cleanup",),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Close logs that are large or old, compress what is closed, and delete what is old, as "
        "[archive] in coordination/config/hookline.toml says. A segment that a handler still needs "
        "is never deleted: it is said which handler holds it. May run at any time, beside anything."
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--rotate-only", action="store_true", help="only close live logs")
    only.add_argument("--compress-only", action="store_true", help="only compress closed segments")
    only.add_argument("--cleanup-only", action="store_true", help="only delete what is old")
    parser.add_argument(
        "--verbose", "-v", action="store_true", help="show each step, not only what was in the way"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a step, then one for all of them"
    )


def run(args: argparse.Namespace) -> int:
    """Do it. 65 or 74 when something went wrong with a segment, 75 when another one is at it."""
    from hookline.app.archive import PARTS, Archive
    from hookline.app.config import load_config
    from hookline.model.clock import SystemClock

    home = home_of(args)
    archive = Archive(home, load_config(home).archive, SystemClock(), dry_run=args.dry_run)
    parts = next((parts for name, parts in _PARTS.items() if getattr(args, name)), PARTS)
    totals = Totals(dry_run=args.dry_run)
    _show(archive.run(parts), totals, args)
    return totals.exit


class Totals:
    """What all steps came to."""

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.counts = dict.fromkeys(("rotated", "compressed", "deleted", "held", "busy"), 0)
        self.failed = 0
        self.freed = 0
        self.exit = 0

    def add(self, step: "Step") -> None:
        """Count a step."""
        if step.action == "failed":
            self.failed += 1
            self.exit = self.exit or step.exit
            return
        self.counts[step.action] += step.last - step.segment + 1 if step.last else step.files or 1
        self.freed += step.freed

    def value(self) -> dict[str, object]:
        """As the last line of `--json`."""
        return {
            "action": "dry-run" if self.dry_run else "archived",
            **self.counts,
            "failed": self.failed,
            "freed": self.freed,
        }

    def text(self) -> str:
        """As the last line for people."""
        from hookline.model.size import size_text

        counts = {**self.counts, "failed": self.failed}
        said = [f"{count} {what}" for what, count in counts.items() if count]
        if not said:
            return "nothing to do"
        would = "dry run: " if self.dry_run else ""
        return f"{would}{', '.join(said)}; {size_text(self.freed)} freed"


def _show(steps: "Iterable[Step]", totals: Totals, args: argparse.Namespace) -> None:
    from msgspec import to_builtins

    from hookline.cli.output import print_json
    from hookline.model.errors import printable

    shown = {"held", "busy"}
    if args.verbose or args.dry_run:
        shown |= {"deleted", "rotated", "compressed"}
    for step in steps:
        totals.add(step)
        if step.action == "failed":
            print(f"hookline archive: {printable(step.why)}", file=sys.stderr)
        if args.json:
            print_json(to_builtins(step))
        elif step.action != "failed" and (
            args.verbose or args.dry_run or step.action in ("held", "busy")
        ):
            print(printable(_line(step)), flush=True)
    if args.json:
        print_json(totals.value())
    else:
        print(totals.text())


def _line(step: "Step") -> str:
    from hookline.model.size import size_text

    which = step.what
    if step.segment:
        which = f"{step.log} segment {step.segment}"
        if step.last > step.segment:
            which = f"{step.log} segments {step.segment} to {step.last}"
    elif step.files:
        which = f"{step.files} {step.what}{'s' if step.files > 1 else ''}"
    parts = [size_text(step.bytes)] if step.bytes else []
    if step.action == "compressed" and step.freed:
        parts.append(f"to {size_text(step.bytes - step.freed)}")
    if step.written:
        parts.append(f"last written {step.written}")
    if step.handler and step.segment:
        since = f" from {step.since} on" if step.since else ""
        parts.append(f"{step.handler} needs it{since}")
    parts += [step.why] if step.why else []
    parts += [f"next: {step.next}"] if step.next else []
    return f"{step.action:<10}  {which}: {'; '.join(parts)}".rstrip(": ")
