"""`hookline emit`: append an event and print its id.

Imports the standard library only, and of it only what is cheap: the budget is 60 ms from start to
exit. Numbers are passed on as text, never through a float.
"""

import argparse
import os
import sys

from hookline.model import envelope, jsontext
from hookline.model.errors import BadData, Usage, shown

SOURCE = "hookline-cli"
INPUT_BYTES_MAX = 16 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Append an event and print its id. The data is an object of K=V (strings) and K:=JSON "
        "(anything else), or what --data gives, or there is none. In a handler the event also "
        "says which event caused it."
    )
    parser.add_argument("type", metavar="TYPE", help="such as worker.started")
    parser.add_argument("pairs", metavar="K=V", nargs="*", help="a member of the data; K:=JSON too")
    parser.add_argument("--data", metavar="JSON|@FILE|-", help="all of the data; - is stdin")
    parser.add_argument("--source", metavar="S", default=SOURCE, help=f"default: {SOURCE}")
    parser.add_argument("--subject", metavar="S", help="what the event is about")
    parser.add_argument("--correlation", metavar="ID", help="what it belongs together with")
    parser.add_argument("--priority", metavar="P", help="low, medium, high or critical")
    parser.add_argument("--id", metavar="ID", help="default: a new one; give it again to retry")
    parser.add_argument("--sync", action="store_true", help="on disk before this returns")
    parser.add_argument("--json", action="store_true", help="print the event as it was stored")
