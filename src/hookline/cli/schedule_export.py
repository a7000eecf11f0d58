"""`hookline schedule export`: the schedules as a crontab, or as timers of systemd."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.options import some
from hookline.cli.output import print_json
from hookline.model.errors import BadData, CannotCreate, Usage, printable, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookline.log.home import Home
    from hookline.schedule.export import Program
    from hookline.schedule.table import Table


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Print the schedules as lines of a crontab, or as timers of systemd, that ask for their "
        "ticks (hookline schedule trigger NAME) where no scheduler of Hookline's is to run. What "
        "cron or systemd cannot say is told."
    )
    parser.add_argument("name", nargs="*", metavar="NAME", type=some, help="default: all")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--cron", action="store_true", help="lines of a crontab")
    how.add_argument("--systemd", action="store_true", help="a timer and a service for each")
    parser.add_argument(
        "--run-due", action="store_true",
        help="one line, or timer, for all: each minute hookline schedule run-due, which keeps "
        "jitter, catch_up, overlap and the rest",
    )  # fmt: skip
    parser.add_argument(
        "--to", metavar="DIR", type=some, help="--systemd: write the units there, over nothing"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file")


def run(args: argparse.Namespace) -> int:
    """Print or write them; what cannot be said is told. 65 no such schedule, 73 a file is there."""
    from hookline.app.config import load_schedule_tables
    from hookline.app.schedules import load_schedules
    from hookline.schedule.export import Program

    if args.to and not args.systemd:
        raise Usage("--to is for the units of systemd: crontab - takes a crontab")
    if args.run_due and args.name:
        raise Usage("--run-due is for all schedules: name none")
    home = home_of(args)
    # For what is wrong with them, beyond their form.
    load_schedules(home)
    tables = _chosen(args.name, load_schedule_tables(home).schedule)
    program = Program(os.path.abspath(sys.argv[0]), str(home.root))
    files, told = _files(args, home, tables, program)
    for note in told:
        print(f"hookline schedule: {printable(note)}", file=sys.stderr)
    for name, text in files.items():
        if args.to:
            _write(Path(args.to) / name, text)
        if args.json:
            print_json({"file": name, "text": text})
        elif args.to:
            print(f"wrote {printable(str(Path(args.to) / name))}")
        else:
            print(f"# {name}\n{text}" if args.systemd else text, end="")
    return 0


def _files(
    args: argparse.Namespace, home: "Home", tables: "Mapping[str, Table]", program: "Program"
) -> tuple[dict[str, str], list[str]]:
    from hookline.app.moving import machine_zone
    from hookline.schedule import export

    if args.systemd:
        return (
            (export.units_run_due(program), []) if args.run_due else export.units(tables, program)
        )
    head = f"# Schedules of {printable(str(home.root))}"
    lines = (
        export.crontab_run_due(program)
        if args.run_due
        else export.crontab(tables, program, machine_zone())
    )
    return {"crontab": "\n".join([head, *lines]) + "\n"}, []


def _chosen(names: list[str], tables: "Mapping[str, Table]") -> "Mapping[str, Table]":
    for name in names:
        if name not in tables:
            raise BadData(f"no schedule {shown(name)}: hookline schedule list")
    return {name: tables[name] for name in names} if names else tables


def _write(path: Path, text: str) -> None:
    from hookline.log.files import durable_write

    if os.path.lexists(path):
        if path.is_file() and path.read_text() == text:
            return
        raise CannotCreate(f"{path} is there already and says something else: move it away")
    if not path.parent.is_dir():
        raise CannotCreate(f"there is no folder {path.parent}: make it first")
    durable_write(path, text.encode(), 0o644)
