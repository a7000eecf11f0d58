"""`hookline daemon install`: systemd runs the home from now on."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.options import some
from hookline.cli.output import counted, print_json
from hookline.model.errors import Usage, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookline.app.services import Services, Step
    from hookline.control.units import Scope


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Write units by which systemd runs this home: the dispatcher, the programs of "
        "programs.toml, a template for the daemons of daemons.toml. What is there already and the "
        "same is left alone. docs/OPERATIONS.md says how they are hardened, and how that is "
        "loosened."
    )
    configure_place(parser)
    parser.add_argument(
        "--on-demand", action="store_true",
        help="no dispatcher that stays: a file in the drop box starts one, and so does each minute",
    )  # fmt: skip
    parser.add_argument("--enable", action="store_true", help="have them start with the machine")
    parser.add_argument("--now", action="store_true", help="that, and start them now")
    parser.add_argument(
        "--print", "--dry-run", dest="dry_run", action="store_true",
        help="print the units, and touch nothing",
    )  # fmt: skip


def configure_place(parser: argparse.ArgumentParser) -> None:
    """The options that `uninstall` has, too."""
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "--user", action="store_true", help="for the systemd of this user; default unless root"
    )
    scope.add_argument("--system", action="store_true", help="for that of the machine, by root")
    parser.add_argument(
        "--root", metavar="DIR", type=some,
        help="in DIR/etc/systemd/ instead, for an image or a package; no systemd is asked",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Do it. 73 a file of somebody else is in the way, 75 written, but no systemd answers, 77 for
    root only, 78 bad configuration."""
    from hookline.app.init import link_command, make_folders
    from hookline.app.services import Services, refuse_without_rights

    if args.root and (args.enable or args.now):
        raise Usage("--root asks no systemd for anything: systemctl --root DIR enable does that")
    home = home_of(args)
    services = Services(home, scope_of(args), packaged=args.root or "")
    if args.dry_run:
        _print(services, as_json=args.json)
        return 0
    if not args.root:
        refuse_without_rights(services.place.scope)
    if home.coordination.stat().st_uid == os.geteuid():
        # What root made in the home of another would be in that one's way.
        list(make_folders(home))
        link_command(home)
    steps = services.install(on_demand=args.on_demand, enable=args.enable, now=args.now)
    show(steps, as_json=args.json)
    if not (args.json or args.root):
        _say_next(services, args)
    return 0


def scope_of(args: argparse.Namespace) -> "Scope":
    """Which systemd is meant."""
    is_system = args.system or (os.geteuid() == 0 and not args.user)
    return "system" if is_system else "user"


def show(steps: "Iterable[Step]", *, as_json: bool) -> None:
    """Each step when it is done; those that were done before, as a number."""
    kept = 0
    for step in steps:
        if as_json:
            print_json(step._asdict())
        elif step.action == "kept":
            kept += 1
        else:
            print(f"{step.action} {printable(step.what)}", flush=True)
    if kept:
        print(f"unchanged: {counted(kept, 'unit')}")


def _print(services: "Services", *, as_json: bool) -> None:
    for name, text in services.texts().items():
        if as_json:
            print_json({"file": str(services.folder / name), "text": text})
        else:
            print(f"# {services.folder / name}\n{text}")


def _say_next(services: "Services", args: argparse.Namespace) -> None:
    if not args.now:
        print(f"next: {services.next_step(on_demand=args.on_demand)}")
    if not services.is_managed:
        print("no systemd answers here; without one, hookline up runs the same", file=sys.stderr)
    elif services.place.scope == "user" and not services.lingers():
        print("they end when you log out, unless: loginctl enable-linger", file=sys.stderr)
