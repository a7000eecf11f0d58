"""Which decision an outcome belongs to. Pure."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from hookline.orchestrate.evidence import Decision, End, Evidence, Kind


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A decision and what became of it."""

    decision: Decision
    task_type: str
    has_failed: bool
    weight: float


class Stories:
    """The decisions about each task, in their order.

    An assignment counts only for a task for which nobody was named as the expert.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._ends = evidence.ends
        self._types = _types(evidence.kinds)
        decisions: dict[str, list[Decision]] = defaultdict(list)
        for decision in evidence.decisions:
            if decision.task:
                decisions[decision.task].append(decision)
        self._decisions = {task: _in_order(each) for task, each in decisions.items()}

    def number_of(self, end: End) -> int | None:
        """Which decision of its task an end belongs to: the last one that was made by then."""
        decisions = self._decisions.get(end.task)
        if not decisions:
            return None
        number = bisect_right(decisions, end.at_s, key=lambda each: each.at_s) - 1
        return number if number >= 0 else None

    def expert_of(self, end: End) -> str | None:
        """Who was chosen for what came to this end."""
        number = self.number_of(end)
        return None if number is None else self._decisions[end.task][number].expert

    def outcomes(self, now_s: float, half_life_s: float) -> Iterator[Outcome]:
        """Each decision that came to an end, with the last one before its task was decided anew:
        who failed and tried again has succeeded in the end."""
        last: dict[tuple[str, int], End] = {}
        for end in self._ends:
            number = self.number_of(end)
            if number is not None:
                known = last.get((end.task, number), end)
                last[end.task, number] = max(known, end, key=_moment)
        for (task, number), end in last.items():
            decision = self._decisions[task][number]
            yield Outcome(
                decision,
                decision.task_type or self._types.get(task, ""),
                end.has_failed,
                math.exp2(-max(0.0, now_s - end.at_s) / half_life_s),
            )


def _moment(end: End) -> tuple[float, bool]:
    """Of two at the same time, the failure stands: whatever the order, it is the same one."""
    return end.at_s, end.has_failed


def _in_order(decisions: Sequence[Decision]) -> list[Decision]:
    named = [each for each in decisions if each.is_named]
    return sorted(
        named or decisions,
        key=lambda each: (each.at_s, each.expert, each.task_type, each.confidence or 0.0),
    )


def _types(kinds: Sequence[Kind]) -> dict[str, str]:
    """The type of each task, as it was said last."""
    return {
        each.task: each.task_type for each in sorted(kinds, key=lambda k: (k.at_s, k.task_type))
    }
