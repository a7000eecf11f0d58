"""`hookline dispatch`: give the events to the handlers."""

import argparse
import sys
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.output import counted

if TYPE_CHECKING:
    from hookline.dispatch.dispatcher import Dispatcher


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Give each event to the handlers that asked for it. Stays in the foreground until "
        "SIGTERM or Ctrl-C, which lets what runs end first; a second one ends that too."
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="deliver what there is and exit, for cron: silent when all is well, otherwise stderr "
        "says which handlers were paused or cannot be run, how many dead letters there are more, "
        "and how many retries are not due yet: they stay for later",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="show each attempt on stderr")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the journal's lines about what has ended on stdout",
    )


def run(args: argparse.Namespace) -> int:
    """Run the dispatcher. 0 done, 75 when another one runs."""
    from hookline.app.bus import dispatcher
    from hookline.app.environment import notifier
    from hookline.cli.show import Lines, Show

    home = home_of(args)
    show = Lines(sys.stdout) if args.json else Show(sys.stderr, attempts=args.verbose)
    bus = dispatcher(home, show, [notifier()])
    known = {each.name for each in bus.roster if each.standing.paused}
    with bus.signals():
        try:
            if args.once:
                bus.drain()
            else:
                bus.run()
        finally:
            bus.close()
            # Also when it could not do all: the next run does not tell of what is paused by then.
            if args.once and not args.verbose:
                for text in _stopped(bus, known):
                    show.noted(text)
        if not args.json and (args.verbose or not args.once):
            print(
                f"deliveries settled: {bus.settled}, dead letters among them: {bus.letters}",
                file=sys.stderr,
            )
        if args.once:
            if bus.letters and not args.verbose:
                more = counted(bus.letters, "dead letter")
                show.noted(f"{more} more: hookline dead-letters list")
            for text in _retries(bus):
                show.noted(text)
    return 0


def _stopped(bus: "Dispatcher", known: Collection[str]) -> Iterator[str]:
    """Which handlers are stopped, and what helps; not those that are `known` to be paused."""
    from hookline.app.survey import stopped

    for each in bus.roster:
        if each.name not in known:
            yield from stopped(each.name, each.standing.paused, each.standing.held)


def _retries(bus: "Dispatcher") -> Iterator[str]:
    """What is still to come of what failed."""
    from hookline.model.clock import from_epoch_s, rfc3339

    able = [each for each in bus.roster if not (each.standing.paused or each.standing.held)]
    dues = [due_s for each in able for due_s in each.retries()]
    if dues:
        first = rfc3339(from_epoch_s(min(dues)))
        yield f"to be tried again: {counted(len(dues), 'event')}, the first at {first}"
