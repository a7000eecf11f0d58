"""`hookline rebuild`: `state/` made again from the logs and the journal."""

import argparse

from hookline.app.root import home_of
from hookline.cli.output import counted, print_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Delete what is derived in coordination/state/ and make it again from the logs and the "
        "journal. Nothing runs twice for it, and nothing is forgotten: where the index knows what "
        "the journal does not tell, since that is missing or shortened, it names it and exits 65. "
        "Needs the home for itself: exits 75 while a dispatcher runs, unless with --dry-run."
    )
    parser.add_argument(
        "--force", action="store_true", help="also when something is forgotten: it is done again"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Make it again."""
    from msgspec import to_builtins

    from hookline.dispatch.rebuild import rebuild
    from hookline.model.errors import BadData

    done = rebuild(home_of(args), dry_run=args.dry_run, force=args.force)
    status = BadData.exit_code if done.forgotten and not args.force else 0
    if args.json:
        print_json({**to_builtins(done), "dry_run": args.dry_run})
        return status
    would = "would be " if args.dry_run else ""
    print(f"{would}deleted: {' '.join(done.deleted) or 'nothing'}")
    print(
        f"{would}made again: {counted(done.handlers, 'handler')}; deliveries: "
        f"{done.waiting} waiting, {done.underway} under way"
    )
    for what in done.forgotten:
        print(f"{would}forgotten: {what}")
    return status
