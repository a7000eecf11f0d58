"""`hookline dead-letters`: deliveries that were given up."""

import argparse
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.output import print_table

if TYPE_CHECKING:
    from hookline.dispatch.books import DeadLetter


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Deliveries that were given up, kept with their reason until somebody replays or drops "
        "them. A LETTER is HANDLER:EVENT-ID, as list shows it; a handler's name stands for all of "
        "its letters."
    )
    parser.add_argument(
        "action", nargs="?", choices=["list", "show", "replay", "drop"], default="list",
        help="default: list",
    )  # fmt: skip
    parser.add_argument(
        "letters", nargs="*", metavar="LETTER", help="which; for replay and drop also --all"
    )
    parser.add_argument("--all", action="store_true", help="every open letter")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be replayed or dropped"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """List, show, replay or drop."""
    from msgspec.json import encode

    from hookline.dispatch import letters as book
    from hookline.model.clock import SystemClock

    home = home_of(args)
    chosen = _choose(args, book.open_letters(home))
    if args.action in ("replay", "drop"):
        verb = {"replay": "replayed", "drop": "dropped"}[args.action]
        for letter in chosen:
            if not args.dry_run:
                {"replay": book.replay, "drop": book.drop}[args.action](home, letter, SystemClock())
            print(f"{'would be ' if args.dry_run else ''}{verb}: {letter.letter}")
        if args.action == "replay" and chosen and not args.dry_run:
            from hookline.dispatch.lock import holder

            if holder(home) is None:
                print("nobody dispatches now: hookline dispatch --once delivers them")
        return 0
    if args.json or args.action == "show":
        for letter in chosen:
            print(encode(letter).decode())
        return 0
    print_table(
        ["LETTER", "TIME", "TYPE", "ATTEMPTS", "VERDICT", "ERROR"],
        [
            (each.letter, each.time[:19], _event(each.event).get("type", ""), each.attempts,
             each.verdict, each.error[:80])
            for each in chosen
        ],
    )  # fmt: skip
    return 0


def _choose(args: argparse.Namespace, found: "list[DeadLetter]") -> "list[DeadLetter]":
    from hookline.model.errors import Usage, shown

    if args.action in ("replay", "drop") and not args.letters and not args.all:
        raise Usage(
            f"{args.action} what? Name letters or a handler, or say --all (--dry-run shows which)"
        )
    if args.all or not args.letters:
        return found
    chosen = [each for each in found if each.letter in args.letters or each.handler in args.letters]
    names = {each.letter for each in chosen} | {each.handler for each in chosen}
    for wanted in args.letters:
        if wanted not in names:
            raise Usage(f"no open dead letter {shown(wanted, 200)}: hookline dead-letters list")
    return chosen


def _event(raw: bytes) -> dict[str, object]:
    import json

    value = json.loads(bytes(raw))
    return value if isinstance(value, dict) else {}
