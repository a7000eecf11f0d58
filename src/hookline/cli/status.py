"""`hookline status`: the health of a home on one screen."""

import argparse
import sys
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.output import Style, counted, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hookline.app.punctuality import MaintenanceView, SchedulerView
    from hookline.app.survey import ReplayView, Survey
    from hookline.log.home import Home
    from hookline.model.clock import Clock


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "The health of a home on one screen: whether somebody dispatches and runs the schedules, "
        "what lies in the logs, what waits, what failed. Exits 0 when all is well, 75 when "
        "something needs you: also when events, replays or files in the drop box wait and nobody "
        "dispatches, and when schedules are not run."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show it."""
    from msgspec import to_builtins

    from hookline.app.punctuality import maintenance_of, punctuality
    from hookline.app.survey import open_replays, survey
    from hookline.model.clock import SystemClock

    home, clock = home_of(args), SystemClock()
    found, replays = survey(home), open_replays(home)
    scheduler, maintenance = punctuality(home, clock), maintenance_of(home, clock)
    needs = list(_needs(home, clock, found, replays))
    if scheduler.wrong:
        needs.append(f"{scheduler.wrong}: {scheduler.next}")
    if args.json:
        more = {"replays": replays, "scheduler": scheduler, "maintenance": maintenance}
        print_json({**to_builtins(found), **to_builtins(more), "needs": needs})
        return 75 if needs else 0
    style = Style(sys.stdout)
    who = f"process {found.dispatcher}" if found.dispatcher is not None else "nobody"
    print(f"{style.bold('Home')}        {found.root}")
    print(f"{style.bold('Dispatcher')}  {who}")
    print(f"{style.bold('Scheduler')}   {_schedules(scheduler)}")
    if maintenance is not None:
        print(f"{style.paint('Maintenance', 'yellow')} {_since(maintenance)}")
    dropped = counted(found.drop_box, "file")
    print(f"{style.bold('Drop box')}    {dropped}    rejected {found.rejected}")
    print()
    print_table(
        ["DOMAIN", "LIVE BYTES", "CLOSED SEGMENTS"],
        [(each.domain, each.bytes, each.segments) for each in found.domains],
    )
    print()
    print_table(
        ["HANDLER", "STATE", "BEHIND", "WAITING", "RUNNING", "DEAD"],
        [
            (
                each.name,
                each.state,
                f"{each.behind_bytes} B",
                each.waiting,
                each.running,
                each.dead_letters,
            )
            for each in found.handlers
        ],
    )
    for each in replays:
        if each.is_asked_for:
            so_far = f"{counted(each.asked, 'event')} so far"
            print(f"\nthe replay {each.replay} to {each.handler} goes on, {so_far}")
    for need in needs:
        print(f"\n{style.paint(need, 'yellow')}", end="")
    print("" if needs else f"\n{style.paint('all is well', 'green')}")
    return 75 if needs else 0


def _needs(
    home: "Home", clock: "Clock", found: "Survey", replays: "Sequence[ReplayView]"
) -> "Iterator[str]":
    """What needs somebody, and what helps."""
    from hookline.app.survey import deliverable, gone, stopped
    from hookline.dispatch.index_check import journal_differs

    if found.dispatcher is None and deliverable(found, clock.now().timestamp()):
        yield "events wait and nobody dispatches: hookline up, or hookline dispatch --once"
    if found.dead_letters:
        yield f"{counted(found.dead_letters, 'dead letter')}: hookline dead-letters list"
    for handler in found.handlers:
        yield from stopped(handler.name, handler.paused, handler.held)
    yield from (f"refused: {reason}" for reason in found.refused)
    yield from gone(home, found)
    for each in replays:
        if not each.is_asked_for:
            yield (
                f"the replay {each.replay} to {each.handler} is not over, "
                f"{counted(each.asked, 'event')} asked for: {each.next}"
            )
    if lost := journal_differs(home):
        yield f"{lost.how}: {lost.next}"


def _schedules(view: "SchedulerView") -> str:
    who = f"process {view.process}" if view.process is not None else "nobody"
    if view.state == "stalled":
        who += ", stalled"
    said = f"{who}    {counted(view.schedules, 'schedule')}"
    if view.last_tick is not None:
        said += f"    last tick {view.last_tick} of {view.last_schedule}"
    return said


def _since(view: "MaintenanceView") -> str:
    minutes = round(view.age_s / 60)
    why = f": {view.reason}" if view.reason else ""
    return f"since {view.since}, {counted(minutes, 'minute')}{why} (rm {view.marker} ends it)"
