"""`hookline replay`: events of the past, once more, to one handler."""

import argparse
import sys
from typing import TYPE_CHECKING

from hookline.app.root import home_of
from hookline.cli.ending import end_on_term
from hookline.cli.options import refuse_others, some
from hookline.cli.output import agreed, counted, print_json
from hookline.model.errors import BadData, TryAgain, Usage, printable, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from hookline.dispatch.handlers import Handler, Handlers
    from hookline.dispatch.pace import Pace
    from hookline.dispatch.replays import Begun, Preview, Replay
    from hookline.log.home import Home
    from hookline.log.query import Found


_UNREADABLE = "could not be read any more: hookline verify"
_DELETED = (
    "went meanwhile with the segments that an archiver deleted (delete_after in "
    "coordination/config/hookline.toml says when)"
)
_RESUMING = frozenset({"resume", "speed", "rate", "dry_run", "yes", "json", "home"})
_ENDING = frozenset({"end", "json", "home"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Ask the dispatcher to deliver events of the logs once more, to one handler, in the order "
        "of their times. The handler sees the attribute replayof and EVENT_REPLAYOF. T is a time "
        "(2026-11-21T01:35:31Z), a day (2026-11-21, in UTC) or how long ago (10m, 2h, 1d)."
    )
    parser.add_argument("--to", metavar="HANDLER", type=some, help="the file name of the handler")
    parser.add_argument("--since", metavar="T", type=some, help="only events of that time or later")
    parser.add_argument(
        "--until", metavar="T", type=some, help="only events before that time; default: now"
    )
    parser.add_argument(
        "--type", metavar="PATTERN", type=some, action="append", default=[],
        help="a type, or worker.* or *.failed; may be repeated; default: all that it wants",
    )  # fmt: skip
    parser.add_argument(
        "--id", metavar="EVENT", type=some, action="append", default=[],
        help="only the event of this id; may be repeated",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what it would be, and end")
    parser.add_argument(
        "--speed", metavar="N", type=some,
        help="keep the time between the events, divided by N; 1: as it was",
    )  # fmt: skip
    parser.add_argument("--rate", metavar="N/s", type=some, help="at most N events a second")
    parser.add_argument(
        "--name", metavar="NAME", type=some,
        help="what the replay is called, as none before was; default: made from the time",
    )  # fmt: skip
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask, on a terminal")
    parser.add_argument(
        "--resume", metavar="NAME", type=some, help="go on with a replay that was interrupted"
    )
    parser.add_argument(
        "--end", metavar="NAME", type=some,
        help="give up what a replay has not asked for yet; until then its events are not deleted",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")


def run(args: argparse.Namespace) -> int:
    """Preview, then ask. 75: not all could be asked for yet, or the handler will not get them by
    itself. 65: not all of them could be read or found. What is printed says what to do."""
    if args.end is not None:
        refuse_others(args, "--end", _ENDING)
        return _end(args, home_of(args))
    if args.resume is not None:
        refuse_others(args, "--resume", _RESUMING)
    return _replay(args, home_of(args))


def _replay(args: argparse.Namespace, home: "Home") -> int:
    from contextlib import nullcontext

    from hookline.dispatch.replays import alone, begin, chosen, finish, new_name, preview
    from hookline.model.clock import SystemClock

    pace = _pace(args)
    name = args.resume or args.name or new_name(SystemClock())
    # Before it is read how far it has come: what another asks for is not asked for twice.
    with nullcontext() if args.dry_run else alone(home, name):
        begun, is_new = _begun(args, home, name)
        replay = begun.replay
        handler = _handler(home, replay.handler)
        troubles = Troubles()
        # What was asked for before is not looked for again.
        missing = set(replay.ids if is_new else ())

        def events() -> "Iterator[Found]":
            for found in chosen(home, begun, troubles.tell):
                event = found.record.event
                if event is not None and handler.wants(event.type):
                    missing.discard(event.id)
                    yield found

        told, status = preview(events()), 0
        if not args.json:
            _print_preview(told, begun)
        if missing:
            troubles.tell(_why_missing(replay, missing))
        elif not told.events and not begun.asked:
            _say(_why_none(replay, handler))
        if told.events and not args.dry_run:
            if not agreed(args, f"ask {replay.handler} to do them again?"):
                print("nothing was done")
                return 0
            if is_new:
                begin(home, replay, SystemClock())
            status = _ask(args, home, begun, told, events(), pace, troubles)
        elif not (is_new or args.dry_run):
            finish(home, replay, SystemClock())
    if args.json:
        _print_json(begun, told, troubles)
    return BadData.exit_code if troubles.told else status


class Troubles:
    """What could not be read or found, each said once."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, why: object) -> None:
        """One line on stderr, if it is new."""
        if (text := str(why)) not in self.told:
            self.told.append(text)
            _say(text)


def _end(args: argparse.Namespace, home: "Home") -> int:
    """Give a replay up: what was asked for is delivered, and no more."""
    from hookline.dispatch.replays import alone, find, finish
    from hookline.model.clock import SystemClock

    with alone(home, args.end):
        begun = find(home, args.end)
        if begun is None:
            raise Usage(f"no replay {shown(args.end)} was begun here")
        if not begun.is_over:
            finish(home, begun.replay, SystemClock(), "given up")
    if args.json:
        print_json({"replay": args.end, "handler": begun.replay.handler, "asked": begun.asked})
    else:
        print(f"{args.end} is over: {counted(begun.asked, 'event')} asked for")
    return 0


def _begun(args: argparse.Namespace, home: "Home", name: str) -> "tuple[Begun, bool]":
    """The replay that is meant, and whether it is new."""
    from hookline.cli.times import stored_time
    from hookline.dispatch import replays
    from hookline.model.clock import SystemClock, rfc3339

    now = SystemClock().now()
    known = replays.find(home, name) if args.resume or args.name else None
    if args.resume:
        if known is None or known.is_over:
            why = "was begun here" if known is None else "is left to go on with: it is over"
            raise Usage(f"no replay {shown(name)} {why}; begin one with --to HANDLER")
        return known, False
    if known is not None:
        what = "is over:" if known.is_over else f"was begun: {replays.go_on(name)}; or"
        raise Usage(f"the replay {name} {what} choose another --name")
    if not args.to:
        raise Usage("to whom? --to HANDLER names it; hookline handlers lists them")
    since, until = stored_time(args.since, now), stored_time(args.until, now)
    if since and since >= (until or rfc3339(now)):
        raise Usage(f"no time is between --since {since} and --until {until or 'now'}")
    try:
        replay = replays.Replay(
            name=name,
            handler=args.to,
            since=since or "",
            until=until or rfc3339(now),
            types=tuple(args.type) or _handler(home, args.to).patterns,
            ids=tuple(args.id),
        )
    except BadData as error:
        raise Usage(str(error)) from error
    return replays.Begun(replay=replay), True


def _handler(home: "Home", name: str) -> "Handler":
    """Raises Usage when there is none of that name: nobody would ever get the events."""
    from hookline.app.survey import find_handlers

    found = find_handlers(home)
    for handler in found.handlers:
        if handler.name == name:
            return handler
    raise Usage(why_absent(home, found, name))


def why_absent(home: "Home", found: "Handlers", name: str) -> str:
    """Why there is no handler of that name among those that were found, and what helps."""
    for refused in found.refused:
        if refused.name == name:
            return f"{name} cannot be run: {refused.reason}"
    return (
        f"no handler {shown(name)} in {home.handlers} (is it gone?): put its file back "
        "(hookline handlers lists those that are there)"
    )


def _why_none(replay: "Replay", handler: "Handler") -> str:
    wants = f"{handler.name} wants {' '.join(handler.patterns)}"
    if replay.types != handler.patterns:
        wants += f", --type is {' '.join(replay.types)}"
    return f"{wants}; no event {_when(replay)} is all of it: hookline log"


def _why_missing(replay: "Replay", missing: set[str]) -> str:
    names = ", ".join(shown(each) for each in sorted(missing))
    return f"not found among what {replay.handler} wants {_when(replay)}: {names}: hookline log"


def _when(replay: "Replay") -> str:
    return f"{f'from {replay.since} on' if replay.since else 'ever'} and before {replay.until}"


def tell_next(home: "Home", handlers: "Collection[str]", say: "Callable[[str], None]") -> int:
    """Say what these handlers need to get what was asked for; 75 when one will not get it before
    somebody helps."""
    from hookline.dispatch.asks import stopped
    from hookline.dispatch.lock import holder

    in_the_way = stopped(home, handlers)
    for why in in_the_way.values():
        say(why)
    if len(in_the_way) < len(handlers) and holder(home) is None:
        say("nobody dispatches now: hookline dispatch --once delivers them")
    return TryAgain.exit_code if in_the_way else 0


def _pace(args: argparse.Namespace) -> "Pace":
    from hookline.dispatch.pace import Pace
    from hookline.model.clock import SystemClock

    return Pace(
        positive(args.speed, "--speed"), positive(args.rate, "--rate"), SystemClock().monotonic_s()
    )


def positive(text: str | None, option: str) -> float | None:
    """A number above 0, perhaps a second. Raises Usage."""
    if text is None:
        return None
    try:
        number = float(text.removesuffix("/s"))
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1e9:
        raise Usage(f"{option} {shown(text)} is not a number above 0, such as 10")
    return number


def _ask(
    args: argparse.Namespace,
    home: "Home",
    begun: "Begun",
    told: "Preview",
    events: "Iterator[Found]",
    pace: "Pace",
    troubles: Troubles,
) -> int:
    """Ask for all of them; whatever comes between, say how to go on."""
    from hookline.dispatch.asks import NoRoom
    from hookline.dispatch.replays import ask, finish
    from hookline.model.clock import SystemClock

    before, name, known = begun.asked, begun.replay.name, len(troubles.told)
    go_on = f"hookline replay --resume {name}"
    end_on_term()
    try:
        ask(home, begun, events, pace, SystemClock())
    except NoRoom as why:
        _say(f"{why}, then {go_on}")
        status = TryAgain.exit_code
    except (KeyboardInterrupt, SystemExit):
        _say(f"asked for {begun.asked - before} of {_events(told)}; to go on: {go_on}")
        raise
    else:
        finish(home, begun.replay, SystemClock())
        status, asked = 0, begun.asked - before
        if asked < told.events:
            lost = _UNREADABLE if len(troubles.told) > known else _DELETED
            troubles.tell(f"asked for {asked} of {_events(told)} shown: the rest {lost}")
    if not args.json:
        print(f"asked for {begun.asked - before} of {_events(told)} as {name}", flush=True)
    return status or tell_next(home, [begun.replay.handler], _say)


def _print_preview(told: "Preview", begun: "Begun") -> None:
    replay = begun.replay
    more = " left" if begun.asked else ""
    print(f"{_events(told)}{more} for {replay.handler}")
    if told.events:
        print(f"  from {told.first} to {told.last}")
        for type, count in told.types.most_common():
            print(f"  {count:>8}  {type}", flush=True)


def _events(told: "Preview") -> str:
    return counted(told.events, "event")


def _print_json(begun: "Begun", told: "Preview", troubles: Troubles) -> None:
    replay = begun.replay
    print_json(
        {
            "replay": replay.name, "handler": replay.handler, "since": replay.since or None,
            "until": replay.until, "events": told.events, "first": told.first or None,
            "last": told.last or None, "types": dict(told.types.most_common()),
            "asked": begun.asked, "troubles": troubles.told,
        }
    )  # fmt: skip


def _say(text: str) -> None:
    print(f"hookline replay: {printable(text)}", file=sys.stderr)
