"""`hookline dead-letters`: deliveries that were given up."""

import argparse
import sys
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.options import refuse_others, some
from hookline.cli.output import agreed, asks, counted, on_terminal, print_json, print_table
from hookline.model.errors import TryAgain, Usage, printable, shown

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from hookline.dispatch.dead_letter import DeadLetter
    from hookline.dispatch.letters import Group, Wanted
    from hookline.dispatch.purge import Purged
    from hookline.log.home import Home

RATE = 100
"""Replays a second, unless said otherwise: a mended handler is not run over."""
_ERROR_COLUMNS = 80
_EVERY_ACTION = frozenset({"action", "home", "json"})
_CHOOSING = frozenset({"which", "all", "handler", "type", "fingerprint", "since", "until"})
_DECIDING = frozenset({"dry_run", "yes"})
_TAKES = {
    "list": _CHOOSING | {"n", "each"},
    "show": _CHOOSING,
    "replay": _CHOOSING | _DECIDING | {"n", "rate"},
    "drop": _CHOOSING | _DECIDING | {"n"},
    "purge": _DECIDING | {"older_than"},
}
_DONE = {"replay": "asked for the replay of", "drop": "dropped"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Deliveries that were given up, kept with their reason until somebody replays or drops "
        "them. WHICH is a letter (as list --each shows it, or HANDLER:EVENT-ID), a fingerprint "
        "(letters of one fault, as list shows them) or a handler. T is a time, a day or how long "
        "ago (10m, 2h, 1d)."
    )
    parser.add_argument(
        "action", nargs="?", choices=list(_TAKES), default="list", help="default: list"
    )
    parser.add_argument(
        "which", nargs="*", metavar="WHICH", type=some,
        help="which; for replay and drop also --all",
    )  # fmt: skip
    choice = parser.add_argument_group("choosing (not for purge, which goes by age alone)")
    choice.add_argument("--all", action="store_true", help="every open letter")
    choice.add_argument("--handler", metavar="HANDLER", type=some, help="only of this handler")
    choice.add_argument("--type", metavar="PATTERN", type=some, help="only events like worker.*")
    choice.add_argument("--fingerprint", metavar="F", type=some, help="only this fault")
    choice.add_argument("--since", metavar="T", type=some, help="only given up then or later")
    choice.add_argument("--until", metavar="T", type=some, help="only given up before")
    choice.add_argument("-n", metavar="N", type=int, help="only the N oldest; not for show")
    parser.add_argument("--each", action="store_true", help="list: every letter, not every fault")
    parser.add_argument(
        "--dry-run", action="store_true", help="replay, drop, purge: say what would be done"
    )
    parser.add_argument(
        "--yes", "-y", action="store_true", help="the same: do not ask, on a terminal"
    )
    parser.add_argument(
        "--rate", metavar="N/s", type=some, help=f"replay: at most N a second; default: {RATE}"
    )
    parser.add_argument(
        "--older-than", metavar="AGE", type=some,
        help="purge: such as 7d; default: as configured (30d)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """List, show, replay, drop or purge."""
    refuse_others(args, args.action, _EVERY_ACTION | _TAKES[args.action])
    home = home_of(args)
    if args.action == "purge":
        return _purge(args, home)
    wanted = _wanted(args)
    passed_over = _pass_over(home)
    if args.action == "show":
        from hookline.cli.letter_page import show

        return show(args, home, wanted) or passed_over
    if args.action == "list":
        return _list(args, home, wanted) or passed_over
    return _decide(args, home, wanted) or passed_over


def _pass_over(home: "Home") -> int:
    """Say what of the queue cannot be read; the exit status for it."""
    from hookline.dispatch.letters import damaged_places
    from hookline.model.errors import BadData

    first, count = None, 0
    for place in damaged_places(home):
        first, count = first or place, count + 1
    if first is None:
        return 0
    _say(
        f"passed over, {counted(count, 'damaged place')} of {home.dead_letters}, the first at "
        f"{first.segment:08d}:{first.offset}: hookline verify says which letters are missing, and "
        "what to do"
    )
    return BadData.exit_code


def _wanted(args: argparse.Namespace) -> "Wanted":
    from hookline.cli.times import stored_time
    from hookline.dispatch.letters import Wanted
    from hookline.model.clock import SystemClock
    from hookline.model.types import is_pattern

    chosen = [args.which, args.handler, args.type, args.fingerprint, args.since, args.until]
    if args.action in ("replay", "drop") and not any(chosen) and not args.all:
        raise Usage(
            f"{args.action} what? Name letters, fingerprints or handlers, or say --all "
            "(--dry-run shows which)"
        )
    if args.type and not is_pattern(args.type):
        raise Usage(f"type {shown(args.type)} is not like 'worker.started' or 'worker.*'")
    if args.n is not None and args.n < 1:
        raise Usage("-n takes a number from 1 on")
    now = SystemClock().now()
    return Wanted(
        names=tuple(args.which),
        handler=args.handler or "",
        type=args.type or "",
        fingerprint=args.fingerprint or "",
        since=stored_time(args.since, now) or "",
        until=stored_time(args.until, now) or "",
    )


def _open(
    args: argparse.Namespace, home: "Home", wanted: "Wanted", without: "Container[str]" = ()
) -> "Iterator[DeadLetter]":
    """The open letters that are meant, but for those of some handlers. Raises Usage for a name that
    nothing bears."""
    from hookline.dispatch.letters import Wanted, each_open, names_of

    missing = set(wanted.names)

    def seen() -> "Iterator[DeadLetter]":
        for letter in each_open(home, wanted):
            missing.difference_update(names_of(letter), (letter.fingerprint, letter.handler))
            if letter.handler not in without:
                yield letter

    yield from islice(seen(), args.n)
    if missing and args.n is None:
        narrowed = wanted != Wanted(names=wanted.names)
        among = " among those that the other options choose" if narrowed else ""
        name = shown(min(missing), 200)
        raise Usage(f"no open dead letter {name}{among}: hookline dead-letters list")


# -- looking -----------------------------------------------------------------------------


def _list(args: argparse.Namespace, home: "Home", wanted: "Wanted") -> int:
    from msgspec.json import encode

    from hookline.dispatch.letters import groups, type_of

    found = _open(args, home, wanted)
    if args.json:
        for each in found if args.each else groups(found):
            print(on_terminal(encode(each).decode()))
    elif args.each:
        print_table(
            ["LETTER", "TIME", "TYPE", "ATTEMPTS", "ENDED", "FINGERPRINT", "ERROR"],
            [
                (letter.letter, letter.time[:19], type_of(letter), letter.attempts, ended(letter),
                 letter.fingerprint, letter.error[:_ERROR_COLUMNS])
                for letter in found
            ],
        )  # fmt: skip
    else:
        print_table(
            ["FINGERPRINT", "LETTERS", "HANDLER", "ENDED", "FIRST", "LAST", "TYPES", "ERROR"],
            [
                (fault.fingerprint, fault.letters, fault.handler, ended(fault), fault.first[:19],
                 fault.last[:19], " ".join(sorted(fault.types)), fault.error[:_ERROR_COLUMNS])
                for fault in groups(found)
            ],
        )  # fmt: skip
    return 0


def ended(fault: "DeadLetter | Group") -> str:
    """How a run ended, in a word or two."""
    if fault.verdict == "failed" and fault.signal is not None:
        return f"signal {fault.signal}"
    if fault.exit is not None and fault.verdict != "timeout":
        return f"exit {fault.exit}"
    return fault.verdict


# -- deciding ----------------------------------------------------------------------------


def _decide(args: argparse.Namespace, home: "Home", wanted: "Wanted") -> int:
    """Preview, ask a person, then do it, some at a time."""
    from hookline.cli.replay import positive

    rate = positive(args.rate, "--rate") or RATE
    absent = _absent(home, wanted) if args.action == "replay" else {}
    for why in absent.values():
        _say(why)
    counts: Counter[str] = Counter(each.handler for each in _open(args, home, wanted, absent))
    total = counts.total()
    if not args.json:
        print(f"{counted(total, 'dead letter')} to {args.action}")
        for handler, count in counts.most_common():
            print(f"  {count:>8}  {printable(handler)}", flush=True)
    if total and not args.dry_run and not agreed(args, f"{args.action} them?"):
        print("nothing was done")
        return 0
    done, status = 0, 0
    if total and not args.dry_run:
        # The ledger is read once more: what somebody else has decided meanwhile is not ours. No
        # more than were counted: what fails again meanwhile is a new letter.
        found = islice(_open(args, home, wanted, absent), total)
        done, status = _do(args, home, found, counts, rate)
    if args.json:
        print_json(
            {
                "action": args.action, "letters": total, "done": done, "handlers": dict(counts),
                "absent": absent,
            }
        )  # fmt: skip
    if absent and not status:
        return TryAgain.exit_code if total else Usage.exit_code
    return status


def _absent(home: "Home", wanted: "Wanted") -> dict[str, str]:
    """Of which handlers the letters stay, since nobody would ever get them, and what helps."""
    from hookline.app.survey import find_handlers
    from hookline.cli.replay import why_absent
    from hookline.dispatch.letters import each_open

    found = find_handlers(home)
    there = {handler.name for handler in found.handlers}
    counts = Counter(letter.handler for letter in each_open(home, wanted))
    return {
        name: f"passed over, {counted(count, 'letter')} of {name}: {why_absent(home, found, name)}"
        f"; or give them up: hookline dead-letters drop --handler {name}"
        for name, count in counts.items()
        if name not in there
    }


def _do(
    args: argparse.Namespace,
    home: "Home",
    found: "Iterator[DeadLetter]",
    counts: Counter[str],
    rate: float,
) -> tuple[int, int]:
    """How many it was done to, and the exit status."""
    from hookline.cli.replay import tell_next
    from hookline.dispatch.letters import drop_all
    from hookline.model.clock import SystemClock

    total = counts.total()
    if args.action == "drop":
        done, status = drop_all(home, found, SystemClock()), 0
    else:
        done, status = _replay(home, found, total, rate)
    if not args.json:
        print(f"{_DONE[args.action]} {done} of {total}", flush=True)
    if args.action == "replay" and not status:
        status = tell_next(home, counts, _say)
    return done, status


def _replay(
    home: "Home", found: "Iterator[DeadLetter]", total: int, rate: float
) -> tuple[int, int]:
    from hookline.dispatch.asks import Asker, NoRoom
    from hookline.dispatch.letters import replay_all
    from hookline.model.clock import SystemClock

    asker = Asker(home)
    end_on_term()
    try:
        replay_all(asker, found, SystemClock(), rate)
    except NoRoom as why:
        _say(f"{why}, then the same command again")
        return asker.asked, TryAgain.exit_code
    except (KeyboardInterrupt, SystemExit):
        _say(f"asked for {asker.asked} of {total}; the same command again goes on")
        raise
    return asker.asked, 0


def _purge(args: argparse.Namespace, home: "Home") -> int:
    from hookline.app.purging import purge_letters
    from hookline.model.duration import seconds
    from hookline.model.errors import BadData

    try:
        keep_s = None if args.older_than is None else seconds(args.older_than)
    except BadData as error:
        raise Usage(f"--older-than: {error}") from error
    is_dry = args.dry_run or asks(args)
    purged = purge_letters(home, keep_s, dry_run=is_dry)
    if purged is None:
        _say("keep is never in coordination/config/hookline.toml: --older-than says how old")
        return 0
    _print_purged(purged, args, is_dry=is_dry)
    if is_dry and not args.dry_run and (purged.dropped or purged.files):
        if not agreed(args, "purge them?"):
            print("nothing was done")
            return 0
        purged = purge_letters(home, keep_s)
        if purged is not None:
            _print_purged(purged, args, is_dry=False)
    return 0


def _print_purged(purged: "Purged", args: argparse.Namespace, *, is_dry: bool) -> None:
    if args.json:
        from msgspec.json import encode

        print(encode(purged).decode())
        return
    would = "would be " if is_dry else ""
    print(
        f"open letters from before {purged.before} {would}dropped: {sum(purged.dropped.values())}"
    )
    for handler, count in purged.dropped.items():
        print(f"  {count:>8}  {printable(handler)}")
    print(f"files of old letters {would}deleted: {purged.files} ({purged.bytes} bytes)")
    if purged.held:
        print(f"files of old letters held for replays that are pending: {purged.held_files}")
    for handler, count in purged.held.items():
        print(f"  {count:>8}  {printable(handler)}: hookline handlers")


def _say(text: str) -> None:
    print(f"hookline dead-letters: {printable(text)}", file=sys.stderr)
