"""`hookline emit`: append an event and print its id.

Imports the standard library only, and of it only what is cheap: the budget is 60 ms from start to
exit. Numbers are passed on as text, never through a float.
"""

import argparse
import os
import sys

from hookline.app.cause import cause
from hookline.app.root import root
from hookline.log.append import append_event
from hookline.model import jsontext
from hookline.model.attributes import Fields
from hookline.model.cause import with_cause
from hookline.model.clock import SystemClock, nanoseconds, rfc3339
from hookline.model.errors import BadData, Usage, shown
from hookline.model.ids import uuid7
from hookline.model.types import check_type

SOURCE = "hookline-cli"
INPUT_BYTES_MAX = 16 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Append an event and print its id. The data is an object of K=V (strings) and K:=JSON "
        "(anything else), or what --data gives, or there is none. In a handler the event also "
        "says which event caused it."
    )
    parser.add_argument("type", metavar="TYPE", nargs="?", help="such as worker.started")
    parser.add_argument("pairs", metavar="K=V", nargs="*", help="a member of the data; K:=JSON too")
    parser.add_argument("--data", metavar="JSON|@FILE|-", help="all of the data; - is stdin")
    parser.add_argument("--source", metavar="S", default=SOURCE, help=f"default: {SOURCE}")
    parser.add_argument("--subject", metavar="S", help="what the event is about")
    parser.add_argument("--correlation", metavar="ID", help="what it belongs together with")
    parser.add_argument("--priority", metavar="P", help="low, medium, high or critical")
    parser.add_argument("--id", metavar="ID", help="default: a new one; give it again to retry")
    parser.add_argument("--sync", action="store_true", help="on disk before this returns")
    parser.add_argument("--json", action="store_true", help="print the event as it was stored")


def run(args: argparse.Namespace) -> int:
    """Check, append, print the id."""
    if args.type is None:
        raise Usage("a TYPE is wanted, such as worker.started; see: hookline emit --help")
    if args.data is not None and args.pairs:
        raise Usage("K=V and --data exclude each other; see: hookline emit --help")
    check_type(args.type)
    data = _of_pairs(args.pairs) if args.data is None else _of_data(args.data)
    now = SystemClock().now()
    fields: Fields = {
        "id": args.id if args.id is not None else uuid7(nanoseconds(now)),
        "source": args.source,
        "type": args.type,
        "time": rfc3339(now),
        "subject": args.subject,
        "priority": args.priority,
        "correlationid": args.correlation,
        "data": data,
    }
    line = append_event(root(args.home), with_cause(fields, cause()), args.sync)
    print(line.decode() if args.json else fields["id"])
    return 0


def _of_pairs(pairs: list[str]) -> bytes | None:
    """The object that K=V and K:=JSON arguments make; None of none."""
    if not pairs:
        return None
    members = b",".join(map(_member, pairs))
    return jsontext.compact(b"{" + members + b"}")


def _member(pair: str) -> bytes:
    key, equals, value = pair.partition("=")
    if not equals:
        raise Usage(f"{shown(pair)} is neither K=V nor K:=JSON; see: hookline emit --help")
    if not key.endswith(":"):
        return _string(key) + b":" + _string(value)
    try:
        return _string(key[:-1]) + b":" + jsontext.compact(os.fsencode(value))
    except BadData as wrong:
        raise BadData(f"{shown(key[:-1])}: {wrong}") from None


def _string(text: str) -> bytes:
    try:
        return jsontext.dumps(os.fsencode(text).decode())
    except UnicodeDecodeError:
        raise BadData(f"{shown(text)} is not UTF-8") from None


def _of_data(given: str) -> bytes:
    """The value of --data: JSON, @FILE or `-`."""
    if given == "-":
        name, text = "stdin", _read_stdin()
    elif given.startswith("@"):
        name, text = shown(given[1:]), _read_file(given[1:])
    else:
        name, text = "--data", os.fsencode(given)
    if len(text) > INPUT_BYTES_MAX:
        raise BadData(f"{name} has more than {INPUT_BYTES_MAX} bytes")
    try:
        return jsontext.compact(text)
    except BadData as wrong:
        raise BadData(f"{name}: {wrong}") from None


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise BadData("stdin is closed")
    return sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(INPUT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadData(f"{shown(path)} cannot be read: {reason}") from error
