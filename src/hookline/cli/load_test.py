"""`hookline load-test`: the figures of a load test that scripts/load-test-workers.sh runs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.output import Style, print_json
from hookline.model.errors import printable

if TYPE_CHECKING:
    from hookline.app.load_account import Account
    from hookline.app.load_report import LoadReport, Spread

LOOK_S = 0.5
SAMPLE_S = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "What a load test of workers has come to, from the folder that "
        "scripts/load-test-workers.sh --keep has left, the logs and the journal. Exit: 0 all "
        "heartbeats are accounted for, 1 one was lost or late, 65 it is no such folder."
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder of the run")
    parser.add_argument(
        "--watch", action="store_true",
        help="for the script: until TERM, lines of how many were said, logged and delivered to "
        "all, and how many workers were told to be silent",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Watch, or report. 0 all is well, 1 something was lost or late."""
    from hookline.app.load_account import Account

    account = Account(home_of(args), args.folder)
    if args.watch:
        end_on_term()
        _watch(account, args.folder)
    from hookline.app.load_report import report_of

    account.tick()
    report = report_of(account)
    if args.json:
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        _show(report)
    return 1 if report.problems else 0


def _watch(account: "Account", folder: Path) -> None:
    """Say how it goes, and write down what it takes, for ever."""
    import time

    from hookline.app.load_watch import sample

    sample_at_s = 0.0
    while True:
        if time.monotonic() >= sample_at_s:
            sample_at_s = time.monotonic() + SAMPLE_S
            pids = folder / "workers"
            rows = pids.read_text().splitlines() if pids.exists() else []
            with (folder / "usage").open("a") as usage:
                print(sample(account, [int(row.split()[1]) for row in rows]), file=usage)
        account.tick()
        delivered = min(
            (len({d.beat for d in each}) for each in account.delivered.values()), default=0
        )
        told = len({each.worker for each in account.told})
        print(len(account.said), len(account.beats), delivered, told, flush=True)
        time.sleep(LOOK_S)


def _show(report: "LoadReport") -> None:
    style = Style(sys.stdout)

    def row(name: str, value: object, about: str = "") -> None:
        print(f"{name:<14}{value:>10}  {about}".rstrip())

    row(
        "workers", report.workers, f"{report.per_s:g} heartbeats a second for {report.lasted_s:g} s"
    )
    row("said", report.said, f"{report.failed} of them in vain" if report.failed else "")
    row("logged", report.logged)
    if report.replaced:
        row("replaced", report.replaced, "in the drop box, by newer ones")
    row("lost", report.lost)
    row("doubled", report.doubled)
    row("out of order", report.disorder)
    if report.emit_us:
        row("emit", *_spread(report.emit_us, "us"))
    for each in report.deliveries:
        row("delivered", each.delivered, f"to {each.handler}; {each.missing} missing, "
            f"{each.dead_letters} dead letters, {each.disorder} out of order, "
            f"{each.doubled} run again")  # fmt: skip
        if each.latency_ms:
            row("  latency", *_spread(each.latency_ms, "ms"))
    if not report.served:
        row("delivered", 0, "no dispatcher serves this home")
    if report.silent:
        _show_silent(report)
    row("false alarms", report.false_alarms)
    if report.usage and report.served:
        took = report.usage
        row(
            "dispatcher",
            f"{took.dispatcher_cpu:.0%}",
            f"of a processor, {took.dispatcher_mib:g} MiB; with its handlers "
            f"{took.with_handlers_cpu:.0%}, {took.with_handlers_mib:g} MiB",
        )
    if report.usage:
        row("workers' cpu", f"{report.usage.workers_cpu:.0%}", "of a processor, all of them")
    for problem in report.problems:
        print(style.paint(printable(problem), "red"))
    if not report.problems:
        print(style.paint("all heartbeats are accounted for", "green"))


def _show_silent(report: "LoadReport") -> None:
    told = [each.told_after_s for each in report.silent if each.told_after_s is not None]
    after = (
        f", after at most {max(told):.3f} s (threshold {report.threshold_s:g} s)" if told else ""
    )
    print(f"{'silent':<14}{len(report.silent):>10}  {len(told)} of them told of{after}")


def _spread(spread: "Spread", unit: str) -> tuple[str, str]:
    def shown(figure: float) -> str:
        return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"

    return (
        f"{shown(spread.p50)} {unit}",
        f"p50; p90 {shown(spread.p90)}, p99 {shown(spread.p99)}, at most {shown(spread.max)}",
    )
