"""`hookline schedule`: what is due when, and whoever appends it."""

import argparse
import sys
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.options import refuse_others, some
from hookline.cli.output import counted, print_json, print_table, tell
from hookline.model.errors import Usage, printable, shown

if TYPE_CHECKING:
    from hookline.log.home import Home
    from hookline.schedule.drift import Drift
    from hookline.schedule.kernel import Memory, Tick
    from hookline.schedule.schedule import Schedule

ACTIONS = {"export": ("hookline.cli.schedule_export", "the schedules as a crontab or timers")}
PLANNED_MAX = 1000
"""How many ticks `plan` shows on a terminal; --json has them all."""
SPAN_US_MAX = 100 * 366 * 86_400_000_000
_EVERY_ACTION = frozenset({"action", "home", "json"})
_TAKES = {
    "list": frozenset({"names"}),
    "plan": frozenset({"names", "span"}),
    "trigger": frozenset({"names"}),
    "pause": frozenset({"names", "reason"}),
    "resume": frozenset({"names"}),
    "drift": frozenset({"names", "since", "simulate"}),
    "run-due": frozenset({"verbose"}),
    "run": frozenset({"verbose"}),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Schedules of coordination/config/schedules.toml: what is due when. list: what there is; "
        "plan: what will fire; trigger: append a tick of NAME now; pause, resume: NAME; drift: how "
        "late ticks were; run: append each tick when it is due, until Ctrl-C; run-due: append what "
        "is due and exit, for cron. hookline schedule export --help: back to cron or systemd."
    )
    parser.add_argument(
        "action", nargs="?", choices=list(_TAKES), default="list", help="default: list"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", type=some, help="a schedule's name")
    parser.add_argument(
        "--for", dest="span", metavar="SPAN", type=some,
        help="plan: how far ahead, such as 1h; default: 24h",
    )  # fmt: skip
    parser.add_argument("--reason", metavar="TEXT", type=some, help="pause: why")
    parser.add_argument(
        "--since", metavar="T", type=some,
        help="drift: only ticks of then or later (a time, a day, 10m, 2h); default: 24h",
    )  # fmt: skip
    parser.add_argument(
        "--simulate", metavar="SPAN", type=some,
        help="drift: of a run of so long in virtual time, with random delays, such as 24h",
    )  # fmt: skip
    parser.add_argument("--verbose", "-v", action="store_true", help="run: show each tick")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Do it. 0 done, 65 no such schedule, 75 when another scheduler runs, 78 bad configuration."""
    refuse_others(args, args.action, _EVERY_ACTION | _TAKES[args.action])
    home = home_of(args)
    if args.action in ("trigger", "pause", "resume"):
        if not args.names:
            raise Usage(f"{args.action} wants the name of a schedule: hookline schedule list")
        return _ask(args, home)
    actions = {"list": _list, "plan": _plan, "drift": _drift, "run": _run, "run-due": _run_due}
    return actions[args.action](args, home)


def _list(args: argparse.Namespace, home: "Home") -> int:
    from hookline.app.schedules import load_timetable, remembered

    timetable = load_timetable(home)
    schedules, state = _chosen(args, timetable.schedules), remembered(home, timetable)
    if args.json:
        for name, schedule in schedules.items():
            print_json(_listed(schedule, state[name]))
        return 0
    rows = [
        (
            name, str(schedule.when), schedule.event, _state(state[name], with_reason=True),
            _time(state[name].fires_us), schedule.about,
        )
        for name, schedule in schedules.items()
    ]  # fmt: skip
    print_table(["SCHEDULE", "WHEN", "EVENT", "STATE", "NEXT", "ABOUT"], rows)
    if not schedules:
        print(f"no schedules: write them in {home.config / 'schedules.toml'}", file=sys.stderr)
    return 0


def _listed(schedule: "Schedule", memory: "Memory") -> dict[str, object]:
    return {
        "name": schedule.name,
        "when": str(schedule.when),
        "event": schedule.event,
        "about": schedule.about,
        "state": _state(memory),
        "next": _time(memory.fires_us) or None,
        "nominal": _time(memory.nominal_us) or None,
        "decided": _time(memory.since_us),
        "missed": memory.missed,
        "seen": memory.seen,
        "factor": memory.speed,
        "reason": memory.pause_reason if memory.paused else memory.speed_reason,
        "catch_up": schedule.catch_up,
        "overlap": schedule.overlap,
        "adaptive": schedule.adaptive,
    }


def _state(memory: "Memory", *, with_reason: bool = False) -> str:
    if memory.paused:
        return f"paused: {memory.pause_reason}" if with_reason and memory.pause_reason else "paused"
    if memory.deferred:
        return "deferred"
    if memory.speed != 1.0:
        return f"at {memory.speed:g}x"
    return "on"


def _plan(args: argparse.Namespace, home: "Home") -> int:
    from itertools import islice

    from hookline.app.schedules import KnownHandlers, load_timetable, remembered
    from hookline.model.clock import SystemClock
    from hookline.schedule.maintenance import is_maintenance
    from hookline.schedule.plan import plan
    from hookline.schedule.recurrence import microseconds

    span_us = _span_us(args.span or "24h")
    timetable = load_timetable(home)
    schedules, state = _chosen(args, timetable.schedules), remembered(home, timetable)
    handlers = KnownHandlers(home)()
    wakes = {
        name: [handler.name for handler in handlers if handler.wants(schedule.event)]
        for name, schedule in schedules.items()
    }
    now_us = microseconds(SystemClock().now())
    found = plan(schedules, state, now_us, now_us + span_us)
    if args.json:
        for each in found:
            print_json(
                {
                    "name": each.name,
                    "nominal": _time(each.nominal_us),
                    "fires_at": _time(each.fires_us),
                    "event": schedules[each.name].event,
                    "handlers": wakes[each.name],
                    "notes": list(each.notes),
                }
            )
        return 0
    shown_ones = list(islice(found, PLANNED_MAX))
    print_table(
        ["FIRES AT", "SCHEDULE", "EVENT", "HANDLERS", "NOTES"],
        [
            (
                _time(each.fires_us), each.name, schedules[each.name].event,
                " ".join(wakes[each.name]) or "none", "; ".join(each.notes),
            )
            for each in shown_ones
        ],
    )  # fmt: skip
    if next(found, None) is not None:
        print(f"and more than {PLANNED_MAX}: --json prints all, --for 10m fewer", file=sys.stderr)
    for name in schedules:
        if state[name].paused:
            print(f"{name} is paused: hookline schedule resume {name}", file=sys.stderr)
    if is_maintenance(home):
        print(f"in maintenance nothing fires until {home.maintenance} is gone", file=sys.stderr)
    return 0


def _span_us(text: str) -> int:
    from hookline.model.duration import seconds
    from hookline.model.errors import BadData
    from hookline.schedule.recurrence import SECOND_US

    try:
        span_us = round(seconds(text) * SECOND_US)
    except BadData as wrong:
        raise Usage(str(wrong)) from wrong
    if span_us > SPAN_US_MAX:
        raise Usage(f"{shown(text)} is longer than a hundred years")
    return span_us


def _chosen(args: argparse.Namespace, schedules: "dict[str, Schedule]") -> "dict[str, Schedule]":
    from hookline.model.errors import BadData

    for name in args.names:
        if name not in schedules:
            there = ", ".join(sorted(schedules)) or "none"
            raise BadData(f"no schedule {shown(name)}: there are {there} (hookline schedule list)")
    return {name: schedules[name] for name in args.names} if args.names else schedules


def _ask(args: argparse.Namespace, home: "Home") -> int:
    from hookline.app.schedules import load_schedules, set_paused, trigger

    for name in _chosen(args, load_schedules(home)):
        if args.action == "trigger":
            event = trigger(home, name)
            said = f"appended {event.type} of {name}: {event.id}"
        else:
            paused = args.action == "pause"
            event = set_paused(home, name, paused=paused, reason=args.reason or "")
            said = f"{args.action}d {name}"
        if args.json:
            print_json({"schedule": name, "event": event.type, "id": event.id})
        else:
            print(said)
    return 0


def _drift(args: argparse.Namespace, home: "Home") -> int:
    from msgspec import to_builtins

    from hookline.app.schedules import load_schedules, simulated, told

    schedules = _chosen(args, load_schedules(home))
    if args.simulate:
        if args.since:
            raise Usage("--since is about real ticks, and --simulate about none")
        found = simulated(schedules, _span_us(args.simulate))
    else:
        found = told(home, schedules, _since(args))
    if args.json:
        for each in found:
            print_json(to_builtins(each))
        return 0
    print_table(
        ["SCHEDULE", "TICKS", "P50", "P90", "P99", "MAX", "COALESCED", "MISSED", "HOURS", "DRIFT"],
        [_drift_row(each) for each in found],
    )
    if not found:
        print("no ticks yet: hookline schedule run appends them", file=sys.stderr)
    return 0


def _drift_row(each: "Drift") -> tuple[object, ...]:
    late = [f"{ms:.1f} ms" for ms in (each.p50_ms, each.p90_ms, each.p99_ms, each.max_ms)]
    return (
        each.name, each.ticks, *late, each.coalesced, each.missed, f"{each.hours:.2f}",
        f"{each.drift_ms:g} ms",
    )  # fmt: skip


def _since(args: argparse.Namespace) -> str | None:
    from hookline.cli.times import stored_time
    from hookline.model.clock import SystemClock

    return stored_time(args.since or "24h", SystemClock().now())


def _run(args: argparse.Namespace, home: "Home") -> int:
    from functools import partial

    from hookline.app.environment import notifier
    from hookline.app.schedules import overdue_layers, scheduler

    running = scheduler(home, _Show(verbose=args.verbose, json=args.json))
    with running.signals():
        try:
            running.make_up(partial(overdue_layers, home))
            running.run(notifier())
        finally:
            running.close()
    if not args.json:
        tell(f"appended: {counted(running.ticks, 'tick')}")
    return 0


def _run_due(args: argparse.Namespace, home: "Home") -> int:
    from hookline.app.schedules import scheduler

    running = scheduler(home, _Show(verbose=args.verbose, json=args.json))
    try:
        # Of a long time that is made up for, each turn appends a part.
        while running.turn() <= 0 and not running.troubled:
            pass
    finally:
        running.close()
    return 75 if running.troubled else 0


class _Show:
    """Shows what a scheduler does."""

    def __init__(self, *, verbose: bool, json: bool) -> None:
        self._verbose, self._json = verbose, json

    def ticked(self, schedule: "Schedule", tick: "Tick", late_ms: float) -> None:
        """A tick lies in the log."""
        if self._json:
            print_json(
                {
                    "schedule": tick.schedule,
                    "event": schedule.event,
                    "id": tick.id,
                    "nominal": _time(tick.nominal_us),
                    "late_ms": round(late_ms, 3),
                    "reason": tick.reason,
                }
            )
        elif self._verbose:
            line = f"{_time(tick.nominal_us)}  {schedule.event}  {tick.schedule}"
            tell(f"{line}  {late_ms:.1f} ms late, {tick.reason}")

    def noted(self, text: str) -> None:
        """Something that a person may have to see to."""
        tell(f"hookline schedule: {printable(text)}")


def _time(moment_us: int | None) -> str:
    from hookline.model.clock import rfc3339
    from hookline.schedule.recurrence import utc_time

    return "" if moment_us is None else rfc3339(utc_time(moment_us))
