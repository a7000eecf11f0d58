"""`hookline up`: run everything in the foreground, and show it."""

import argparse
import sys

from hookline.app.root import home_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Run the dispatcher, the drop box, the programs of coordination/config/programs.toml and "
        "the daemons of daemons.toml that are always to run, in the foreground, and show what "
        "arrives and what the handlers make of it. Ctrl-C lets what runs end; a second one ends it."
    )
    parser.add_argument(
        "--quiet",
        "-q",
        action="store_true",
        help="no line for each event and attempt: only for what needs attention",
    )


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM. 0 done, 75 when a dispatcher runs already."""
    import time

    from hookline.app.bus import dispatcher
    from hookline.app.config import load_config, load_programs
    from hookline.app.daemons import kept_daemons
    from hookline.app.environment import notifier, passed_environment
    from hookline.app.init import link_command, make_folders
    from hookline.app.programs import ProgramKeeper
    from hookline.cli.show import Stage

    home = home_of(args)
    list(make_folders(home))
    link_command(home)
    programs = {**load_programs(home).program, **kept_daemons(home)}
    stage = Stage(sys.stdout, home, quiet=args.quiet)
    begun_s = time.monotonic()
    keeper = ProgramKeeper(home, programs, passed_environment(load_config(home)), stage.noted)
    bus = dispatcher(home, stage, [keeper, notifier()])
    with bus.signals():
        try:
            stage.welcome(bus.roster, programs)
            bus.run()
        finally:
            bus.close()
        stage.farewell(bus, time.monotonic() - begun_s)
    return 0
