"""`hookline selftest`: the bus put to the test on the user's own disk."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.output import Style, print_json
from hookline.model.errors import OwnBug, Usage, printable

if TYPE_CHECKING:
    from hookline.app.selftest.place import Place
    from hookline.app.selftest.report import Report
    from hookline.app.selftest.storm import Plan, Tally

MINUTES = 1.0
SEEDS = 1 << 32
NICENESS = 5
SHOWN_PROBLEMS = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Try out what the bus promises, in a throw-away home on your own file system; your events "
        "are not touched. By itself a check of some seconds. With --chaos a storm: five writers "
        "and a dispatcher are killed (-9) all the time while the log is rotated, torn and "
        "compressed; then everything is drained, and each event must have been delivered or be a "
        "dead letter, in order. Takes at most a few hundred events a second, 512 MiB of disk and "
        "what the other programs leave of the processor. Exits 70 when a promise was broken; the "
        "home is kept then."
    )
    parser.add_argument("--chaos", action="store_true", help="the storm")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help=f"how long it rages; default: {MINUTES:g}"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="draw again what was drawn")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="the folder to test in; default: the home's"
    )
    parser.add_argument("--keep", action="store_true", help="do not remove the throw-away home")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a check, or one for the storm"
    )


def run(args: argparse.Namespace) -> int:
    """Test, and say what came of it. 0: all promises were kept."""
    import os

    from hookline.app.selftest.place import place_below

    if not args.chaos and (args.seed is not None or args.minutes is not None):
        raise Usage("--seed and --minutes go with --chaos; see: hookline selftest --help")
    args.minutes = MINUTES if args.minutes is None else args.minutes
    if not 0 < args.minutes <= 24 * 60:
        raise Usage("--minutes is more than 0 and at most 1440; see: hookline selftest --help")
    end_on_term()
    os.nice(NICENESS)
    with place_below(args.dir or home_of(args).coordination, keep=args.keep) as place:
        if args.chaos:
            _storm(args, place)
        else:
            _check(args, place)
        if place.keep:
            print(f"kept: {printable(str(place.home.root))}", file=sys.stderr)
    return 0


def _check(args: argparse.Namespace, place: "Place") -> None:
    from hookline.app.selftest.check import check

    style = Style(sys.stdout)
    findings = []
    for finding in check(place.home):
        findings.append(finding)
        if args.json:
            print_json(finding._asdict())
        else:
            mark = style.paint("ok   ", "green") if finding.well else style.paint("wrong", "red")
            print(f"{mark}  {finding.check}: {finding.found}", flush=True)
    wrong = [each.found for each in findings if not each.well]
    if wrong:
        _broken(place, wrong, "hookline selftest")


def _storm(args: argparse.Namespace, place: "Place") -> None:
    import random

    import msgspec

    from hookline.app.selftest.place import blamed
    from hookline.app.selftest.report import judge
    from hookline.app.selftest.storm import Plan, Storm

    seed = random.randrange(SEEDS) if args.seed is None else args.seed  # noqa: S311  # dice
    plan = Plan(seed=seed, lasts_s=args.minutes * 60)
    print(f"seed {seed}, in {printable(str(place.home.root))}", file=sys.stderr)
    with blamed(place.home):
        tally = Storm(place.home, plan, _progress(plan)).run()
        report = judge(place.home, plan, tally)
    if args.json:
        print_json(msgspec.to_builtins(report))
    else:
        _show(report)
    if report.problems:
        where = f" --dir {shlex.quote(str(place.home.root.parent))}"
        again = f"hookline selftest --chaos --minutes {args.minutes:g} --seed {seed}{where}"
        _broken(place, report.problems, again)


def _progress(plan: "Plan"):  # type: ignore[no-untyped-def]  # Callable[[Tally], None], imported late
    """What shows how it goes: a line on a terminal, else nothing."""
    if not sys.stderr.isatty():
        return lambda _: None

    def show(tally: "Tally") -> None:
        passed_s = time.monotonic() - tally.begun_s
        doing = f"{passed_s:.0f} of {plan.lasts_s:.0f} s"
        if tally.raged_s:
            doing = "draining"
        print(
            f"\r{doing}: {tally.acknowledged} events, {len(tally.kills)} dispatchers and "
            f"{tally.writer_kills} writers killed, {tally.rotations} rotations\x1b[K",
            end="",
            file=sys.stderr,
            flush=True,
        )

    return show


def _broken(place: "Place", problems: list[str], again: str) -> NoReturn:
    from hookline.app.selftest.place import see_to_room

    see_to_room(place.home)
    place.keep = True
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    raise OwnBug(f"{problems[0]}{more}; kept: {place.home.root}; again: {again}")


def _show(report: "Report") -> None:
    from hookline.app.selftest.storm import DISK_BYTES_MAX

    r = report
    style = Style(sys.stdout)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    early = "; ended early, since that is enough" if r.disk_bytes > DISK_BYTES_MAX else ""
    rows: list[tuple[str, object, str]] = [
        ("acknowledged", r.acknowledged, f"events by 5 writers in {r.raged_s:.0f} s"),
        ("delivered", r.delivered, f"to 4 handlers, the last after {r.drained_s:.1f} s of calm"),
        ("dead letters", r.dead_lettered, f"{r.replayed} of them replayed"),
        ("lost", r.lost, ""),
        ("doubled", r.doubled, "run again since a kill came before their end was written down"),
        ("out of order", r.order_violations, ""),
        ("torn lines", r.torn, f"{r.quarantined} of them set aside"),
        (
            "dispatchers",
            r.dispatcher_kills,
            f"killed, {r.dispatcher_stops} stopped for a while, {r.dispatcher_terms} told to end",
        ),
        ("writers", r.writer_kills, "killed"),
        ("rotations", r.rotations, f"{r.sealed} segments compressed"),
        (
            "recovery",
            f"{r.recovery_s_max:.2f} s",
            f"at most ({r.recovery_s_median:.2f} s median), from start to first run",
        ),
        ("disk", f"{r.disk_bytes / (1 << 20):.1f} MiB", f"{r.file_system}{early}"),
        ("durability", "batch", "and `each` for one writer; kills were tried, no power cut"),
    ]
    for name, figure, text in rows:
        print(f"{name:<14}{figure!s:>10}  {text}".rstrip())
    for problem in r.problems[:SHOWN_PROBLEMS]:
        print(style.paint(f"broken: {problem}", "red"))
    if not r.problems:
        print(style.paint("all promises were kept", "green"))
