"""One handler, one event, a home that is thrown away: what it says, what it emits, what it writes.

The handler runs as it always does, by the dispatcher that always runs it; only HOOKLINE_HOME leads
somewhere else, with copies of the scripts, the configuration, the layers and the schemas.
"""

import contextlib
import difflib
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.app.bus import SOURCE, dispatcher
from hookline.app.init import link_command, make_folder, make_folders
from hookline.app.leftovers import throw_away
from hookline.app.selftest.leaks import end_all
from hookline.app.survey import find_handlers
from hookline.dispatch.decide import Then, Verdict
from hookline.dispatch.ledger import Entry
from hookline.dispatch.spectator import Nobody
from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from hookline.log.query import Query, select
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import BadData, shown
from hookline.model.event import Event, decode
from hookline.model.types import domain_of

PREFIX: Final = "hookline-try."
TEXT_BYTES_MAX: Final = 1 << 20
"""A larger file is only said to have changed."""
_NO_TEXT: Final = b"\xff"

_OURS: Final = frozenset(
    {"events", "state", "deliveries.jsonl", "dead-letters.jsonl", ".gitignore"}
)
"""What of coordination/ is the bus's own."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not what it was. `text` is what it says now and `diff` a unified one; both
    are empty where it is no text, or too long to be shown."""

    path: str
    change: Literal["created", "changed", "deleted"]
    text: str = ""
    diff: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run. `home` is where it ran, which is gone; `began` and `ended` are RFC
    3339. `made` is the event's id when it came without one."""

    handler: str
    event: msgspec.Raw
    made: str = ""
    verdict: Verdict
    then: Then
    exit: int | None
    signal: int | None
    ms: float
    error: str
    traceback: str = ""
    stdout: str
    stderr: str
    emitted: tuple[msgspec.Raw, ...]
    files: tuple[Change, ...]
    home: str
    began: str
    ended: str

    @property
    def done(self) -> bool:
        """Whether the event would be settled as it should be."""
        return self.verdict in ("done", "skipped")

    def emitted_of(self, type: str) -> list[Event]:
        """The events of a type that it emitted, in their order."""
        events = [decode(bytes(raw)) for raw in self.emitted]
        return [event for event in events if event.type == type]

    def file(self, path: str) -> Change:
        """What became of a file, named from the home on. Raises KeyError when it is as it was."""
        return {file.path: file for file in self.files}[path]


def try_handler(
    home: Home,
    handler: Path,
    line: bytes,
    clock: Clock,
    state: Path | None = None,
    made: str = "",
) -> Trial:
    """Run a handler once on an event's line, in a copy of its home that is thrown away.

    `state`: a folder whose files lie in `coordination/` when it begins. Raises BadData for a
    handler that cannot be run or does not want the event. A signal to stop ends the run at once,
    and then means what it means to the caller.
    """
    if not handler.is_file():
        raise BadData(f"no handler {handler}: hookline handlers lists them")
    began = rfc3339(clock.now())
    parent = Path(tempfile.gettempdir()).absolute()
    with _staying_here(), throw_away(parent, PREFIX, named_by="TMPDIR") as folder:
        trial_home = _furnish(Home(folder.path / "home"), home, handler, state)
        _check_wanted(trial_home, handler, decode(line).type)
        before = _contents(trial_home)
        entry = _run_once(trial_home, line)
        # What it has left running would go on changing what is looked at now.
        end_all(folder.path)
        return Trial(
            handler=handler.name,
            event=msgspec.Raw(line),
            made=made,
            verdict=entry.verdict or "failed",
            then=entry.then or "settled",
            exit=entry.exit,
            signal=entry.signal,
            ms=entry.ms or 0.0,
            error=entry.error,
            traceback=entry.traceback,
            stdout=entry.stdout,
            stderr=entry.stderr,
            emitted=tuple(map(msgspec.Raw, _emitted(trial_home, decode(line).id))),
            files=tuple(_changes(before, _contents(trial_home))),
            home=str(trial_home.root),
            began=began,
            ended=rfc3339(clock.now()),
        )


@contextlib.contextmanager
def _staying_here() -> Iterator[None]:
    """A dispatcher's working folder moves as it starts runs; the caller's does not."""
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _furnish(trial: Home, home: Home, handler: Path, state: Path | None) -> Home:
    """The throw-away home: this one handler and no other, and what it may read."""
    trial.root.mkdir(mode=0o750)

    def others(folder: str, names: list[str]) -> Iterable[str]:
        in_handlers = Path(folder) == home.handlers
        return [name for name in names if in_handlers and name.startswith("on-")]

    if (home.root / "scripts").is_dir():
        _copy(home.root / "scripts", trial.root / "scripts", others)
    if state is not None:
        if not state.is_dir():
            raise BadData(f"--state: {state} is no folder")
        _copy(state, trial.coordination, _not_ours(state))
    for folder in ("config", "layers", "schemas"):
        source, target = home.coordination / folder, trial.coordination / folder
        if source.is_dir() and not target.exists():
            _copy(source, target)
    for _ in make_folders(trial):
        pass  # it makes them as it tells of them
    make_folder(trial.handlers)
    link_command(trial)
    shutil.copy2(handler, trial.handlers / handler.name)
    return trial


