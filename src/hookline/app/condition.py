"""What a home has stored and what it runs on: what a person in trouble looks for first."""

import ctypes
import os
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from hookline.app.leftovers import SELFTEST, dead_folders
from hookline.dispatch.index_check import journal_differs
from hookline.dispatch.journal import STATE_FILE, open_journal, read_ledger, spare_segments
from hookline.dispatch.letters import damaged_places, groups, open_letters
from hookline.dispatch.lock import holder
from hookline.dispatch.state import health
from hookline.log.holders import holders
from hookline.log.home import Home
from hookline.log.lease import is_open_for_writing
from hookline.log.opened import open_read
from hookline.log.read import domains, records
from hookline.log.stream import Stream
from hookline.log.tail import start_of_last
from hookline.model.clock import Clock, parse_rfc3339
from hookline.model.errors import HooklineError, printable

FREE_BYTES_MIN: Final = 200 << 20
FREE_SHARE_MIN: Final = 0.02
OLD_S: Final = 2 * 86_400.0
"""A closed segment that is still not compressed then is one that nobody archives."""
AHEAD: Final = timedelta(seconds=60)
TORN_S: Final = 5.0
GROUPS_SHOWN: Final = 3


class Finding(NamedTuple):
    """What one check came to; a `note` is well enough, and worth to be known."""

    check: str
    well: bool
    found: str
    next: str = ""
    note: bool = False


def condition(home: Home, clock: Clock) -> Iterator[Finding]:
    """Everything about what lies in a home, in the order in which to mend."""
    yield from _disk(home)
    yield _inotify()
    yield _index(home)
    yield from _dead_selftests(home)
    try:
        yield _journal(home)
        yield from _handlers(home)
        yield from _letters(home)
        for domain in domains(home):
            with Stream.of_domain(home, domain) as stream:
                yield from _log(home, domain, stream, clock)
    except HooklineError as error:
        yield Finding("logs", False, str(error), "hookline verify")


def _disk(home: Home) -> Iterator[Finding]:
    usage = shutil.disk_usage(home.coordination)
    text = f"{usage.free >> 20} MiB free of {usage.total >> 20}"
    short = usage.free < min(FREE_BYTES_MIN, usage.total * FREE_SHARE_MIN)
    yield Finding("disk", not short, text, "make room, or hookline archive" if short else "")
    status = os.statvfs(home.coordination)
    # Some file systems count no inodes and say 0.
    if status.f_files:
        few = status.f_favail < min(10_000, status.f_files * FREE_SHARE_MIN)
        text = f"{status.f_favail} inodes free of {status.f_files}"
        yield Finding("inodes", not few, text, "delete small files" if few else "")


def _inotify() -> Finding:
    descriptor = ctypes.CDLL(None, use_errno=True).inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return Finding(
            "inotify", False, "no instance is left: logs are looked at ten times a second instead",
            "sysctl fs.inotify.max_user_instances=512",
        )  # fmt: skip
    os.close(descriptor)
    watches = Path("/proc/sys/fs/inotify/max_user_watches")
    limit = watches.read_text().strip() if watches.exists() else "?"
    return Finding("inotify", True, f"at most {limit} watches a user")


def _index(home: Home) -> Finding:
    path = home.state / STATE_FILE
    if not path.exists():
        return Finding("index", True, "there is none: the next dispatcher makes it", note=True)
    wrong = health(path)
    if wrong:
        return Finding("index", False, f"{path}: {wrong}", "hookline rebuild")
    return Finding("index", True, f"sound, {path.stat().st_size >> 10} KiB")


def _dead_selftests(home: Home) -> Iterator[Finding]:
    for folder in dead_folders(home.coordination, SELFTEST):
        text = f"{folder} is left of a test that was killed; the next one removes it"
        yield Finding("selftest", True, text, "hookline selftest", True)


def _journal(home: Home) -> Finding:
    if lost := journal_differs(home):
        return Finding("journal", False, lost.how, lost.next)
    with open_journal(home) as stream:
        closed = len(stream.ordinals())
    size = home.deliveries.stat().st_size if home.deliveries.exists() else 0
    spare = len(spare_segments(home))
    text = f"{size >> 10} KiB, {closed} closed parts, {spare} of them not needed any more"
    return Finding("journal", True, text, "hookline archive" if spare > 1 else "", spare > 1)


def _handlers(home: Home) -> Iterator[Finding]:
    for name, progress in read_ledger(home).handlers.items():
        if progress.paused:
            text = f"{name} is paused: {printable(progress.paused)}"
            yield Finding("paused", True, text, f"hookline handlers resume {name}", True)
        elif progress.held:
            text = f"{name} cannot be run: {printable(progress.held)}"
            yield Finding("held", False, text, "mend the file: it is tried again every minute")


def _letters(home: Home) -> Iterator[Finding]:
    if damaged := sum(1 for _ in damaged_places(home)):
        text = f"damaged places of {home.dead_letters}: {damaged}"
        yield Finding("damaged letters", False, text, "hookline verify")
    found = groups(open_letters(home))
    for group in islice(found, GROUPS_SHOWN):
        text = f"{group.letters} of {group.handler}: {printable(group.error)[:80]}"
        yield Finding("dead letters", True, text, "hookline dead-letters", True)
    if len(found) > GROUPS_SHOWN:
        text = f"{len(found) - GROUPS_SHOWN} groups more"
        yield Finding("dead letters", True, text, "hookline dead-letters", True)


def _log(home: Home, domain: str, stream: Stream, clock: Clock) -> Iterator[Finding]:
    live = home.live(domain)
    try:
        if stream.tail_torn() and time.time() - live.stat().st_mtime > TORN_S:
            runs = holder(home) is not None
            then = "" if runs else "hookline dispatch --once"
            yield Finding("tail", True, f"{live} ends in the middle of a line", then, True)
        yield from _clock(domain, stream, clock)
    except HooklineError as error:
        yield Finding("log", False, f"{domain}: {error}", "hookline verify")
        return
    old = 0
    for ordinal in stream.ordinals():
        path = stream.path(ordinal)
        if path is None or path.suffix == ".zst":
            continue
        old += time.time() - path.stat().st_mtime > OLD_S
        yield from _held_open(domain, path)
    if old:
        text = f"{domain}: {old} closed segments are not compressed for days"
        yield Finding("segments", True, text, "hookline archive", True)


def _clock(domain: str, stream: Stream, clock: Clock) -> Iterator[Finding]:
    for record in records(stream.read(start_of_last(stream, 1), patient=False)):
        if record.event is not None:
            ahead = parse_rfc3339(record.event.time) - clock.now()
            if ahead > AHEAD:
                yield Finding(
                    "clock", False,
                    f"the last event of {domain} is {ahead.total_seconds():.0f} s ahead of the "
                    "clock", "timedatectl",
                )  # fmt: skip


def _held_open(domain: str, path: Path) -> Iterator[Finding]:
    try:
        fd = open_read(os.fspath(path))
    except (OSError, HooklineError):
        # Compressed or deleted meanwhile, or not ours to read: verify says which.
        return
    try:
        if not is_open_for_writing(fd):
            return
    finally:
        os.close(fd)
    who = ", ".join(f"{each.name} ({each.pid})" for each in holders(path)) or "a process"
    yield Finding(
        "writer", False, f"{domain}: {who} has the closed segment {path.name} open, and keeps its "
        "readers waiting", f"end {who}",
    )  # fmt: skip
