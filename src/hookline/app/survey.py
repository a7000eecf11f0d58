"""How a home does, read from its files: works while a dispatcher runs, and when none does."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import msgspec

from hookline.app.config import load_config
from hookline.app.environment import passed_environment
from hookline.dispatch.handlers import Handler, Handlers, discover
from hookline.dispatch.journal import read_ledger
from hookline.dispatch.ledger import Ledger, Progress
from hookline.dispatch.letters import each_open
from hookline.dispatch.lock import holder
from hookline.dispatch.python_runner import describe
from hookline.dispatch.replays import Known, go_on, is_asked_for
from hookline.dispatch.start import start_position
from hookline.log.home import Home
from hookline.log.read import domains
from hookline.log.stream import Stream
from hookline.model.errors import HooklineError


class HandlerView(msgspec.Struct, kw_only=True):
    """A handler as `hookline handlers` shows it: one that listens, or one that is `gone` or
    `refused` and for which something waits. `behind_bytes` is how much of its logs it has not
    settled."""

    name: str
    on: tuple[str, ...] = ()
    run: str = ""
    state: str
    behind_bytes: int = 0
    waiting: int = 0
    replays: int = 0
    """How many of those that wait or run were asked for again."""
    due_at_s: float | None = None
    """When the first of those that wait may run, in seconds since 1970; null: none waits."""
    running: int = 0
    dead_letters: int = 0
    paused: str = ""
    held: str = ""
    timeout_s: float = 0.0
    attempts: int = 0
    concurrency: int = 1
    key: str = ""
    batch: int = 1
    """How many events a run of a shell handler may have."""
    window: int = 1
    """How many events a stream handler may have in its hands."""


class DomainView(msgspec.Struct, kw_only=True):
    """A domain as `hookline status` shows it."""

    domain: str
    bytes: int
    segments: int
    modified: float | None
    """When its live log was written to last, in seconds since 1970."""


class ReplayView(msgspec.Struct, kw_only=True):
    """A replay that has still something to ask for."""

    replay: str
    handler: str
    asked: int
    """For how many events so far."""
    is_asked_for: bool
    """Whether a process is at it just now."""
    next: str
    """What goes on with it."""


class Survey(msgspec.Struct, kw_only=True):
    """A home at one moment."""

    root: str
    dispatcher: int | None
    """The process that dispatches, or null."""
    domains: list[DomainView]
    handlers: list[HandlerView]
    refused: list[str]
    dead_letters: int
    drop_box: int
    rejected: int


def survey(home: Home) -> Survey:
    """Look at everything once."""
    found = find_handlers(home)
    ledger = read_ledger(home)
    letters: dict[str, int] = {}
    for letter in each_open(home):
        letters[letter.handler] = letters.get(letter.handler, 0) + 1
    with ExitStack() as stack:
        streams = {
            domain: stack.enter_context(Stream.of_domain(home, domain)) for domain in domains(home)
        }
        return Survey(
            root=str(home.root),
            dispatcher=holder(home),
            domains=[_domain(home, domain, stream) for domain, stream in sorted(streams.items())],
            handlers=[
                *(_handler(each, ledger, streams, letters) for each in found.handlers),
                *_absent(found, ledger, letters),
            ],
            refused=[each.reason for each in found.refused],
            dead_letters=sum(letters.values()),
            drop_box=_count(home.queue, ".json"),
            rejected=_count(home.rejected, ".json"),
        )


def find_handlers(home: Home) -> Handlers:
    """The handlers folder as it is now."""
    config = load_config(home)
    passed = passed_environment(config)
    return discover(home.handlers, partial(describe, passed=passed), cortex=config.is_cortex)


def _handler(
    handler: Handler, ledger: Ledger, streams: dict[str, Stream], letters: dict[str, int]
) -> HandlerView:
    progress = ledger.handlers.get(handler.name, Progress())
    view = _view(handler.name, _state(progress), progress, letters)
    view.on = handler.patterns
    view.run = handler.kind
    view.behind_bytes = sum(_behind(progress, handler, streams))
    view.paused = progress.paused
    view.held = progress.held
    view.timeout_s = handler.policy.timeout_s
    view.attempts = handler.policy.attempts
    view.concurrency = handler.concurrency
    view.key = ".".join(handler.key)
    view.batch = handler.batch
    view.window = handler.window if handler.kind == "stream" else 1
    return view


def _absent(found: Handlers, ledger: Ledger, letters: dict[str, int]) -> Iterator[HandlerView]:
    """Those that do not listen, and for which something waits."""
    there = {each.name for each in found.handlers}
    refused = {each.name for each in found.refused}
    for name, progress in sorted(ledger.handlers.items()):
        if name not in there and progress.pending:
            yield _view(name, "refused" if name in refused else "gone", progress, letters)


def _view(name: str, state: str, progress: Progress, letters: dict[str, int]) -> HandlerView:
    running = sum(each.running for each in progress.pending.values())
    dues = [each.due_at_s for each in progress.pending.values() if not each.running]
    return HandlerView(
        name=name,
        state=state,
        waiting=len(dues),
        due_at_s=min(dues, default=None),
        replays=sum(bool(each.replay) for each in progress.pending.values()),
        running=running,
        dead_letters=letters.get(name, 0),
    )


def open_replays(home: Home) -> list[ReplayView]:
    """The replays that are not over."""
    known = Known(home)
    asked_for = {each.replay.name: is_asked_for(home, each.replay.name) for each in known.open()}
    # Looked at once more: the last one who asked may have said meanwhile that it is over.
    return [
        ReplayView(
            replay=each.replay.name,
            handler=each.replay.handler,
            asked=each.asked,
            is_asked_for=asked_for.get(each.replay.name, True),
            next=go_on(each.replay.name),
        )
        for each in known.open()
    ]


def deliverable(found: Survey, now_s: float) -> bool:
    """Whether a dispatcher would find something to do at this moment, in seconds since 1970."""
    able = [each for each in found.handlers if each.state in ("listening", "new")]
    return found.drop_box > 0 or any(
        each.behind_bytes or each.running or (each.due_at_s is not None and each.due_at_s <= now_s)
        for each in able
    )


def stopped(name: str, paused: str, held: str) -> Iterator[str]:
    """What keeps a handler from its events, and what helps."""
    if paused:
        yield f"{name} is paused ({paused}): hookline handlers resume {name}"
    if held:
        yield f"{name} cannot be run, and its events wait: {held}"


def gone(home: Home, found: Survey) -> Iterator[str]:
    """What waits for handlers that are gone, and what helps."""
    for each in found.handlers:
        if each.state == "gone":
            count = each.waiting + each.running
            yield (
                f"{each.name} is gone; deliveries that wait for it: {count}, replays among them: "
                f"{each.replays}; put its file back into {home.handlers}, or one that ends with "
                "exit 99 to skip them, then hookline dispatch --once"
            )


def _state(progress: Progress) -> str:
    if progress.paused:
        return "paused"
    if progress.held:
        return "held"
    return "listening" if progress.cursors else "new"


def _behind(progress: Progress, handler: Handler, streams: dict[str, Stream]) -> Iterator[int]:
    """How many bytes of each domain lie behind the cursor, or the start that it would have, closed
    segments by their size on disk."""
    for domain in handler.domains(list(streams)):
        stream, cursor = streams.get(domain), progress.cursors.get(domain)
        if stream is None:
            continue
        try:
            read = cursor.position if cursor else start_position(stream, handler)
        except HooklineError:
            continue  # what is wrong with its log is for `hookline verify` to say
        end = stream.end()
        if end.segment == read.segment:
            yield max(0, end.offset - read.offset)
            continue
        yield end.offset - read.offset
        for ordinal in stream.ordinals():
            path = stream.path(ordinal) if ordinal >= read.segment else None
            if path is not None:
                yield path.stat().st_size


def _domain(home: Home, domain: str, stream: Stream) -> DomainView:
    try:
        status = os.stat(home.live(domain))
    except FileNotFoundError:
        status = None
    return DomainView(
        domain=domain,
        bytes=status.st_size if status else 0,
        segments=len(stream.ordinals()),
        modified=status.st_mtime if status else None,
    )


def _count(folder: os.PathLike[str], suffix: str) -> int:
    try:
        return sum(
            1
            for name in os.listdir(folder)
            if name.endswith(suffix) and not name.startswith(".") and ".reason." not in name
        )
    except FileNotFoundError:
        return 0
