"""`hookline learn`: from what the log tells of work to what is believed of each expert."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.options import refuse_others, some
from hookline.cli.output import counted, print_json, print_table, tell
from hookline.model.errors import BadData, Usage, printable, shown

if TYPE_CHECKING:
    from hookline.log.home import Home

_EVERY_ACTION = frozenset({"action", "home", "json"})
_TAKES = {
    "run": frozenset({"since", "date", "type", "event"}),
    "report": frozenset({"date"}),
    "status": frozenset({"date"}),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Learns from the log how far each expert can be trusted. run: a cycle now, which writes "
        "moe-learning/expert-confidence.json, routing/expert-weights.json and a report below "
        "coordination/, and tells what it finds; report: shows the newest report; status: how it "
        "stands with the daily cycle (done, requested, overdue, failed, due)."
    )
    parser.add_argument(
        "action", nargs="?", choices=list(_TAKES), default="run", help="default: run"
    )
    parser.add_argument(
        "--since", metavar="T", type=some,
        help="run: from events of then or later (a time, a day, 30d); default: 90d",
    )  # fmt: skip
    parser.add_argument(
        "--for", dest="date", metavar="DATE", type=some,
        help="of this day, as it was at its end; default: today",
    )  # fmt: skip
    parser.add_argument(
        "--type", metavar="TYPE", type=some,
        help="run: what the cycle is called; only a daily one marks its day; default: daily",
    )  # fmt: skip
    parser.add_argument(
        "--event", metavar="FILE", type=some,
        help="run: for the learning.cycle_requested in it, unless that was done",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Do it. 0 done, 65 no such day or report, 75 another cycle runs."""
    refuse_others(args, args.action, _EVERY_ACTION | _TAKES[args.action])
    actions = {"run": _run, "report": _report, "status": _status}
    return actions[args.action](args, home_of(args))


def _run(args: argparse.Namespace, home: "Home") -> int:
    """For the handler it is silent when all is well, and when the cycle was done before."""
    from msgspec import to_builtins

    from hookline.app.learning import asked_by, asked_now, cycle
    from hookline.cli.times import stored_time
    from hookline.model.clock import SystemClock, parse_rfc3339

    clock = SystemClock()
    if args.event:
        if args.date or args.type:
            raise Usage("--event says the day and the type; see: hookline learn --help")
        request = asked_by(home, Path(args.event))
    else:
        request = asked_now(clock, args.date, args.type)
    since = stored_time(args.since, request.as_of)
    done = cycle(home, request, clock, parse_rfc3339(since) if since else None, _tell)
    if done is not None and args.json:
        print_json(to_builtins(done))
    elif done is not None and not args.event:
        told = (
            counted(done.decisions, "decision"), counted(done.outcomes, "outcome"),
            counted(done.experts, "expert"), counted(done.patterns, "pattern"),
        )  # fmt: skip
        print(f"{done.date} {done.cycle_type}: {', '.join(told)}; {done.report}")
    return 0


def _tell(text: str) -> None:
    tell(f"hookline learn: {printable(text)}")


def _report(args: argparse.Namespace, home: "Home") -> int:
    from hookline.app.learning import begin_of, confidences_of

    if args.json:
        if args.date:
            raise Usage("--json has the newest figures; those of a day are only in its report")
        return _show(confidences_of(home), compact=True)
    reports = home.coordination / "moe-learning" / "reports"
    if args.date:
        begin_of(args.date)
        return _show(reports / f"{args.date}.md")
    newest = max(reports.glob("????-??-??.md"), default=reports / "today.md")
    return _show(newest)


def _show(path: Path, *, compact: bool = False) -> int:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise BadData(f"there is no {shown(str(path), 500)}: hookline learn makes one") from None
    if compact:
        import json

        print_json(json.loads(text))
    else:
        sys.stdout.write("".join(printable(line) + "\n" for line in text.splitlines()))
    return 0


def _status(args: argparse.Namespace, home: "Home") -> int:
    from msgspec import to_builtins

    from hookline.app.learning import standing
    from hookline.model.clock import SystemClock, rfc3339

    now = SystemClock().now()
    found = standing(home, args.date or rfc3339(now)[:10], now)
    if args.json:
        print_json(to_builtins(found))
    else:
        print_table(["DATE", "STATE", "REQUESTS"], [(found.date, found.state, found.requests)])
    return 0
