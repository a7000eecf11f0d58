"""`hookline dispatch`: give the events to the handlers."""

import argparse
import sys

from hookline.app.root import home_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Give each event to the handlers that asked for it. Stays in the foreground until "
        "SIGTERM or Ctrl-C, which lets what runs end first; a second one ends that too."
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="deliver what there is and exit, for cron; retries not yet due stay for later",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="show each attempt on stderr")
    parser.add_argument("--json", action="store_true", help="print the journal's lines on stdout")


def run(args: argparse.Namespace) -> int:
    """Run the dispatcher. 0 done, 75 when another one runs."""
    from hookline.app.bus import dispatcher
    from hookline.cli.show import Lines, Show

    home = home_of(args)
    show = Lines(sys.stdout) if args.json else Show(sys.stderr, attempts=args.verbose)
    bus = dispatcher(home, show)
    with bus.signals():
        try:
            if args.once:
                bus.drain()
            else:
                bus.run()
        finally:
            bus.close()
        if not args.json and (args.verbose or not args.once):
            print(
                f"deliveries settled: {bus.settled}, dead letters among them: {bus.letters}",
                file=sys.stderr,
            )
    return 0
