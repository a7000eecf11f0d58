"""`hookline try`: run a handler on an event in a throw-away home."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.output import Style
from hookline.model.errors import BadData, Usage, printable, shown

if TYPE_CHECKING:
    from hookline.app.trial import Trial
    from hookline.log.home import Home

EXIT_NOT_DONE = 1
INPUT_BYTES_MAX = 16 << 20
_EVENT = "an event's id or a type (its newest event) of the log, JSON, @FILE, or - for stdin"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Run a handler once on an event and show its verdict, what it printed, the events that it "
        "emitted and the files that it wrote. It runs for real, but HOOKLINE_HOME is a throw-away "
        "home with copies of the scripts, the configuration and the schemas; what it does outside "
        "of its home, it does. Exit: 0 done or skipped, 1 any other verdict; with --golden: 0 as "
        "the file says, 1 not, 65 when there is no such file."
    )
    parser.add_argument("handler", metavar="HANDLER", help="a handler's name, or a path to one")
    parser.add_argument("event", metavar="EVENT", help=_EVENT)
    parser.add_argument("--golden", metavar="FILE", help="compare the run with this file")
    parser.add_argument(
        "--update", action="store_true", help="write the golden file, anew or first"
    )
    parser.add_argument(
        "--state", metavar="DIR", help="what lies in coordination/ when it begins; default: nothing"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="all of it as one JSON object; with --golden also golden.same and golden.diff",
    )


def run(args: argparse.Namespace) -> int:
    """Try it, show it, compare it."""
    if args.update and args.golden is None:
        raise Usage("--update is for --golden FILE; see: hookline try --help")
    import msgspec

    from hookline.app.trial import try_handler
    from hookline.model.clock import SystemClock

    end_on_term()
    home = home_of(args)
    handler = Path(args.handler) if "/" in args.handler else home.handlers / args.handler
    state = Path(args.state) if args.state else None
    line, made = _line(home, args.event)
    trial = try_handler(home, handler, line, SystemClock(), state, made)
    if args.golden is not None:
        return _compare(trial, Path(args.golden), update=args.update, json=args.json)
    if args.json:
        print(msgspec.json.encode(trial).decode())
    else:
        _show(trial)
    return 0 if trial.done else EXIT_NOT_DONE


def _line(home: "Home", given: str) -> tuple[bytes, str]:
    """The line of the event that is meant, and its id if that was made up. Raises BadData when
    there is none."""
    from hookline.log.query import Query, find_event, select_last
    from hookline.model.types import is_type

    if given == "-":
        return _from_outside(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1))
    if given.startswith("@"):
        try:
            with open(given[1:], "rb") as file:
                return _from_outside(file.read(INPUT_BYTES_MAX + 1))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise BadData(f"{shown(given[1:])} cannot be read: {reason}") from error
    if given.lstrip().startswith("{"):
        return _from_outside(given.encode("utf-8", "surrogateescape"))
    if not is_type(given):
        return find_event(home, given).record.raw, ""
    found = select_last(home, Query(pattern=given), 1, on_trouble=lambda _: None)
    if not found:
        raise BadData(f"no log of {home.root} has an event of type {given}")
    return found[0].record.raw, ""


def _from_outside(text: bytes) -> tuple[bytes, str]:
    """The line of an event that somebody wrote by hand: what it lacks is made up, but never the
    same twice. And its id, if that was."""
    from hookline.model import envelope
    from hookline.model.clock import SystemClock, nanoseconds, rfc3339
    from hookline.model.ids import uuid7

    if len(text) > INPUT_BYTES_MAX:
        raise BadData(f"the event has more than {INPUT_BYTES_MAX} bytes")
    now = SystemClock().now()
    made = uuid7(nanoseconds(now))
    try:
        fields = envelope.from_outside(text, id=made, source="hookline-try", time=rfc3339(now))
        return envelope.line(**fields), made if fields["id"] == made else ""
    except BadData as error:
        raise BadData(
            f'{error}; enough is: {{"specversion":"1.0","type":"a.b","data":{{}}}}'
        ) from error


def _show(trial: "Trial") -> None:
    style = Style(sys.stdout)
    how = f"signal {trial.signal}" if trial.signal else f"exit {trial.exit}"
    colour = "green" if trial.done else "red"
    verdict = style.paint(trial.verdict, colour)
    told = "" if trial.exit is None and trial.signal is None else f" ({how})"
    then = "" if trial.then == "settled" else f", then {trial.then}"
    print(f"{trial.handler}: {verdict}{told} in {trial.ms:.0f} ms{then}")
    if trial.error:
        print(f"error   {printable(trial.error)}")
    parts = (("trace", trial.traceback), ("stdout", trial.stdout), ("stderr", trial.stderr))
    for name, text in parts:
        for line in text.splitlines():
            print(f"{style.dim(f'{name:<6}')}  {_shown(line)}")
    for raw in trial.emitted:
        print(f"{style.dim('emits')}   {printable(bytes(raw).decode())}")
    for file in trial.files:
        print(f"{style.dim(file.change)} {style.cyan(printable(file.path))}")
        for line in file.diff.splitlines():
            print(f"  {_shown(line)}")


def _shown(line: str) -> str:
    """A line fit for a terminal; a tab is no danger."""
    return "\t".join(map(printable, line.split("\t")))


def _compare(trial: "Trial", path: Path, *, update: bool, json: bool) -> int:
    import msgspec

    from hookline.app.golden import differences, golden_text, keep

    text = golden_text(trial)
    if update:
        keep(path, text)
        told = f"wrote {printable(str(path))}: look at it, and keep it beside the tests"
        print(f"hookline: {told}", file=sys.stderr)
    found = differences(path, text)
    if json:
        golden = {"same": not found, "diff": found}
        print(msgspec.json.encode({**msgspec.structs.asdict(trial), "golden": golden}).decode())
    else:
        for line in found:
            print(_shown(line))
    if not found:
        return 0
    sys.stdout.flush()
    told = f"{trial.handler} does not do what {printable(str(path))} says; if it should not"
    print(f"hookline: {told}: --update", file=sys.stderr)
    return EXIT_NOT_DONE
