"""The end of dead letters: open ones are dropped, and it is said; the lines go with their segment.

Nobody rewrites a log. The queue is closed by a rename like any other, about a day's letters
together, and a closed part of it is deleted when its last letter is old.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from hookline.dispatch.books import DeadLetter
from hookline.dispatch.journal import open_letters_log
from hookline.dispatch.letters import Wanted, drop_all, each_open
from hookline.log.home import Home
from hookline.log.rotate import remove_segment, rotate_stream
from hookline.model.clock import Clock, from_epoch_s, rfc3339

PART_S: Final = 86_400.0
"""How much time the live file spans before it is closed."""


class Purged(msgspec.Struct, kw_only=True):
    """What was purged, or would be."""

    before: str
    """Letters from before that time."""
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    """The open ones, by handler."""
    files: int = 0
    bytes: int = 0


Say = Callable[[Purged], None]
"""Tells whoever listens that open letters are dropped."""


def purge(home: Home, keep_s: float, clock: Clock, say: Say, *, dry_run: bool = False) -> Purged:
    """Drop the open letters that are older than that, and delete the files that have only old ones.

    The newest closed part stays: ordinals would start again (docs/FORMAT.md section 2). Raises
    HooklineError; what is left then, the next purge finishes.
    """
    now_s = clock.now().timestamp()
    oldest_s = max(0.0, now_s - keep_s)
    purged = Purged(before=rfc3339(from_epoch_s(oldest_s)))
    found = list(each_open(home, Wanted(until=purged.before)))
    purged.dropped = dict(Counter(letter.handler for letter in found))
    if found and not dry_run:
        # Said before it is done: a crash in between says it twice, never not at all.
        say(purged)
        drop_all(home, found, clock, f"older than {purged.before}")
    with open_letters_log(home) as queue:
        begun = _first_time(home)
        if begun and begun < rfc3339(from_epoch_s(max(oldest_s, now_s - PART_S))) and not dry_run:
            rotate_stream(queue)
            # Whoever reads it with jq finds it still.
            with contextlib.suppress(OSError):
                home.dead_letters.touch(0o640)
        for ordinal in queue.ordinals()[:-1]:
            path = queue.path(ordinal)
            status = os.stat(path) if path else None
            if status is None or status.st_mtime >= oldest_s:
                break
            if not dry_run and not remove_segment(queue, ordinal, clock=clock):
                break
            purged.files += 1
            purged.bytes += status.st_size
    return purged


def _first_time(home: Home) -> str:
    """When the live file began; empty when there is nothing in it that says so."""
    with contextlib.suppress(FileNotFoundError), home.dead_letters.open("rb") as file:
        for line in file:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                return msgspec.json.decode(line, type=DeadLetter).time
    return ""
