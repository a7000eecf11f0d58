"""The end of dead letters: open ones are dropped, and it is said; the lines go with their segment.

Nobody rewrites a log. The queue is closed by a rename like any other, about a day's letters
together, and a closed part of it is deleted when its last letter is old, and no replay of one in it
is pending: the letter may have the only copy of its event.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

import msgspec

from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.journal import letter_lines, open_letters_log, read_ledger
from hookline.dispatch.ledger import Ledger
from hookline.dispatch.letters import Wanted, drop_all, each_open
from hookline.log.home import Home
from hookline.log.lines import Line
from hookline.log.rotate import remove_segment, rotate_stream
from hookline.log.stream import Stream
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
    held: dict[str, int] = msgspec.field(default_factory=dict)
    """Letters in old files whose replay is still pending, by handler."""
    held_files: int = 0
    """Old files that stay for them: those, and all behind the first of those."""


Say = Callable[[Purged], None]
"""Tells whoever listens that open letters are dropped."""


def purge(home: Home, keep_s: float, clock: Clock, say: Say, *, dry_run: bool = False) -> Purged:
    """Drop the open letters that are older than that, and delete the files that have only old ones
    which nobody is still to replay.

    The newest closed part stays: ordinals would start again (docs/FORMAT.md section 2). Raises
    HooklineError; what is left then, the next purge finishes.
    """
    now_s = clock.now().timestamp()
    oldest_s = max(0.0, now_s - keep_s)
    purged = Purged(before=rfc3339(from_epoch_s(oldest_s)))
    old_ones = Wanted(until=purged.before)
    # Counted, then read once more: there may be more of them than memory.
    purged.dropped = dict(Counter(letter.handler for letter in each_open(home, old_ones)))
    if purged.dropped and not dry_run:
        # Said before it is done: a crash in between says it twice, never not at all.
        say(purged)
        drop_all(home, each_open(home, old_ones), clock, f"older than {purged.before}")
    with open_letters_log(home) as queue:
        begun = _first_time(home)
        if begun and begun < rfc3339(from_epoch_s(max(oldest_s, now_s - PART_S))) and not dry_run:
            rotate_stream(queue)
            # Whoever reads it with jq finds it still.
            with contextlib.suppress(OSError):
                home.dead_letters.touch(0o640)
        old = _old_parts(queue, oldest_s)
        # After the dropping: nobody can ask for the replay of what is left in them any more.
        held = held_parts(old, letter_lines(home), read_ledger(home)) if old else {}
        for ordinal, size in old.items():
            if ordinal in held:
                purged.held_files = sum(each >= ordinal for each in old)
                purged.held = dict(sum(held.values(), Counter()))
                break
            if not dry_run and not remove_segment(queue, ordinal, clock=clock):
                break
            purged.files += 1
            purged.bytes += size
    return purged


def _old_parts(queue: Stream, oldest_s: float) -> dict[int, int]:
    """The closed parts that were last written before that moment, but the newest, and their sizes
    in bytes."""
    old: dict[int, int] = {}
    for ordinal in queue.ordinals()[:-1]:
        path = queue.path(ordinal)
        status = os.stat(path) if path else None
        if status is None or status.st_mtime >= oldest_s:
            break
        old[ordinal] = status.st_size
    return old


def held_parts(
    parts: Collection[int], lines: Iterable[Line], ledger: Ledger
) -> dict[int, Counter[str]]:
    """Which of these parts have letters whose replay is pending, and how many for which handler.
    Pure; `lines` are those of the queue, in order."""
    pending = {
        each.replay: name
        for name, progress in ledger.handlers.items()
        for each in progress.pending.values()
    }
    held: dict[int, Counter[str]] = {}
    for line in lines if any(pending) else ():
        ordinal = line.position.segment
        if ordinal > max(parts):
            break
        letter = decode_letter(line.raw) if ordinal in parts else None
        if letter is not None and letter.letter in pending:
            held.setdefault(ordinal, Counter())[pending[letter.letter]] += 1
    return held


def _first_time(home: Home) -> str:
    """When the live file began; empty when there is nothing in it that says so."""
    with contextlib.suppress(FileNotFoundError), home.dead_letters.open("rb") as file:
        for line in file:
            letter = decode_letter(line)
            if letter is not None:
                return letter.time
    return ""
