"""A dead letter on a page for a person."""

import argparse
import sys
from typing import TYPE_CHECKING

from hookline.cli.output import Style, counted, on_terminal
from hookline.model.errors import Usage, printable, shown

if TYPE_CHECKING:
    from hookline.dispatch.dead_letter import DeadLetter
    from hookline.dispatch.ledger import Entry
    from hookline.dispatch.letters import Wanted
    from hookline.log.home import Home


def show(args: argparse.Namespace, home: "Home", wanted: "Wanted") -> int:
    """The newest letter of each fault that is meant, and how many more there are; with `--json` the
    lines of all of them."""
    from msgspec.json import encode

    from hookline.dispatch.journal import read_ledger
    from hookline.dispatch.letters import letters, names_of

    closed = read_ledger(home).closed
    newest: dict[tuple[str, bool], DeadLetter] = {}
    counts: dict[tuple[str, bool], int] = {}
    for letter in letters(home):
        # Of those that are decided, only one that was named is still of interest.
        is_open = letter.letter not in closed
        is_named = not names_of(letter).isdisjoint(wanted.names)
        if not wanted.takes(letter) or not (is_open or is_named):
            continue
        if args.json:
            print(on_terminal(encode(letter).decode()))
        fault = letter.fingerprint, is_open
        newest[fault] = letter
        counts[fault] = counts.get(fault, 0) + 1
    if not newest and wanted.names:
        raise Usage(f"no dead letter {shown(wanted.names[0], 200)}: hookline dead-letters list")
    if args.json:
        return 0
    for number, (fault, letter) in enumerate(newest.items()):
        if number:
            print()
        _print(home, letter, is_open=fault[1], more=counts[fault] - 1)
    return 0


def _print(home: "Home", letter: "DeadLetter", *, is_open: bool, more: int) -> None:
    from hookline.cli.dead_letters import ended
    from hookline.dispatch.letters import attempts_of

    style = Style(sys.stdout)
    told = attempts_of(home, letter)
    print(style.bold(printable(letter.letter)))
    _line("handler", letter.handler)
    _line(
        "given up", f"{letter.time}, after {counted(letter.attempts, 'attempt')}: {ended(letter)}"
    )
    if letter.replay:
        _line("replay of", letter.replay)
    _line("error", letter.error)
    like = f" ({more} more open letters like this one)" if more else ""
    _line("fingerprint", letter.fingerprint + like)
    if not is_open:
        _line("decided", _decision(letter, told))
    _block(style, "event", _pretty(bytes(letter.event)))
    _block(style, "traceback", letter.traceback)
    _block(style, "stderr", letter.stderr)
    _block(style, "stdout", letter.stdout)
    lines = [_attempt(each) for each in told if each.action == "attempt"]
    _block(style, "attempts, as far as the journal goes", "\n".join(lines))
    if is_open:
        which = letter.fingerprint if more else letter.letter
        print(style.bold("next"))
        print(f"  hookline dead-letters replay {printable(which)}")
        print(f"  hookline dead-letters drop {printable(which)}")


def _line(name: str, value: str) -> None:
    if value:
        print(f"  {name:<12} {printable(value)}")


def _block(style: Style, name: str, text: str) -> None:
    """Several lines; nothing in them that a terminal would obey."""
    if text.strip():
        print(style.bold(name))
        for line in text.strip("\n").split("\n"):
            print(f"  {printable(line.expandtabs())}")


def _pretty(event: bytes) -> str:
    """The event over several lines; numbers keep their text."""
    import msgspec

    try:
        pretty: bytes = msgspec.json.format(event, indent=2)
    except msgspec.MsgspecError:
        pretty = event
    return pretty.decode(errors="backslashreplace")


def _attempt(entry: "Entry") -> str:
    took = f", {entry.ms:.0f} ms" if entry.ms is not None else ""
    of = f" of the replay of {entry.replay}" if entry.replay else ""
    why = f": {entry.error}" if entry.error else ""
    return f"{entry.time}  attempt {entry.attempt}{of}: {entry.verdict}{took}{why}"


def _decision(letter: "DeadLetter", told: "list[Entry]") -> str:
    for entry in told:
        if entry.letter == letter.letter and entry.action in ("replay", "drop"):
            done = "replayed" if entry.action == "replay" else "dropped"
            return f"{done} {entry.time}" + (f" ({entry.reason})" if entry.reason else "")
    return "replayed or dropped"
