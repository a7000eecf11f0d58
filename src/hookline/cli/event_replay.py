"""`hookline event-replay`: the replay of the original, behind scripts/events/event-replay.sh."""

import argparse
import os
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.options import some
from hookline.model.errors import Usage, printable, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookline.app.event_replay import Choice, Mode, Outcome

PRIORITIES: Final = ("low", "medium", "high", "critical")
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z", re.ASCII)
_RESULTS: Final = ("successful", "failed", "skipped", "waiting")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Event Replay Tool: deliver events of the logs and of their closed segments once more, to "
        "every handler that wants them, and wait for the verdicts. A running dispatcher does it, "
        "else one is run for it. hookline replay is for one handler, long stretches and a pace."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--event-id", metavar="ID", type=some, help="the event of this id")
    which.add_argument(
        "--date", metavar="YYYY-MM-DD", type=some, help="the events of a day, in local time"
    )
    parser.add_argument("--type", metavar="RE", type=some, help="only types that this matches")
    parser.add_argument("--source", metavar="RE", type=some, help="only sources that it matches")
    parser.add_argument(
        "--priority", metavar="P", type=some, help=f"only {' '.join(PRIORITIES)} (none is medium)"
    )
    parser.add_argument("--correlation", metavar="ID", type=some, help="only this correlation")
    parser.add_argument("--dry-run", action="store_true", help="say what would be replayed")
    parser.add_argument("--verbose", "-v", action="store_true", help="show each event")
    parser.add_argument(
        "--queue", action="store_true",
        help="put new events with the same data into the drop box, and do not wait",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="one JSON object an event, then one for all of them"
    )


def run(args: argparse.Namespace) -> int:
    """Replay. 1 when one of them failed, 65 when a part of the log could not be read or the event
    is not there, 75 when a handler has not settled all of them."""
    from hookline.app import event_replay
    from hookline.model.clock import SystemClock
    from hookline.model.errors import BadData

    choice = _choice(args)
    home = home_of(args)
    troubles: list[str] = []
    events = event_replay.chosen(home, choice, lambda trouble: troubles.append(str(trouble)))
    if not args.json:
        _print_head(args)
    mode: Mode = "dry" if args.dry_run else "queue" if args.queue else "direct"
    if mode == "dry":
        outcomes = event_replay.rehearse(home, events)
    elif mode == "queue":
        outcomes = event_replay.enqueue(home, events, SystemClock())
    else:
        outcomes = event_replay.deliver(home, events, SystemClock())
    outcomes = event_replay.and_put_away(outcomes, home, choice, args.date or "", mode)
    end_on_term()
    try:
        counts = _print(outcomes, args)
    except (KeyboardInterrupt, SystemExit):
        _say("ended before all was replayed; what waits is shown by: hookline handlers")
        raise
    for trouble in troubles:
        _say(trouble)
    if args.event_id and not counts.total():
        narrowed = any((args.type, args.source, args.priority, args.correlation))
        where = "in no log as the other options choose" if narrowed else "in no log"
        raise BadData(f"Event not found: {shown(args.event_id)} is {where}; see: hookline log")
    if counts["failed"]:
        return 1
    if troubles:
        return os.EX_DATAERR
    if counts["waiting"]:
        _say("what waits is shown by: hookline handlers")
        return os.EX_TEMPFAIL
    return 0


def _choice(args: argparse.Namespace) -> "Choice":
    from hookline.app.event_replay import Choice

    if args.event_id is None and args.date is None:
        raise Usage(
            "one of the arguments --event-id --date is required; see: hookline event-replay --help"
        )
    if args.priority and args.priority not in PRIORITIES:
        raise Usage(f"Invalid priority: {shown(args.priority)} is none of {' '.join(PRIORITIES)}")
    for name in ("type", "source"):
        try:
            re.compile(getattr(args, name) or "")
        except re.error as error:
            raise Usage(
                f"Invalid pattern: --{name} {shown(getattr(args, name))}: {error}"
            ) from None
    since, until = _day(args.date) if args.date is not None else (None, None)
    return Choice(
        event_id=args.event_id or "",
        since=since,
        until=until,
        type=args.type or "",
        source=args.source or "",
        priority=args.priority or "",
        correlation=args.correlation or "",
    )


def _day(text: str) -> tuple[str, str]:
    """When a day of the local calendar begins and ends, in the stored form: not always 24 hours."""
    from hookline.model.clock import from_epoch_s, rfc3339
    from hookline.model.errors import BadData

    found = _DATE.match(text)
    if found is not None:
        year, month, day = map(int, found.groups())
        try:
            ends = [time.mktime((year, month, day + more, 0, 0, 0, 0, 0, -1)) for more in (0, 1)]
            begin, end = (rfc3339(from_epoch_s(each)) for each in ends)
        except (BadData, OverflowError):
            raise Usage(f"Invalid date: {shown(text)} is out of range") from None
        if time.localtime(ends[0])[:3] == (year, month, day):
            return begin, end
    raise Usage(f"Invalid date format: {shown(text)} is not a day such as 2026-11-21")


def _print_head(args: argparse.Namespace) -> None:
    print("Event Replay Tool")
    if args.dry_run:
        print("DRY-RUN MODE: nothing is replayed")
    if args.verbose:
        print("VERBOSE MODE")
    print(f"Mode: {'DRY RUN' if args.dry_run else 'QUEUE' if args.queue else 'DIRECT'}")
    if args.event_id:
        print(f"Replaying event: {printable(args.event_id)}")
    else:
        print(f"Replaying events from date: {args.date}")
    for name in ("type", "source", "priority", "correlation"):
        if getattr(args, name):
            print(f"{name.capitalize()} filter: {printable(getattr(args, name))}")


def _print(outcomes: "Iterable[Outcome]", args: argparse.Namespace) -> Counter[str]:
    from msgspec import to_builtins

    from hookline.cli.output import print_json

    counts: Counter[str] = Counter()
    # Of a whole day, most events may be wanted by nobody.
    told = {"failed", "waiting", "skipped"} if args.event_id else {"failed", "waiting"}
    for outcome in outcomes:
        counts[outcome.result] += 1
        if args.json:
            print_json(to_builtins(outcome))
        elif args.verbose or args.dry_run or outcome.result in told:
            prefix = "[VERBOSE] " if args.verbose else ""
            why = f": {outcome.why}" if outcome.why else ""
            text = f"{outcome.result} {outcome.event} {outcome.type} {outcome.time}{why}"
            print(prefix + printable(text), flush=True)
    if args.json:
        print_json({"processed": counts.total(), **{each: counts[each] for each in _RESULTS}})
    else:
        print(f"\nEvent Replay Summary\nTotal processed: {counts.total()}")
        for result in _RESULTS:
            if counts[result] or result != "waiting":
                print(f"{result.capitalize()}: {counts[result]}")
    return counts


def _say(text: str) -> None:
    print(f"hookline event-replay: {printable(text)}", file=sys.stderr)
