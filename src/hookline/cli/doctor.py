"""`hookline doctor`: is this a place where the bus can keep its promises?"""

import argparse
import sys

from hookline.app.root import home_of
from hookline.cli.output import Style, print_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Check what a home stands on (programs, permissions, the file system, handlers, "
        "configuration) and how what it has stored does (disk, index, journal, logs, clock). Every "
        "complaint comes with what mends it. Exits 0 when nothing is wrong, there may be notes; "
        "78 when something is."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Check everything and say it."""
    from hookline.app.doctor import examine

    wrong = False
    style = Style(sys.stdout)
    for finding in examine(home_of(args)):
        wrong = wrong or not finding.well
        if args.json:
            print_json(finding._asdict())
            continue
        word, colour = ("wrong", "red") if not finding.well else ("ok   ", "green")
        if finding.note:
            word, colour = "note ", "yellow"
        then = f": {finding.next}" if finding.next else ""
        print(f"{style.paint(word, colour)}  {finding.check}: {finding.found}{then}")
    return 78 if wrong else 0
