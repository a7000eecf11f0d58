"""`hookline init`: make a home."""

import argparse
import shlex
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Make a home in a folder: the coordination tree and the scripts. What is there already is "
        "kept as it is, so that it may be run again. The handlers that come with Hookline are laid "
        "down with their folder: one that was deleted does not come back."
    )
    parser.add_argument("dir", nargs="?", default=".", type=Path, help="default: this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Make it and say what to do next."""
    from hookline.app.init import init
    from hookline.app.root import as_text
    from hookline.cli.output import print_json
    from hookline.log.home import Home
    from hookline.model.errors import CannotCreate

    if args.dir.exists() and not args.dir.is_dir():
        raise CannotCreate(f"{args.dir} is not a folder: name another one")
    home = Home(Path(as_text(str(args.dir.absolute()))))
    made = list(init(home))
    if args.json:
        print_json({"root": str(home.root), "done": made})
        return 0
    for line in made:
        print(line)
    if not made:
        print(f"{home.root} is a home already; nothing to do")
    where = shlex.quote(str(home.root))
    print(f"next: cd {where} && scripts/events/lib/event-logger.sh --emit hello.world me '{{}}'")
    return 0
