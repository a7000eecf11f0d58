"""A dispatcher's work as lines for people."""

from typing import TextIO

from hookline.cli.output import Style
from hookline.dispatch.dispatcher import Dispatcher
from hookline.dispatch.ledger import Entry
from hookline.dispatch.roster import Roster
from hookline.log.home import Home
from hookline.log.read import Record
from hookline.model.errors import printable

_COLOURS = {
    "done": "green",
    "skipped": "dim",
    "retry": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "timeout": "red",
    "rejected": "red",
    "broken": "red",
    "looped": "red",
}
_DATA_CHARS_MAX = 100


class Show:
    """Prints what a dispatcher does: what it noted, and if wanted each event and each attempt."""

    def __init__(self, out: TextIO, *, events: bool = False, attempts: bool = False) -> None:
        self._out = out
        self._style = Style(out)
        self._events = events
        self._attempts = attempts
        self.arrivals = 0

    def arrived(self, domain: str, record: Record) -> None:  # noqa: ARG002  # a Spectator
        """An event: when, what, from whom, the beginning of its data."""
        event = record.event
        self.arrivals += 1
        if not self._events or event is None:
            return
        data = bytes(event.data or b"").decode()
        data = data if len(data) <= _DATA_CHARS_MAX else f"{data[:_DATA_CHARS_MAX]}…"
        style = self._style
        self._print(
            f"{style.dim(event.time[11:23])}  {style.bold(event.type)}  "
            f"{style.cyan(printable(event.source))}  {printable(data)}"
        )

    def entered(self, entry: Entry) -> None:
        """An attempt: which handler, what it said, how long it took, what follows."""
        if not self._attempts or entry.action not in ("attempt", "batch", "paused", "resumed"):
            return
        style = self._style
        verdict = entry.verdict or entry.action
        words = style.paint(f"{verdict:<8}", _COLOURS.get(verdict, "yellow"))
        took = f"{entry.ms:.0f} ms" if entry.ms is not None else ""
        line = f"              └ {entry.handler:<30} {words} {took:>8}"
        if entry.events:
            line += f"  {entry.events} events"
        if entry.attempt > 1:
            line += f"  attempt {entry.attempt}"
        if entry.then == "retry":
            line += "  will be tried again"
        elif entry.then == "dead-letter":
            line += "  dead letter: hookline dead-letters show " + entry.handler + ":" + entry.event
        why = entry.error or entry.reason
        self._print(line + (f"  {printable(why)}" if why else ""))

    def noted(self, text: str) -> None:
        """Something that needs eyes."""
        self._print(self._style.paint(f"hookline: {printable(text)}", "yellow"))

    def welcome(self, home: Home, roster: Roster, programs: list[str]) -> None:
        """What runs, and what to try next."""
        style = self._style
        self._print(f"{style.bold('Hookline')} runs in {home.root}; Ctrl-C ends it.")
        names = " ".join(listener.name for listener in roster)
        self._print(f"  {len(roster.listeners)} handlers   {names or 'none yet'}")
        self._print(f"  {len(programs)} programs   {' '.join(programs) or 'none'}")
        self._print(
            '  try         echo \'{"type":"system.cleanup_needed","data":{"cleanup_type":"temp_files"}}\' '
            f"> {home.events}/.try && mv {home.events}/.try {home.queue}/try.json"
        )
        self._print(
            f"  look        tail -f {home.events}/*-events.jsonl | jq .   or   hookline status"
        )
        self._print("")

    def farewell(self, home: Home, bus: Dispatcher, ran_s: float) -> None:
        """What was done, and where to look."""
        self._print("")
        self._print(
            f"Ended after {ran_s:.0f} s: {self.arrivals} events came, {bus.settled} deliveries were settled, "
            f"{bus.letters} of them as dead letters."
        )
        self._print(f"  {home.deliveries} says it all; scripts/start.sh goes on from here.")

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)
