"""`hookline migrate compare`: an old timer and its schedule side by side."""

import argparse
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.options import some
from hookline.cli.output import print_json
from hookline.model.errors import Usage, printable

if TYPE_CHECKING:
    from datetime import datetime

    from hookline.app.comparison import Comparison, Old
    from hookline.log.home import Home
    from hookline.model.clock import Clock
    from hookline.schedule.compare import Report

SHOWN_MAX = 10
"""So many of each kind are shown; --each shows all."""
_PROGRESS = 20
"""How often progress is told in all, but not more often than each second."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Compare an old timer with the schedule that is to take its place: which firings have no "
        "tick (missed), which ticks no firing (extra), which come too late or too early. Ctrl-C "
        "tells what there is so far, and the same command goes on. Exit 0: they agree; 1: they do "
        "not."
    )
    parser.add_argument("name", metavar="NAME", type=some, help="the schedule; it must be running")
    parser.add_argument(
        "--for", dest="span", metavar="SPAN", type=some, help="watch for so long, such as 48h"
    )
    parser.add_argument(
        "--since", metavar="T", type=some,
        help="instead: what has been since then, from the log (a time, a day, 10m, 2h)",
    )  # fmt: skip
    parser.add_argument(
        "--old", metavar="TYPE|FILE", type=some,
        help="what the old timer leaves: events of a type or pattern, or a file that it writes "
        "(for --since: one whose lines have times)",
    )  # fmt: skip
    parser.add_argument(
        "--run", metavar="CMD", type=some, help="instead: the command that it runs, run here"
    )
    parser.add_argument("--every", metavar="SPAN", type=some, help="--run: and again after that")
    parser.add_argument(
        "--tolerance", metavar="SPAN", type=some,
        help="what is later, or earlier, is told; default: a tenth of the interval",
    )  # fmt: skip
    parser.add_argument("--each", action="store_true", help="show each firing")
    parser.add_argument("--json", action="store_true", help="one JSON object; --each: one each")


def run(args: argparse.Namespace) -> int:
    """Do it. 0 they agree, 1 they do not, 65 there is no such schedule."""
    from hookline.app.comparison import Comparison
    from hookline.app.schedules import the_schedule
    from hookline.model.clock import SystemClock
    from hookline.model.duration import seconds

    if (args.span is None) == (args.since is None):
        raise Usage("say --for SPAN (from now on) or --since T (from the log)")
    home, clock = home_of(args), SystemClock()
    schedule = the_schedule(home, args.name)
    tolerance_us = None if args.tolerance is None else round(seconds(args.tolerance) * 1e6)
    comparison = Comparison(home, schedule, _old(args, home, clock), clock, tolerance_us)
    if args.since is not None:
        since = _moment(args.since, clock)
        until = clock.now()
        report = comparison.report_past(since)
    else:
        since, until, report = _watch(args, comparison, clock)
    _show(args, report, since, until)
    return 0 if report.agrees else 1


def _old(args: argparse.Namespace, home: "Home", clock: "Clock") -> "Old":
    from hookline.app.comparison import Command, old_timer
    from hookline.model.duration import seconds

    if (args.old is None) == (args.run is None) or (args.run is None) != (args.every is None):
        raise Usage("say --old TYPE|FILE, or --run CMD --every SPAN")
    if args.run is None:
        return old_timer(home, args.old, clock)
    return Command(args.run, seconds(args.every), clock)


def _moment(text: str, clock: "Clock") -> "datetime":
    from hookline.cli.times import stored_time
    from hookline.model.clock import parse_rfc3339

    return parse_rfc3339(stored_time(text, clock.now()) or "")


def _watch(
    args: argparse.Namespace, comparison: "Comparison", clock: "Clock"
) -> "tuple[datetime, datetime, Report]":
    from hookline.model.clock import rfc3339
    from hookline.model.duration import seconds

    end_on_term()
    span = timedelta(seconds=seconds(args.span))
    since, until, resumed = comparison.begin(span)
    step = max((until - since) / _PROGRESS, timedelta(seconds=1))
    if resumed:
        _tell(f"goes on with what began at {rfc3339(since)}, until {rfc3339(until)}")
    over = False
    try:
        while comparison.watch(until, clock.now() + step):
            if not args.json:
                report = comparison.report(since, clock.now())
                _tell(f"{report.old} of the old timer, {report.new} ticks, {report.matched} pairs")
        over = True
    except KeyboardInterrupt:
        _tell("stopped; the same command goes on")
    finally:
        comparison.stop(over=over)
    end = min(until, clock.now())
    return since, end, comparison.report(since, end)


def _show(args: argparse.Namespace, report: "Report", since: "datetime", until: "datetime") -> None:
    from hookline.model.clock import rfc3339

    if args.each:
        for line in _each(report):
            if args.json:
                print_json(line)
            else:
                print("  ".join(str(value) for value in line.values()))
    if args.json:
        print_json({**_value(report), "since": rfc3339(since), "until": rfc3339(until)})
        return
    print(f"{printable(args.name)} beside {printable(args.old or args.run)}")
    print(f"  from       {rfc3339(since)} to {rfc3339(until)}")
    print(f"  old timer  {report.old}{_apart(report.old_every_us)}")
    print(f"  ticks      {report.new}{_apart(report.new_every_us)}")
    print(f"  pairs      {report.matched}, ticks {_ms(report.offset_us)} after the old timer")
    ranks = (report.p50_us, report.p90_us, report.p99_us, report.max_us)
    print(f"  apart      {', '.join(map(_ms, ranks))} (50, 90, 99, 100 %)")
    for what in ("missed", "extra", "late", "early"):
        print(f"  {what:<9}  {_listed(getattr(report, what), each=args.each)}")
    print(_verdict(report))


def _verdict(report: "Report") -> str:
    if report.agrees:
        return "they agree"
    if not report.new:
        return "no ticks: is a scheduler running? hookline up, or hookline schedule run"
    if not report.old:
        return "the old timer was not seen: is it running, and is --old what it leaves?"
    return "they do not agree"


def _apart(every_us: int | None) -> str:
    from hookline.model.duration import text_of

    return "" if every_us is None else f", {text_of(round(every_us / 1e6, 3))} apart"


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f} ms"


def _listed(moments_us: tuple[int, ...], *, each: bool) -> str:
    if not moments_us:
        return "0"
    shown = "" if each else ", ".join(map(_time, moments_us[:SHOWN_MAX]))
    more = " …" if len(moments_us) > SHOWN_MAX and not each else ""
    return f"{len(moments_us)}  {shown}{more}".rstrip()


def _each(report: "Report") -> "list[dict[str, object]]":
    """Each firing with its verdict, in order."""
    late, early = set(report.late), set(report.early)
    lines: list[tuple[int, dict[str, object]]] = []
    for old_us, new_us in report.pairs:
        verdict = "late" if new_us in late else "early" if new_us in early else "matched"
        late_ms = (new_us - old_us - report.offset_us) / 1000
        told = {"verdict": verdict, "old": _time(old_us), "new": _time(new_us), "late_ms": late_ms}
        lines.append((old_us, told))
    lines += [(each, {"verdict": "missed", "old": _time(each)}) for each in report.missed]
    lines += [(each, {"verdict": "extra", "new": _time(each)}) for each in report.extra]
    return [line for _, line in sorted(lines, key=_first)]


def _first(line: "tuple[int, dict[str, object]]") -> int:
    return line[0]


def _value(report: "Report") -> dict[str, object]:
    return {
        "agrees": report.agrees,
        "old": report.old,
        "new": report.new,
        "matched": report.matched,
        "missed": list(map(_time, report.missed)),
        "extra": list(map(_time, report.extra)),
        "late": list(map(_time, report.late)),
        "early": list(map(_time, report.early)),
        "at_the_edge": report.at_the_edge,
        "tolerance_ms": report.tolerance_us / 1000,
        "offset_ms": report.offset_us / 1000,
        "p50_ms": report.p50_us / 1000,
        "p90_ms": report.p90_us / 1000,
        "p99_ms": report.p99_us / 1000,
        "max_ms": report.max_us / 1000,
        "old_every_s": None if report.old_every_us is None else report.old_every_us / 1e6,
        "new_every_s": None if report.new_every_us is None else report.new_every_us / 1e6,
    }


def _time(moment_us: int) -> str:
    from hookline.model.clock import rfc3339
    from hookline.schedule.recurrence import utc_time

    return rfc3339(utc_time(moment_us))


def _tell(text: str) -> None:
    print(f"hookline migrate compare: {printable(text)}", file=sys.stderr)
