"""Every way an event comes into a log, as something to be struck; and what has to be true then."""

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hookline.app.selftest.history import History, read_letters, read_runs
from hookline.cli.main import main
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.read import Record, domains, records
from hookline.log.stream import Stream
from testing.faults.injection import Ended, Strike, Target

LIB = Path(__file__).resolve().parents[2] / "scripts" / "events" / "lib"
LOGGER = LIB / "event-logger.sh"

_SOURCED = 'source "$1"; emit_event "$2" w "$3" && printf "%s\\n" "$HOOKLINE_EVENT_ID"'

# Tells of each run as History wants it; the domain is the key.
HANDLER = """\
key=${EVENT_TYPE%%.*}
printf 'begin %s %s %s %s\\n' "$EVENT_ID" "$key" "$EVENT_ATTEMPT" "${EPOCHREALTIME/./}" >>"$OUT"
printf 'end %s %s %s %s 0\\n' "$EVENT_ID" "$key" "$EVENT_ATTEMPT" "${EPOCHREALTIME/./}" >>"$OUT"
"""


@dataclass(frozen=True, slots=True)
class Emitter:
    """`target(home, type, text)` appends an event with this text as its data and prints its id;
    `again(home, type, id)` one with this id, as often as it is called."""

    name: str
    target: Callable[[Home, str, str], Target]
    is_command: bool = False
    again: Callable[[Home, str, str], Target] | None = None

    def __str__(self) -> str:
        return self.name


def _shell(*options: str) -> Callable[[Home, str, str], Target]:
    def target(_: Home, type: str, text: str) -> Target:
        return [LOGGER, *options, "--emit", type, "w", json.dumps(text)]

    return target


def _sourced(_: Home, type: str, text: str) -> Target:
    return ["bash", "-c", _SOURCED, "-", LOGGER, type, json.dumps(text)]


def _cli(*options: str) -> Callable[[Home, str, str], Target]:
    def target(home: Home, type: str, text: str) -> Target:
        arguments = ["emit", type, "--data", json.dumps(text), "--home", os.fspath(home.root)]
        return lambda: main([*arguments, *options])

    return target


def _log(sync: bool) -> Callable[[Home, str, str], Target]:
    def target(home: Home, type: str, text: str) -> Target:
        return lambda: print(Log(home).append(type, source="w", data=text, sync=sync).id)

    return target


def _event_again(*options: str) -> Callable[[Home, str, str], Target]:
    def target(_: Home, type: str, id: str) -> Target:
        event = {"specversion": "1.0", "id": id, "source": "w", "type": type, "data": 1}
        return [LOGGER, *options, json.dumps(event)]

    return target


def _cli_again(*options: str) -> Callable[[Home, str, str], Target]:
    def target(home: Home, type: str, id: str) -> Target:
        arguments = ["emit", type, "--source", "w", "--id", id, "--home", os.fspath(home.root)]
        return lambda: main([*arguments, *options])

    return target


def _log_again(sync: bool) -> Callable[[Home, str, str], Target]:
    def target(home: Home, type: str, id: str) -> Target:
        return lambda: print(Log(home).append(type, source="w", id=id, sync=sync).id)

    return target


def _batch(home: Home, type: str, text: str) -> Target:
    def append() -> None:
        with Log(home).batch() as log:
            found = [log.append(type, source="w", data=text) for _ in range(3)]
        print(*(event.id for event in found), sep="\n")

    return append


EMITTERS = [
    Emitter("sourced", _sourced, True),
    Emitter("event-logger", _shell(), True, _event_again()),
    Emitter("event-logger --sync", _shell("--sync"), True, _event_again("--sync")),
    Emitter("hookline emit", _cli(), again=_cli_again()),
    Emitter("hookline emit --sync", _cli("--sync"), again=_cli_again("--sync")),
    Emitter("Log.append", _log(False), again=_log_again(False)),
    Emitter("Log.append sync", _log(True), again=_log_again(True)),
    Emitter("Log.batch", _batch),
]


def struck(strike: Strike, emitter: Emitter, home: Home, target: Target, **options: Any) -> Ended:
    """Strike at an emitter's target; of a command, only calls on the home count, for all others are
    its start-up."""
    if emitter.is_command:
        options.setdefault("paths", paths_of(home))
        options["env"] = {**os.environ, "HOOKLINE_HOME": os.fspath(home.root)}
    return strike(target, **options)


def paths_of(home: Home) -> list[Path]:
    """What appending to the logs `a` and `b` touches, but for files with names of their own."""
    return [home.live("a"), home.live("b"), home.events, home.data, home.locked_append]


def stored(home: Home, domain: str) -> list[Record]:
    """What a reader finds in the log of a domain, its torn tail closed off."""
    found: list[Record] = []
    with Stream.of_domain(home, domain) as stream:
        stream.heal()
        position = stream.first()
        while True:
            chunk = stream.read(position, patient=False)
            found += records(chunk)
            if chunk.next == position:
                return found
            position = chunk.next


def identities(found: list[Record]) -> list[str]:
    """The ids of the events among them, in order."""
    return [record.event.id for record in found if record.event is not None]


def problems(bench: Any, acknowledged: set[str]) -> list[str]:
    """What a dispatcher makes of the home, held against what the writers were told.

    Delivers everything; then what is acknowledged was delivered, nothing else was, no identity
    twice, each domain in its order, and `rejected/` has each piece that is no event.
    """
    bench.shell("on-all.sh", HANDLER, "# on: *   key: type   attempts: 1   from: beginning")
    found = {domain: stored(bench.home, domain) for domain in domains(bench.home)}
    bench.drain()
    runs = read_runs(bench.out)
    logged = {domain: identities(each) for domain, each in found.items()}
    history = History(
        acknowledged=acknowledged,
        runs=runs,
        letters=read_letters(bench.home.dead_letters),
        known={event for events in logged.values() for event in events},
        order={domain: list(dict.fromkeys(events)) for domain, events in logged.items()},
        attempts_max=1,
    )
    wrong = history.problems()
    twice = [event for event, times in Counter(run.event for run in runs).items() if times > 1]
    wrong += [f"delivered twice: {event}" for event in twice]
    pieces = sum(record.kind == "torn" for each in found.values() for record in each)
    kept = list(bench.home.rejected.iterdir()) if bench.home.rejected.is_dir() else []
    if len(kept) != pieces:
        wrong.append(f"{pieces} pieces, {len(kept)} in rejected/")
    return wrong
