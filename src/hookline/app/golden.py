"""What a trial came to as a text that is the same the next time, to be kept beside a handler.

What differs from run to run is replaced: the throw-away home, identities that were made, and
moments that lie within the run.
"""

import difflib
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from hookline.app.trial import Trial
from hookline.log.files import durable_write
from hookline.model.clock import from_epoch_s, parse_rfc3339
from hookline.model.errors import BadData, CannotCreate, HooklineError

_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_MOMENT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_EPOCH: Final = re.compile(r"(?<![\w.])(\d{10})(\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![\w.])")
_SCRATCH: Final = re.compile(r"<home>/coordination/state/runs/[^\s\"'/]+")
_SLACK: Final = timedelta(seconds=1)
"""Times are often written in whole seconds."""

_KEPT: Final = ("type", "source", "subject", "priority", "correlationid", "causationid", "data")


def golden_text(trial: Trial) -> str:
    """The trial as it is kept in a golden file."""
    events = [_event(raw) for raw in trial.emitted]
    told = {
        "handler": trial.handler,
        "verdict": trial.verdict,
        "exit": trial.exit,
        "signal": trial.signal,
        "then": trial.then,
        "error": trial.error,
        "stdout": trial.stdout.splitlines(),
        "stderr": trial.stderr.splitlines(),
        "events": events,
        "files": [
            {"path": file.path, "change": file.change, "diff": file.diff.splitlines()}
            for file in trial.files
        ],
    }
    kept = {key: value for key, value in told.items() if value not in (None, "", [])}
    text = msgspec.json.format(msgspec.json.encode(kept), indent=2).decode()
    return _steady(text, trial) + "\n"


def differences(path: Path, text: str) -> list[str]:
    """A unified diff from what the golden file says to this text; empty when they agree. Raises
    BadData when the file cannot be read."""
    try:
        kept = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadData(f"no golden file {path}: make it with --update") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadData(f"the golden file {path} cannot be read: {reason}") from error
    lines = difflib.unified_diff(
        kept.splitlines(), text.splitlines(), str(path), "this run", lineterm=""
    )
    return list(lines)


def keep(path: Path, text: str) -> None:
    """Write the golden file. Raises CannotCreate."""
    if not path.parent.is_dir():
        raise CannotCreate(f"there is no folder {path.parent}: mkdir -p it")
    durable_write(path, text.encode())


def _event(raw: bytes) -> dict[str, msgspec.Raw]:
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return {name: members[name] for name in _KEPT if name in members}


def _steady(text: str, trial: Trial) -> str:
    text = _SCRATCH.sub("<scratch>", text.replace(trial.home, "<home>"))
    return _identities(_moments(text, trial), trial)


def _identities(text: str, trial: Trial) -> str:
    """Identities that the event did not bring are numbered in the order of their coming."""
    event = bytes(trial.event).decode()
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        if found[0] in event and found[0] != trial.made:
            return found[0]
        return names.setdefault(found[0], f"<id {len(names) + 1}>")

    return _UUID.sub(name, text)


def _moments(text: str, trial: Trial) -> str:
    """Moments within the run, however they are written; all others stay."""
    first = parse_rfc3339(trial.began) - _SLACK
    last = parse_rfc3339(trial.ended) + _SLACK

    def written(found: re.Match[str]) -> str:
        try:
            told = parse_rfc3339(found[0], colonless=True)
        except HooklineError:
            return found[0]
        return "<time>" if first <= told <= last else found[0]

    def counted(found: re.Match[str]) -> str:
        return "<time>" if first <= from_epoch_s(int(found[1])) <= last else found[0]

    return _EPOCH.sub(counted, _MOMENT.sub(written, text))
