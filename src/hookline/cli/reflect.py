"""`hookline reflect`: layers, which are jobs of several steps, and their runs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.options import refuse_others, some
from hookline.cli.output import Style, counted, print_json, print_table
from hookline.model.errors import BadData, Usage, printable, shown

if TYPE_CHECKING:
    import msgspec

    from hookline.app.layers import Job
    from hookline.log.home import Home
    from hookline.schedule.runs import Run

EXIT_NOT_DONE = 1
_SHOWN_MAX = 20
_EVERY_ACTION = frozenset({"action", "home", "json"})
_TAKES = {
    "jobs": frozenset[str](),
    "trigger": frozenset({"name", "dry_run", "target"}),
    "run": frozenset({"name", "event"}),
    "runs": frozenset({"name", "status", "since", "limit"}),
    "show": frozenset({"name"}),
    "check": frozenset({"name"}),
}
_NAMED = {"trigger": "the name of a layer", "run": "the name of a layer", "show": "the id of a run"}
_COLOURS = {"success": "green", "dry": "green", "partial": "yellow", "failed": "red"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Layers, the jobs in coordination/layers/. jobs: what there is, when each is due next and "
        "how it went last; trigger: run LAYER now and wait for it; runs: the runs of all, or of "
        "LAYER, the newest first; show: one RUN; check: whether all layers, or LAYER, can be run; "
        "run: for the handler of layer.due. Exit of trigger: 0 success, 1 failed or partial, 65 no "
        "such layer or its file is wrong, 75 it is running."
    )
    parser.add_argument(
        "action", nargs="?", choices=list(_TAKES), default="jobs", help="default: jobs"
    )
    parser.add_argument("name", nargs="?", metavar="LAYER|RUN", type=some, help="which one")
    parser.add_argument(
        "--dry-run", action="store_true",
        help="trigger: only find the targets (their command is run) and say what would be done",
    )  # fmt: skip
    parser.add_argument(
        "--target", metavar="JSON", type=some, action="append",
        help="trigger: for this target, and those given besides, instead of the layer's own",
    )  # fmt: skip
    parser.add_argument(
        "--event", metavar="FILE", type=some, help="run: the event that makes it due"
    )
    parser.add_argument(
        "--status", choices=["success", "partial", "failed", "running"], help="runs: only those"
    )
    parser.add_argument(
        "--since", metavar="T", type=some,
        help="runs: only those of then or later (a time, a day, 10m, 2h)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", metavar="N", type=int, help=f"runs: at most so many; default: {_SHOWN_MAX}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    refuse_others(args, args.action, _EVERY_ACTION | _TAKES[args.action])
    if args.action in _NAMED and args.name is None:
        raise Usage(f"{args.action} wants {_NAMED[args.action]}; see: hookline reflect --help")
    actions = {
        "jobs": _jobs, "trigger": _trigger, "run": _run, "runs": _runs, "show": _show,
        "check": _check,
    }  # fmt: skip
    return actions[args.action](args, home_of(args))


def _trigger(args: argparse.Namespace, home: "Home") -> int:
    from hookline.app.layers import runner
    from hookline.cli.ending import end_on_term
    from hookline.model.clock import SystemClock
    from hookline.schedule.layer_run import Occasion
    from hookline.schedule.layer_steps import check_target
    from hookline.schedule.layers import load_layer
    from hookline.schedule.runs import builtins

    layer = load_layer(home, args.name)
    if args.target and layer.plan.targets is None:
        raise Usage(f"layer {layer.name} has no targets: --target is not for it")
    targets = [check_target(each.encode("utf-8", "surrogateescape")) for each in args.target or ()]
    end_on_term()
    runs = runner(home, SystemClock(), _tell)
    if args.dry_run:
        ended = runs.preview(layer, targets)
    else:
        ended = runs.run(layer, Occasion("manual"), targets)
    if args.json:
        print_json(builtins(ended))
    else:
        print(_line(ended))
    return 0 if ended.status in ("success", "dry") else EXIT_NOT_DONE


def _tell(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


def _run(args: argparse.Namespace, home: "Home") -> int:
    """For the handler: silent when all is well. 65 when the run has failed: to try again is for a
    person to decide."""
    from hookline.app.layers import run_for
    from hookline.cli.ending import end_on_term
    from hookline.model.clock import SystemClock
    from hookline.schedule.layers import load_layer
    from hookline.schedule.runs import DONE

    if args.event is None:
        raise Usage("run wants --event FILE; a person says: hookline reflect trigger LAYER")
    layer = load_layer(home, args.name)
    end_on_term()
    ended = run_for(home, layer, Path(args.event), SystemClock())
    if ended.status in DONE:
        return 0
    first = ended.errors[0] if ended.errors else None
    why = f"{_where(first.step, first.target)}{first.error}" if first else ended.reason
    raise BadData(f"layer {layer.name} failed: {why}; hookline reflect show {ended.run}")


def _jobs(args: argparse.Namespace, home: "Home") -> int:
    from msgspec.json import decode, encode

    from hookline.app.layers import jobs
    from hookline.schedule.runs import builtins

    found = jobs(home)
    if args.json:
        for job in found.jobs:
            last = builtins(job.last) if job.last else None
            print_json({**decode(encode(job)), "last": last})
    else:
        print_table(
            ["LAYER", "SCHEDULE", "WHEN", "NEXT", "LAST RUN", "STATUS"],
            [row for job in found.jobs for row in _job_rows(job)],
        )
        if not found.jobs:
            print(f"no layers in {home.layers}", file=sys.stderr)
    for each in found.wrong:
        print(f"hookline reflect: {printable(each)}", file=sys.stderr)
    return 65 if found.wrong else 0


def _job_rows(job: "Job") -> list[tuple[str, ...]]:
    last = (job.last.started_at[:19] + "Z", _status(job.last)) if job.last else ("never", "")
    if not job.schedules:
        return [(job.layer, "none", "when asked", "", *last)]
    return [
        (
            job.layer, each.schedule, each.when,
            "paused" if each.paused else f"{each.next_local} {each.timezone}" if each.next else "",
            *last,
        )
        for each in job.schedules
    ]  # fmt: skip


def _status(ended: "Run") -> str:
    return f"{ended.status}, {ended.reason}" if ended.reason else ended.status


def _runs(args: argparse.Namespace, home: "Home") -> int:
    from itertools import islice

    from hookline.cli.times import stored_time
    from hookline.model.clock import SystemClock
    from hookline.schedule.runs import builtins, runs

    limit = _SHOWN_MAX if args.limit is None else args.limit
    if limit < 1:
        raise Usage("--limit takes a number from 1 on; see: hookline reflect --help")
    since = stored_time(args.since, SystemClock().now())
    found = islice(
        (
            each for each in runs(home, args.name, since)
            if args.status in (None, each.status)
        ),
        limit,
    )  # fmt: skip
    if args.json:
        for each in found:
            print_json(builtins(each))
        return 0
    print_table(
        ["RUN", "LAYER", "TRIGGER", "STARTED", "TOOK", "TARGETS", "STATUS"],
        [
            (
                each.run, each.layer, each.schedule or each.trigger, each.started_at[:19] + "Z",
                f"{each.duration_s:.1f} s" if each.completed_at else "", _targets(each),
                _status(each),
            )
            for each in found
        ],
    )  # fmt: skip
    return 0


def _targets(ended: "Run") -> str:
    if ended.targets is None:
        return ""
    return f"{ended.targets.processed} of {ended.targets.matched}"


def _show(args: argparse.Namespace, home: "Home") -> int:
    from hookline.schedule.runs import builtins, runs

    found = next((each for each in runs(home) if each.run == args.name), None)
    if found is None:
        raise BadData(f"no run {shown(args.name)}: hookline reflect runs lists them")
    if args.json:
        print_json(builtins(found))
        return 0
    print(_line(found))
    rows = (
        ("trigger", " ".join(each for each in (found.trigger, found.schedule) if each)),
        ("tick", f"{found.tick.id} ({found.tick.source})" if found.tick else ""),
        ("version", found.layer_hash),
        ("started", found.started_at),
        ("completed", found.completed_at),
        ("targets", _targets(found)),
    )
    for name, value in rows:
        if value:
            print(printable(f"  {name:<10} {value}"))
    for step in found.steps:
        ended = f"signal {step.signal}" if step.signal else f"exit {step.exit}"
        how = f"{ended}, {step.ms:.0f} ms, {step.output_bytes} bytes printed"
        if step.exit is None and step.signal is None:
            how = "not run"
        print(printable(f"  {_where(step.step, step.target)}{how}"))
    for each in found.errors:
        print(printable(f"  error: {_where(each.step, each.target)}{each.error}"))
    return 0


def _line(ended: "Run") -> str:
    """A run in a line."""
    status = Style(sys.stdout).paint(ended.status, _COLOURS.get(ended.status, "cyan"))
    parts = [f"{ended.layer}: {status}"]
    if ended.reason:
        parts.append(printable(ended.reason))
    if ended.targets is not None:
        left = f", {ended.targets.failed} failed" if ended.targets.failed else ""
        parts.append(f"{_targets(ended)} targets{left}")
    if ended.steps:
        parts.append(f"{counted(len(ended.steps), 'step')} in {ended.duration_s:.1f} s")
    if ended.status != "dry":
        parts.append(f"run {ended.run}")
    return "; ".join(parts)


def _where(step: str, target: "msgspec.Raw") -> str:
    return f"{step} {bytes(target).decode()}".rstrip() + ": "


def _check(args: argparse.Namespace, home: "Home") -> int:
    from hookline.schedule.layers import load_layer, load_layers

    layers, wrong = ([load_layer(home, args.name)], []) if args.name else load_layers(home)
    for layer in layers:
        steps = counted(len(layer.plan.steps), "step")
        if args.json:
            print_json({"layer": layer.name, "hash": layer.hash, "steps": len(layer.plan.steps)})
        else:
            print(f"{layer.name}: {steps}, version {layer.hash}")
    for each in wrong:
        if args.json:
            print_json({"error": each})
        print(f"hookline reflect: {printable(each)}", file=sys.stderr)
    return 65 if wrong else 0
