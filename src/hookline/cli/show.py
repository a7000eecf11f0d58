"""A dispatcher's work as lines for people."""

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

from hookline.app.config import Program
from hookline.cli.output import Style
from hookline.dispatch.dispatcher import Dispatcher
from hookline.dispatch.ledger import Entry, encode, letter_of
from hookline.dispatch.roster import Roster
from hookline.log.home import Home
from hookline.log.stretch import Stretch
from hookline.model.errors import printable
from hookline.model.event import Event
from hookline.schedule.tick import SOURCE as TICK_SOURCE

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


class Show:
    """Prints what a dispatcher does: what it noted, and if wanted each event and each attempt."""

    def __init__(self, out: TextIO, *, events: bool = False, attempts: bool = False) -> None:
        self._out = out
        self._style = Style(out)
        self._events = events
        self._attempts = attempts
        self._width = shutil.get_terminal_size((120, 24)).columns
        self.arrivals = 0

    def arrived(self, domain: str, events: Stretch) -> None:  # noqa: ARG002  # a Spectator
        """Each event: when, what, from whom, the beginning of its data."""
        self.arrivals += len(events)
        if self._events:
            for event in events.events:
                if not self.passed_over(event):
                    self._show(event)

    def passed_over(self, event: Event) -> bool:  # noqa: ARG002  # for those that know who listens
        """Whether an event is not worth a line."""
        return False

    def _show(self, event: Event) -> None:
        style = self._style
        ending = "  unhandled" if self.unhandled(event.type) else ""
        head = f"{event.time[11:23]}  {event.type:<24}  {printable(event.source)}"
        room = self._width - len(head) - len(ending) - 2
        data = printable(bytes(event.data or b"").decode())
        if len(data) > room:
            data = f"{data[: max(room - 1, 0)]}…"
        self._print(
            f"{style.dim(event.time[11:23])}  {style.bold(f'{event.type:<24}')}  "
            f"{style.cyan(printable(event.source))}  {data}{style.paint(ending, 'yellow')}"
        )

    def unhandled(self, type: str) -> bool:  # noqa: ARG002  # for those that know who listens
        """Whether it is to be said that no handler wants events of this type."""
        return False

    def entered(self, entry: Entry) -> None:
        """An attempt: which handler, what it said, how long it took, what follows."""
        if not self._attempts or entry.action not in ("attempt", "batch", "paused", "resumed"):
            return
        style = self._style
        verdict = entry.verdict or entry.action
        words = style.paint(f"{verdict:<8}", _COLOURS.get(verdict, "yellow"))
        took = f"{entry.ms:.{1 if entry.ms < 10 else 0}f} ms" if entry.ms is not None else ""
        lead = "              └" if self._events else style.dim(entry.time[11:23]) + " "
        line = f"{lead} {entry.handler:<30} {words} {took:>8}"
        if entry.events:
            line += f"  {entry.events} events"
        if entry.attempt > 1:
            line += f"  attempt {entry.attempt}"
        if entry.then == "retry":
            line += "  will be tried again"
        elif entry.then == "dead-letter":
            letter = letter_of(entry.handler, entry.domain, entry.source, entry.event, entry.replay)
            line += f"  dead letter: hookline dead-letters show {letter}"
        why = entry.error or entry.reason
        self._print(line + (f"  {printable(why)}" if why else ""))

    def noted(self, text: str) -> None:
        """Something that needs eyes."""
        self._print(self._style.paint(f"hookline: {printable(text)}", "yellow"))

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The terminal was closed: there is nobody to show it to, and work to end in order.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)


class Lines(Show):
    """`hookline dispatch --json`: each line of the journal as it is written."""

    def entered(self, entry: Entry) -> None:
        """The line itself."""
        self._print(encode(entry).decode())

    def noted(self, text: str) -> None:
        """Notes are for people: on stderr."""
        print(f"hookline: {printable(text)}", file=sys.stderr, flush=True)


class Stage(Show):
    """`hookline up`: all that happens, with a first and a last word."""

    def __init__(self, out: TextIO, home: Home, *, quiet: bool) -> None:
        super().__init__(out, events=not quiet, attempts=not quiet)
        self._home = home
        self._roster: Roster | None = None
        self._ticked: set[str] = set()

    def passed_over(self, event: Event) -> bool:
        """Of ticks that nobody wants, the first of each type is enough: a heartbeat would fill the
        screen."""
        if event.source != TICK_SOURCE or not self.unhandled(event.type):
            return False
        known = event.type in self._ticked
        self._ticked.add(event.type)
        return known

    def unhandled(self, type: str) -> bool:
        """Whether no handler wants it: that is shown, not hidden."""
        return self._roster is not None and not any(each.wants(type) for each in self._roster)

    def welcome(self, roster: Roster, programs: Mapping[str, Program]) -> None:
        """What runs, and what to try next."""
        self._roster = roster
        style = self._style
        where = self._home.coordination
        self._print(f"{style.bold('Hookline')} runs in {self._home.root}; Ctrl-C ends it.\n")
        if not self._home.handlers.is_dir():
            root = shlex.quote(str(self._home.root))
            self._print(f"  no handlers: {self._home.handlers} is missing: hookline init {root}")
        for listener in roster:
            wants = " ".join(listener.handler.patterns)
            self._print(f"  handler  {listener.name:<28} {style.dim(f'on {wants}')}")
        for name, program in programs.items():
            self._print(f"  program  {name:<28} {style.dim(program.about)}")
        event = '{"specversion":"1.0","type":"system.cleanup_needed","data":{}}'
        logs, dropped = shlex.quote(f"{where}/events"), shlex.quote(f"{where}/try.json")
        logger = shlex.quote(f"{self._home.root}/scripts/events/lib/event-logger.sh")
        self._print("\nIn another terminal, to see it and to take part:")
        self._print(f"  tail -qF {logs}/*-events.jsonl | jq .")
        self._print(f"  echo '{event}' >{dropped} && mv {dropped} {logs}/queue/")
        self._print(f"  {logger} --emit hello.world me '{{\"n\":1}}'\n")

    def farewell(self, bus: Dispatcher, ran_s: float) -> None:
        """What was done, and where to look."""
        self._print(
            f"\nEnded after {ran_s:.0f} s. Events: {self.arrivals}. "
            f"Deliveries settled: {bus.settled}, dead letters among them: {bus.letters}. "
            "What is emitted now waits in the logs."
        )
        self._print(f"  what was delivered   jq . {shlex.quote(str(self._home.deliveries))}")
        if bus.letters:
            self._print("  what was given up    hookline dead-letters list")
