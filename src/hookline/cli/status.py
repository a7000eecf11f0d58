"""`hookline status`: the health of a home on one screen."""

import argparse
import sys

from hookline.app.root import home_of
from hookline.cli.output import Style, counted, print_json, print_table


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "The health of a home on one screen: whether somebody dispatches, what lies in the logs, "
        "what waits, what failed. Exits 0 when all is well, 75 when something needs you: also when "
        "events, replays or files in the drop box wait and nobody dispatches."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show it."""
    from msgspec import to_builtins

    from hookline.app.survey import Survey, deliverable, gone, open_replays, stopped, survey
    from hookline.dispatch.index_check import journal_differs
    from hookline.model.clock import SystemClock

    home = home_of(args)
    found: Survey = survey(home)
    needs: list[str] = []
    if found.dispatcher is None and deliverable(found, SystemClock().now().timestamp()):
        needs.append("events wait and nobody dispatches: hookline up, or hookline dispatch --once")
    if found.dead_letters:
        needs.append(f"{counted(found.dead_letters, 'dead letter')}: hookline dead-letters list")
    for handler in found.handlers:
        needs += stopped(handler.name, handler.paused, handler.held)
    needs += [f"refused: {reason}" for reason in found.refused]
    needs += gone(home, found)
    replays = open_replays(home)
    needs += [
        f"the replay {each.replay} to {each.handler} is not over, "
        f"{counted(each.asked, 'event')} asked for: {each.next}"
        for each in replays
        if not each.is_asked_for
    ]
    if lost := journal_differs(home):
        needs.append(f"{lost.how}: {lost.next}")
    if args.json:
        print_json({**to_builtins(found), "replays": to_builtins(replays), "needs": needs})
        return 75 if needs else 0
    style = Style(sys.stdout)
    who = f"process {found.dispatcher}" if found.dispatcher is not None else "nobody"
    print(f"{style.bold('Home')}        {found.root}")
    print(f"{style.bold('Dispatcher')}  {who}")
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
