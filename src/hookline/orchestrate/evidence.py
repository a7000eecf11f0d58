"""What the log tells of work: who was chosen for a task, and how the task ended. Pure.

A *task* is known by `data.task_id`, else by `correlationid`, in which Cortex carries it.
"""

from collections.abc import Mapping
from sys import intern
from typing import Final

import msgspec

from hookline.model.clock import stored_s
from hookline.model.errors import printable
from hookline.model.event import Event

DOMAINS: Final = ("routing", "task", "worker")
"""Those whose logs are read. What is learned goes to `learning`, which is none of them: a cycle
never learns from its own conclusions."""

ID_LENGTH_MAX: Final = 256
UNKNOWN: Final = "unknown"
"""The kind of a failure that names none."""

_DECISIONS: Final = ("routing.decision", "routing.decision_made")
_ENDS: Final = ("task.completed", "task.failed", "worker.completed", "worker.failed")
TYPES: Final = frozenset({*_DECISIONS, *_ENDS, "task.created"})
_FAILED: Final = frozenset({"failed", "failure", "error"})
"""What `data.status` says of a completion that was none."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task was given to an expert."""

    at_s: float
    task: str
    expert: str
    is_named: bool
    """Named as the expert, and not only as the kind of worker of an assignment."""
    confidence: float | None
    """That the expert will succeed, as whoever decided had it."""
    task_type: str


class End(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task, or a worker's part of it, came to its end."""

    at_s: float
    task: str
    has_failed: bool
    error_type: str
    id: str
    causationid: str


class Kind(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task of that type was created."""

    at_s: float
    task: str
    task_type: str


class Evidence:
    """What was told, each event once: `source` and `id` are its identity, whoever repeats it."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.ends: list[End] = []
        self.kinds: list[Kind] = []
        self._known: set[str] = set()

    def add(self, event: Event, data: object) -> None:
        """Take in an event of one of `TYPES`; `data` is its decoded payload.

        One that the handlers would refuse, since it does not say what it must, tells nothing.
        """
        # An id has no blanks, so the two are told apart.
        identity = f"{event.id} {event.source}"
        if identity in self._known or not isinstance(data, Mapping):
            return
        self._known.add(identity)
        task = _id(data, "task_id") or event.correlationid or ""
        at_s = stored_s(event.time)
        if event.type in _DECISIONS:
            self._add_decision(data, task, at_s)
        elif event.type == "task.created":
            if task and (task_type := _id(data, "task_type") or _id(data, "type")):
                self.kinds.append(Kind(at_s=at_s, task=task, task_type=task_type))
        else:
            has_failed = event.type.endswith(".failed") or data.get("status") in _FAILED
            end = End(
                at_s=at_s,
                task=task,
                has_failed=has_failed,
                error_type=_error_type(data) if has_failed else "",
                id=event.id,
                causationid=event.causationid or "",
            )
            self.ends.append(end)

    def _add_decision(self, data: Mapping[str, object], task: str, at_s: float) -> None:
        metadata = data.get("_metadata")
        named = (_id(metadata, "master") if isinstance(metadata, Mapping) else "") or _id(
            data, "master"
        )
        expert = named or _id(data, "worker_type")
        if expert:
            decision = Decision(
                at_s=at_s,
                task=task,
                expert=expert,
                is_named=bool(named),
                confidence=_confidence(data),
                task_type=_id(data, "task_type"),
            )
            self.decisions.append(decision)


def _id(data: Mapping[str, object], key: str) -> str:
    """A name that is fit for a report and a file; of any other, nothing."""
    value = data.get(key)
    fits = isinstance(value, str) and len(value) <= ID_LENGTH_MAX and value == printable(value)
    # Interned, since the same names come again and again.
    return intern(str(value)) if fits else ""


def _error_type(data: Mapping[str, object]) -> str:
    reason = data.get("failure_reason")
    said = printable(reason[:ID_LENGTH_MAX]) if isinstance(reason, str) else ""
    return _id(data, "error_type") or said or UNKNOWN


def _confidence(data: Mapping[str, object]) -> float | None:
    value = data.get("confidence")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)
