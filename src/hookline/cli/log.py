"""`hookline log`: read or follow the events."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from typing import cast

from hookline.app.root import home_of
from hookline.cli.options import some
from hookline.cli.output import Style
from hookline.cli.times import stored_time
from hookline.log.follow import Follower
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.query import Found, Query, select, select_last
from hookline.log.read import Record
from hookline.model import cortex, envelope, signal
from hookline.model.attributes import Fields
from hookline.model.clock import SystemClock
from hookline.model.errors import BadData, Usage, printable
from hookline.model.event import Event

_LOUD = {"high": "yellow", "critical": "red"}
_TYPE_COLUMNS = 28
_SOURCE_COLUMNS = 20

Write = Callable[[Record], str]


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Print the events, oldest first: one JSON line each, or columns on a terminal. T is a time "
        "(2026-11-21T01:35:31Z), a day (2026-11-21, in UTC) or how long ago (10m, 2h, 1d)."
    )
    parser.add_argument(
        "pattern", metavar="PATTERN", nargs="?", type=some, default="*",
        help="a type, or worker.* or *.failed; default: all",
    )  # fmt: skip
    parser.add_argument("--since", metavar="T", type=some, help="only events of that time or later")
    parser.add_argument("--until", metavar="T", type=some, help="only events before that time")
    parser.add_argument(
        "--follow", "-f", action="store_true",
        help="go on with what comes; without -n or --since, begin with it",
    )  # fmt: skip
    parser.add_argument("-n", metavar="N", type=int, dest="last", help="only the last N events")
    parser.add_argument(
        "--format", choices=["cloudevents", "cortex", "signal"], help="of the JSON lines"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on a terminal, too")


def run(args: argparse.Namespace) -> int:
    """Read, print, and perhaps follow. 65 when a part of the log could not be read."""
    if args.last is not None and args.last < 0:
        raise Usage("-n takes a number from 0 on; see: hookline log --help")
    if args.follow and args.until is not None:
        raise Usage("--follow and --until exclude each other; see: hookline log --help")
    now = SystemClock().now()
    query = Query(
        pattern=args.pattern,
        since=stored_time(args.since, now),
        until=stored_time(args.until, now),
        old=True,
    )
    home = home_of(args)
    printer = Printer(_writer(home, args))
    if not args.follow:
        printer.print(_past(home, query, args.last, printer))
        return os.EX_DATAERR if printer.troubles else 0
    with Follower(home, query, printer.tell) as follower:
        if args.last is not None or args.since is not None:
            printer.print(_past(home, query, args.last, printer, follower))
        for found in follower.rounds():
            printer.print(found)
    return 0


class Printer:
    """Prints what was found, and tells of what could not be read."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.troubles = 0

    def print(self, found: Iterable[Found]) -> None:
        """One line each."""
        out = sys.stdout
        for each in found:
            try:
                text = self._write(each.record)
            except BadData as trouble:
                self.tell(trouble)
            else:
                out.write(text + "\n")
        out.flush()

    def tell(self, trouble: BadData) -> None:
        """One line on stderr."""
        self.troubles += 1
        print(f"hookline log: {printable(str(trouble))}", file=sys.stderr)


def _past(
    home: Home,
    query: Query,
    last: int | None,
    printer: Printer,
    follower: Follower | None = None,
) -> Iterable[Found]:
    """What is there already; up to where the follower goes on."""
    stop = None if follower is None else follower.positions
    if last is None:
        return select(home, query, printer.tell, stop=stop)
    return select_last(home, query, last, printer.tell, stop=stop)


def _writer(home: Home, args: argparse.Namespace) -> Write:
    on_terminal = sys.stdout.isatty()
    if on_terminal and not args.json and args.format is None:
        return Columns(Style(sys.stdout), _width()).line
    log = Log(home)
    translate = {"cortex": cortex.from_event, "signal": signal.from_event}.get(args.format)

    def write(record: Record) -> str:
        event = record.event
        raw = record.raw
        if event is not None and translate is not None:
            raw = translate(log.with_data(event))
        elif event is not None and not raw.startswith(b'{"specversion"'):
            raw = _cloudevents(event)
        text = raw.decode(errors="backslashreplace")
        # As JSON escapes, which is what these are inside a string: still the same JSON.
        return printable(text) if on_terminal else text

    return write


def _cloudevents(event: Event) -> bytes:
    """The line of an event that was stored in another form."""
    said = {name: getattr(event, name) for name in event.__struct_fields__}
    del said["specversion"], said["data"]
    fields = cast(Fields, {name: value for name, value in said.items() if value})
    if event.intensity is not None:
        fields["intensity"] = repr(event.intensity)
    fields["data"] = bytes(event.data)
    return envelope.line(**fields)


class Columns:
    """An event as one line for people: when, what, from whom, and the beginning of its data."""

    def __init__(self, style: Style, width: int) -> None:
        self._style = style
        self._width = width

    def line(self, record: Record) -> str:
        """As wide as the terminal; nothing in it that a terminal would obey."""
        style = self._style
        event = record.event
        if event is None:
            text = printable(record.raw.decode(errors="backslashreplace"))
            return style.dim(self._cut(f"{'(an older daemon)':<24}{text}", 0))
        when = f"{event.time[:10]} {event.time[11:23]}"
        type = event.type.ljust(_TYPE_COLUMNS)
        source = printable(event.source).ljust(_SOURCE_COLUMNS)
        data = printable(bytes(event.data).decode(errors="backslashreplace"))
        if event.dataref is not None:
            data = f"-> {event.dataref}"
        if event.subject is not None:
            data = f"[{printable(event.subject)}] {data}"
        priority = event.priority or ""
        if priority in _LOUD:
            data = f"{priority.upper()} {data}"
        data = self._cut(data, len(when) + len(type) + len(source) + 6)
        if priority in _LOUD:
            data = style.paint(data, _LOUD[priority])
        return f"{style.dim(when)}  {style.bold(type)}  {style.cyan(source)}  {data}".rstrip()

    def _cut(self, text: str, before: int) -> str:
        room = max(20, self._width - before)
        return text if len(text) <= room else text[: room - 1] + "…"


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 100
