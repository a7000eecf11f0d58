"""`hookline daemon`: the daemons of coordination/config/daemons.toml."""

import argparse
import os
import sys
from contextlib import suppress
from typing import NoReturn

from hookline.app.root import home_of
from hookline.cli.options import some
from hookline.control.supervisor import UNAVAILABLE
from hookline.model.errors import Usage

ACTIONS = {
    "install": ("hookline.cli.daemon_install", "systemd runs the home from now on"),
    "uninstall": ("hookline.cli.daemon_uninstall", "take away what install has written"),
}
_SUPERVISED = ("run", "launch")
_ASKED = ("menu", "status", "start", "stop", "restart", "logs", "health")
"""What scripts/wizards/daemon-control.sh does, which works without Python, too."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Daemons of coordination/config/daemons.toml. run: supervise NAME here until Ctrl-C, which "
        "is to start it again when it ends and to say as events what becomes of it; launch: have "
        "it supervised in the background, for the handler of system.daemon_start_requested. Exit: "
        "0 it is ready, or was told to end; 65 no such daemon, 69 it has failed, 75 another runs: "
        "status says how it does. "
        "menu, status, start, stop, restart, logs, health: scripts/wizards/daemon-control.sh, and "
        "--help there says more. hookline daemon install --help: units by which systemd runs it."
    )
    parser.add_argument("action", choices=[*_SUPERVISED, *_ASKED])
    parser.add_argument("names", metavar="NAME", nargs="*", type=some, help="which daemons")
    parser.add_argument(
        "--asked", action="store_true",
        help="launch: an event has asked for it, and events are the answer: failed is done, too",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="start, stop, restart: all of them")
    parser.add_argument("--json", action="store_true", help="status: one JSON object a line")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--legacy", action="store_true", help="start: by the daemon's own script")
    parser.add_argument("--plain", action="store_true", help="menu: no whiptail")
    parser.add_argument("--follow", action="store_true", help="logs: and what is still to come")
    parser.add_argument("-n", metavar="LINES", type=some, help="logs: how many lines")
    parser.add_argument("--wait", metavar="S", type=some, help="for an answer, so many seconds")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.action not in _SUPERVISED:
        _ask(args)
    from hookline.app.daemons import answer, launch, supervisor

    if len(args.names) != 1:
        raise Usage(f"{args.action}: which one daemon? see: hookline daemon --help")
    home, (name,) = home_of(args), args.names
    if args.action == "launch":
        if args.asked:
            answer(home, name)
            return 0
        return 0 if launch(home, name) else UNAVAILABLE
    it = supervisor(home, name)
    status = it.run()
    # Nobody may listen there either.
    with suppress(OSError):
        for line in it.unsaid():
            print(f"hookline daemon: {line}", file=sys.stderr)
    return status


def _ask(args: argparse.Namespace) -> NoReturn:
    """Become the wizard, which checks what goes with what."""
    from hookline.app.shipped import shipped_scripts

    if args.asked:
        raise Usage("--asked is for launch; see: hookline daemon --help")
    os.environ["HOOKLINE_HOME"] = str(home_of(args).root)
    flags = ("all", "json", "yes", "legacy", "plain", "follow")
    command = [
        str(shipped_scripts() / "wizards/daemon-control.sh"), args.action, *args.names,
        *(f"--{flag}" for flag in flags if getattr(args, flag)),
        *(["-n", args.n] if args.n else []), *(["--wait", args.wait] if args.wait else []),
    ]  # fmt: skip
    sys.stdout.flush()
    os.execvp("bash", ["bash", *command])
