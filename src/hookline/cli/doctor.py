"""`hookline doctor`: is this a place where the bus can keep its promises?"""

import argparse
import sys

from hookline.app.root import home_of
from hookline.cli.output import Style, print_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Check what a home stands on: programs, permissions, the file system, handlers, "
        "configuration. Every complaint comes with what mends it. Exits 0 when nothing is wrong, "
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
            print_json({"check": finding.check, "well": finding.well, "found": finding.found})
        else:
            mark = style.paint("ok   ", "green") if finding.well else style.paint("wrong", "red")
            print(f"{mark}  {finding.check}: {finding.found}")
    return 78 if wrong else 0
