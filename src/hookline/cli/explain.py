"""`hookline explain`: what would fire for a type, and what became of an event."""

import argparse
import sys

from hookline.app.root import home_of
from hookline.cli.output import print_json, print_table


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "For a type: which handlers would run, and why the others would not. For an event's id: "
        "what became of it, handler by handler."
    )
    parser.add_argument("what", metavar="TYPE|ID", help="an event type or an event's id")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Explain. 65 when there is no such event."""
    from hookline.app.explain import explain_event, explain_type
    from hookline.model.types import is_type

    home = home_of(args)
    if is_type(args.what):
        rows = explain_type(home, args.what)
    else:
        event, rows = explain_event(home, args.what)
        print(event.decode())
    if args.json:
        for row in rows:
            print_json(row)
        return 0
    print_table(
        ["HANDLER", "ANSWER", "WHY"], [(row["handler"], row["answer"], row["why"]) for row in rows]
    )
    if all(row["answer"] == "no" for row in rows):
        print("hookline: unhandled: no handler wants this type of event", file=sys.stderr)
    return 0
