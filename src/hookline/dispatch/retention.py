"""Which closed segments may be deleted, and which handler still needs one.

What a handler needs is what the next dispatcher would read for it: by its cursor, by the deliveries
that it has not settled, and, where it has no cursor yet, by the start that its header asks for. And
what a replay to it, that was begun and is not over, has still to ask for.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from hookline.dispatch.handlers import Handler, Handlers
from hookline.dispatch.ledger import Ledger, Progress
from hookline.dispatch.replays import Begun, chosen
from hookline.dispatch.start import start_position
from hookline.log.home import Home
from hookline.log.stream import Stream
from hookline.model.position import Position


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A closed segment as its file shows it."""

    ordinal: int
    size: int
    """Bytes on disk."""
    written_s: float
    """When it was written to last, in seconds since 1970."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A handler still has something to read, from `position` on."""

    handler: str
    position: Position
    why: Literal["cursor", "waiting", "start", "replay"]
    """Its cursor is there; an unsettled delivery lies there; it will start there; a replay has
    still to ask for what lies there."""
    replay: str = ""
    """The name of that replay."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that is old enough and stays, and for whom."""

    segment: Segment
    by: tuple[Need, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become of a domain's old segments."""

    delete: tuple[Segment, ...] = ()
    held: tuple[Held, ...] = ()


def plan(segments: Sequence[Segment], needs: Sequence[Need], written_before_s: float) -> Plan:
    """Which of a log's closed segments (ascending) are to be deleted: those written last before
    that moment. Pure.

    A log is shortened at its beginning only: readers at a hole would take the log for replaced. The
    newest closed segment stays, or ordinals would start again (docs/FORMAT.md section 2).
    """
    delete: list[Segment] = []
    held: list[Held] = []
    for segment in segments[:-1]:
        if segment.written_s >= written_before_s:
            break
        by = tuple(need for need in needs if need.position.segment <= segment.ordinal)
        if by:
            held.append(Held(segment=segment, by=by))
        else:
            delete.append(segment)
    return Plan(delete=tuple(delete), held=tuple(held))


def needs(
    home: Home,
    domain: str,
    stream: Stream,
    found: Handlers,
    ledger: Ledger,
    replays: Iterable[Begun] = (),
) -> tuple[list[Need], list[Need]]:
    """What the handlers still need of a domain, and what those would that listen to it no more.

    A file that is refused just now (its mode, its header) may be mended: its cursors count. A file
    that is gone does not listen; one whose header names the domain no more has only what it was
    given before, or is to be given again. Raises as `start_position` does.
    """
    kept: list[Need] = []
    gone: list[Need] = []
    for handler in found.handlers:
        if domain in handler.domains([domain]):
            kept += _first(_of_listener(handler, domain, stream, ledger))
        else:
            progress = ledger.handlers.get(handler.name, Progress())
            kept += _first(_waiting(handler.name, progress, domain))
            gone += _cursor(handler.name, progress, domain)
    known = {handler.name for handler in found.handlers}
    for name, progress in ledger.handlers.items():
        if name not in known:
            listens = _may_come_back(home, name)
            (kept if listens else gone).extend(_first(_of_progress(name, progress, domain)))
    for need in _of_replays(home, domain, found, replays):
        listens = need.handler in known or _may_come_back(home, need.handler)
        (kept if listens else gone).append(need)
    return kept, gone


def _of_replays(
    home: Home, domain: str, found: Handlers, replays: Iterable[Begun]
) -> Iterator[Need]:
    """What each of these replays has still to ask for, from the first event on."""
    handlers = {handler.name: handler for handler in found.handlers}
    for begun in replays:
        handler = handlers.get(begun.replay.handler)
        for left in chosen(home, begun, lambda _: None, domain):
            event = left.record.event
            if event is not None and (handler is None or handler.wants(event.type)):
                yield need_of(begun, left.record.position)
                break


def need_of(begun: Begun, position: Position) -> Need:
    """That of a replay, from there on."""
    replay = begun.replay
    return Need(handler=replay.handler, position=position, why="replay", replay=replay.name)


def _may_come_back(home: Home, name: str) -> bool:
    """Whether a handler's file is there; a folder that is not there at all says nothing of it."""
    return not home.handlers.is_dir() or os.path.lexists(home.handlers / name)


def _of_listener(handler: Handler, domain: str, stream: Stream, ledger: Ledger) -> Iterator[Need]:
    progress = ledger.handlers.get(handler.name, Progress())
    yield from _of_progress(handler.name, progress, domain)
    if domain not in progress.cursors:
        position = start_position(stream, handler)
        yield Need(handler=handler.name, position=position, why="start")


def _of_progress(name: str, progress: Progress, domain: str) -> Iterator[Need]:
    yield from _cursor(name, progress, domain)
    yield from _waiting(name, progress, domain)


def _cursor(name: str, progress: Progress, domain: str) -> Iterator[Need]:
    cursor = progress.cursors.get(domain)
    if cursor is not None:
        yield Need(handler=name, position=cursor.position, why="cursor")


def _waiting(name: str, progress: Progress, domain: str) -> Iterator[Need]:
    for pending in progress.pending.values():
        if pending.domain == domain:
            yield Need(handler=name, position=pending.position, why="waiting")


def _first(needs: Iterator[Need]) -> list[Need]:
    """The one that reaches back furthest."""
    return sorted(needs, key=lambda need: need.position)[:1]
