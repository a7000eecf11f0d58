"""`hookline handlers`: who listens, and how it goes."""

import argparse
import sys
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from hookline.app.survey import HandlerView


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = "Who listens to what, how far each has got, and what is refused and why."
    parser.add_argument(
        "action",
        nargs="?",
        choices=["list", "pause", "resume"],
        default="list",
        help="default: list",
    )
    parser.add_argument("handler", nargs="?", help="the handler's file name, for pause and resume")
    parser.add_argument("--reason", default="", help="why, for pause")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(handler: "HandlerView") -> str:
    """How it is run, and how many events at once."""
    if handler.batch > 1:
        return f"{handler.run}, batch {handler.batch}"
    return f"{handler.run}, window {handler.window}" if handler.window > 1 else handler.run


def run(args: argparse.Namespace) -> int:
    """List, pause or resume. 65 when a file is refused."""
    home = home_of(args)
    if args.action != "list":
        from hookline.app.pausing import set_paused

        set_paused(home, args.handler, args.action, args.reason)
        print(
            f"{args.action}d {args.handler}"
            if args.action == "pause"
            else f"resumed {args.handler}"
        )
        return 0
    from msgspec import to_builtins

    from hookline.app.survey import gone, survey

    found = survey(home)
    if args.json:
        for handler in found.handlers:
            print_json(to_builtins(handler))
    else:
        print_table(
            ["HANDLER", "ON", "RUN", "STATE", "BEHIND", "WAITING", "RUNNING", "DEAD"],
            [
                (
                    each.name, " ".join(each.on), _run(each), each.state, f"{each.behind_bytes} B",
                    each.waiting, each.running, each.dead_letters,
                )
                for each in found.handlers
            ],
        )  # fmt: skip
        for handler in found.handlers:
            if handler.paused:
                print(f"{handler.name} is paused: {handler.paused}", file=sys.stderr)
            if handler.held:
                print(f"{handler.name} cannot be run: {handler.held}", file=sys.stderr)
        for trouble in gone(home, found):
            print(trouble, file=sys.stderr)
    for reason in found.refused:
        print(f"hookline: refused: {reason}", file=sys.stderr)
    return 65 if found.refused else 0
