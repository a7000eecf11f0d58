"""`hookline migrate`: from timers of one's own to schedules that everybody can see."""

import argparse
from typing import Final

from hookline.model.errors import Usage

ACTIONS: Final = {
    "scan": ("hookline.cli.migrate_scan", "find the timer loops of programs, and list them"),
    "cron": ("hookline.cli.migrate_cron", "make schedules and handlers of a crontab or timers"),
    "compare": ("hookline.cli.migrate_compare", "watch an old timer beside its schedule"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    listing = "; ".join(f"{name}: {summary}" for name, (_, summary) in ACTIONS.items())
    parser.description = f"From timers of one's own to schedules that everybody can see. {listing}."
    parser.add_argument("action", nargs="?", help=f"{', '.join(ACTIONS)}; each has its own --help")


def run(args: argparse.Namespace) -> int:
    """Raises Usage: it was none of its actions."""
    del args
    raise Usage(f"name what to do: hookline migrate {'|'.join(ACTIONS)}")