def _copy(
    source: Path,
    target: Path,
    passed: Callable[[str, list[str]], Iterable[str]] = lambda *_: (),
) -> None:
    try:
        shutil.copytree(source, target, symlinks=True, ignore=passed)
    except shutil.Error as error:
        path, _, reason = error.args[0][0]
        raise BadData(f"{path} cannot be copied: {reason}") from error


def _not_ours(top: Path) -> Callable[[str, list[str]], Iterable[str]]:
    return lambda folder, names: _OURS.intersection(names) if Path(folder) == top else ()


def _check_wanted(home: Home, given: Path, type: str) -> None:
    name = given.name
    found = find_handlers(home)
    for refused in found.refused:
        if refused.name in (name, "."):
            # Of the file that is meant, not of its copy.
            reason = refused.reason.replace(str(home.handlers / name), str(given))
            raise BadData(f"{name} would not be run: {reason}")
    for handler in found.handlers:
        if handler.wants(type):
            return
        raise BadData(f"{name} does not want {type}; it wants {' '.join(handler.patterns)}")
    raise BadData(f"{shown(name)} is no name of a handler: it is on-<event>.sh, .py or without")


class _FirstRun(Nobody):
    """Remembers what the first run came to, and ends the dispatcher there."""

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.notes: list[str] = []
        self.stop: Callable[[], None] = lambda: None

    def entered(self, entry: Entry) -> None:
        """Only the first attempt matters: what would be tried again is not."""
        if entry.action == "attempt" and self.entry is None:
            self.entry = entry
            self.stop()

    def noted(self, text: str) -> None:
        """Why nothing ran, perhaps."""
        self.notes.append(text)


def _run_once(home: Home, line: bytes) -> Entry:
    first = _FirstRun()
    running = dispatcher(home, first)
    with running.signals(at_once=True):
        try:
            first.stop = running.stop
            # After the dispatcher has met the handler: it then wants it, whatever its `from:` says.
            append_line_to_log(home.root, domain_of(decode(line).type), line)
            running.drain()
        finally:
            running.close()
    if running.told_by:
        signal.raise_signal(running.told_by)
    if first.entry is None:
        raise BadData("; ".join(first.notes) or "interrupted: the handler did not come to an end")
    return first.entry


def _emitted(home: Home, given: str) -> list[bytes]:
    """The lines of the events that came into the logs, less the given one and the bus's own."""
    lines = []
    for found in select(home, Query(), on_trouble=lambda _: None):
        event = found.record.event
        if event is not None and event.id != given and event.source != SOURCE:
            lines.append(found.record.raw)
    return lines


def _contents(home: Home) -> dict[str, bytes]:
    """Every file of a home that is not the bus's own, by its path."""
    found = {}
    for folder, folders, names in os.walk(home.root):
        passed = _OURS if Path(folder) == home.coordination else {"__pycache__"}
        folders[:] = [name for name in folders if name not in passed]
        for path in (Path(folder, name) for name in names if name not in passed):
            # A name may be bytes that are no text.
            name = bytes(path.relative_to(home.root)).decode("utf-8", "backslashreplace")
            with contextlib.suppress(FileNotFoundError):
                found[name] = _content(path)
    return found


def _content(path: Path) -> bytes:
    """What tells a file from what it was: its content, or something that is no text."""
    try:
        if path.is_symlink():
            return os.fsencode(path.readlink())
        if not path.is_file():
            return _NO_TEXT
        with path.open("rb") as file:
            content = file.read(TEXT_BYTES_MAX + 1)
            if len(content) <= TEXT_BYTES_MAX:
                return content
            file.seek(0)
            return _NO_TEXT + hashlib.file_digest(file, "sha256").digest()
    except PermissionError:
        return _NO_TEXT


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> Iterable[Change]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        change: Literal["created", "changed", "deleted"] = (
            "created" if old is None else "deleted" if new is None else "changed"
        )
        was, text = _text(old or b""), _text(new or b"")
        lines = difflib.unified_diff(was.splitlines(), text.splitlines(), n=1, lineterm="")
        yield Change(path=path, change=change, text=text, diff="\n".join(list(lines)[2:]))


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""
