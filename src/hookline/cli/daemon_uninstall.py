"""`hookline daemon uninstall`: takes away what `install` has written."""

import argparse
import sys
from pathlib import Path

from hookline.app.root import root
from hookline.cli.daemon_install import configure_place, scope_of, show
from hookline.model.errors import printable


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Stop the units that hookline daemon install has written for this home, and remove them; "
        "what you have changed by systemctl edit stays."
    )
    configure_place(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; the home may be gone. 73 a file is not ours, 77 for root only."""
    from hookline.app.services import Services, refuse_without_rights
    from hookline.log.home import Home

    services = Services(Home(Path(root(args.home))), scope_of(args), packaged=args.root or "")
    if not args.root:
        refuse_without_rights(services.place.scope)
    steps = list(services.uninstall())
    show(steps, as_json=args.json)
    if not args.json:
        if not steps:
            print(f"nothing to do: no units of this home in {printable(str(services.folder))}")
        for path in services.drop_ins():
            print(f"kept {printable(str(path))}: it is yours", file=sys.stderr)
    return 0
