"""`hookline migrate cron`: schedules and handlers of a crontab or of systemd's timers."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.options import some
from hookline.cli.output import Style, counted, on_terminal, print_json
from hookline.model.errors import Usage, printable

if TYPE_CHECKING:
    from hookline.app.moving import Planned
    from hookline.log.home import Home
    from hookline.schedule.moving import Entry, Left


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Turn a crontab, or timers of systemd, into tables of coordination/config/schedules.toml "
        "and handlers that run the commands as they were run. Shows what it would write; with "
        "--write it appends the tables and writes the handlers, and overwrites nothing. What "
        "cannot be said in a schedule is told and left where it is. The crontab itself and "
        "systemd are not touched."
    )
    parser.add_argument(
        "source", nargs="*", metavar="FILE|UNIT", type=some,
        help="a crontab, - for standard input, default: crontab -l; with --systemd: timers, by "
        "file or name, and files of their services",
    )  # fmt: skip
    parser.add_argument(
        "--system", action="store_true",
        help="the crontab has a column for users, as /etc/crontab, which is the default then",
    )  # fmt: skip
    parser.add_argument(
        "--systemd", action="store_true",
        help="timers of systemd; default: those in /etc/systemd/system and ~/.config/systemd/user",
    )  # fmt: skip
    parser.add_argument(
        "--timezone", metavar="ZONE", type=some,
        help="by which the times are meant; default: that of this machine",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="write it")
    parser.add_argument(
        "--ticks-only", action="store_true",
        help="no handlers yet: the old timer runs on, and migrate compare watches both",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object an entry")


def run(args: argparse.Namespace) -> int:
    """Do it. 65 when something was left where it is."""
    from hookline.app import moving
    from hookline.schedule.moving import Left

    if args.system and args.systemd:
        raise Usage("--system is for crontabs, --systemd for timers: give one of them")
    home = home_of(args)
    found = list(moving.planned(home, _entries(args)))
    plan = [each for each in found if not isinstance(each, Left)]
    left = [each for each in found if isinstance(each, Left)]
    written = moving.write(home, plan, ticks_only=args.ticks_only) if args.write else []
    if args.json:
        for each in found:
            print_json(_value(each, written=args.write))
    elif args.write:
        for path in written:
            print(f"wrote {printable(path)}")
    else:
        _show(home, plan, ticks_only=args.ticks_only)
    _tell(args, plan, left)
    return 65 if left else 0


def _entries(args: argparse.Namespace) -> "list[Entry | Left]":
    from hookline.app import moving

    zone = args.timezone or moving.machine_zone()
    if args.systemd:
        return moving.timer_entries(args.source, zone=zone)
    if len(args.source) > 1:
        raise Usage("name one crontab (or --systemd before the names of timers)")
    source = args.source[0] if args.source else None
    if source == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
        return moving.crontab_entries(None, text, system=args.system, zone=zone)
    path = None if source is None else Path(source)
    return moving.crontab_entries(path, None, system=args.system, zone=zone)


def _show(home: "Home", plan: "Sequence[Planned]", *, ticks_only: bool) -> None:
    """Everything that would be written, as it would be."""
    style = Style(sys.stdout)
    tables = [each.move.tables[name] for each in plan for name in each.missing]
    if tables:
        print(style.bold(f"# appended to {home.config / 'schedules.toml'}:"))
        for text in tables:
            print(f"\n{on_terminal(text)}", end="")
    for each in plan:
        if each.handler == "new" and not ticks_only:
            print(style.bold(f"\n# {home.handlers / each.move.handler}:"))
            for line in each.move.script.splitlines():
                print(on_terminal(line))


def _tell(args: argparse.Namespace, plan: "Sequence[Planned]", left: "Sequence[Left]") -> None:
    """What is to be known besides, on stderr."""
    sys.stdout.flush()
    notes: dict[str, list[str]] = {}
    for each in plan:
        for note in each.move.notes:
            notes.setdefault(note, []).append(each.move.where)
    for note, wheres in notes.items():
        _say(f"{', '.join(wheres)}: {note}")
    for gone in left:
        _say(f"{gone.where}: left where it is: {gone.why}")
    for each in plan:
        if not each.missing and each.handler == "there":
            _say(f"{each.move.where}: is here already, as {each.move.name}")
    if not args.write:
        _say(f"{counted(len(plan), 'job')} can be moved; to do so: --write")
    elif plan and args.ticks_only:
        _say("next: hookline migrate compare NAME, and then the same without --ticks-only")
    elif plan:
        _say(f"next: take these out, or both will run: {', '.join(p.move.where for p in plan)}")


def _say(text: str) -> None:
    print(f"hookline migrate cron: {printable(text)}", file=sys.stderr)


def _value(each: "Planned | Left", *, written: bool) -> dict[str, object]:
    from hookline.schedule.moving import Left

    if isinstance(each, Left):
        return {"action": "left", "where": each.where, "was": each.was, "why": each.why}
    new = bool(each.missing) or each.handler == "new"
    return {
        "action": ("moved" if written else "would move") if new else "is here",
        "where": each.move.where,
        "was": each.move.was,
        "name": each.move.name,
        "event": each.move.event,
        "handler": each.move.handler,
        "schedules": each.move.tables,
        "script": each.move.script,
        "notes": list(each.move.notes),
    }
