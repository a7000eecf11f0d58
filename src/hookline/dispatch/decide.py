"""What a verdict means for a delivery: pure rules, no clock, no disk.

The exit statuses are those of DESIGN.md section 5; 64, 65, 75, 77 and 78 mean what they mean in
BSD's sysexits(3).
"""

import os
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Verdict = Literal[
    "done", "skipped", "retry", "failed", "timeout", "rejected", "broken", "interrupted", "looped"
]
Then = Literal["settled", "retry", "dead-letter", "held"]

HOPS_MAX: Final = 16
PAUSE_AFTER: Final = 10
"""So many dead letters in a row, and a handler is paused."""
BACKOFF_CAP_S: Final = 300.0
WAIT_MAX_S: Final = 86_400.0
"""The longest pause that a handler may ask for."""

_BY_EXIT: Final[Mapping[int, Verdict]] = {
    0: "done",
    os.EX_USAGE: "rejected",
    os.EX_DATAERR: "rejected",
    os.EX_TEMPFAIL: "retry",
    os.EX_NOPERM: "rejected",
    os.EX_CONFIG: "rejected",
    99: "skipped",
    126: "broken",
    127: "broken",
}
PAUSING: Final = frozenset({os.EX_NOPERM, os.EX_CONFIG})
"""The exit statuses that say something of the handler, too."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a handler wants the bus to be."""

    attempts: int = 5
    backoff_s: float = 1.0
    timeout_s: float = 60.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run said: its verdict and the evidence for it. `ms` is the wall time in
    milliseconds."""

    verdict: Verdict
    ms: float
    exit: int | None = None
    signal: int | None = None
    error: str = ""
    stdout: str = ""
    stderr: str = ""
    traceback: str = ""
    """Of a Python handler's exception."""
    retry_after_s: float | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an outcome; `wait_s` is the pause before a retry."""

    then: Then
    wait_s: float = 0.0
    pause: str = ""


def verdict_of_exit(status: int) -> Verdict:
    """The verdict of an exit status, 0 to 255."""
    return _BY_EXIT.get(status, "failed")


def decide(outcome: Outcome, attempt: int, policy: Policy, jitter: float) -> Plan:
    """What becomes of a delivery after its run number `attempt` (from 1); jitter is in [0, 1)."""
    match outcome.verdict:
        case "done" | "skipped":
            return Plan(then="settled")
        case "broken":
            return Plan(then="held", pause=broken_because(outcome.error, outcome.exit))
        case "looped":
            return Plan(then="dead-letter")
        case "rejected":
            pause = f"exit {outcome.exit}: {_PAUSE_WORDS}" if outcome.exit in PAUSING else ""
            return Plan(then="dead-letter", pause=pause)
        case _:
            if attempt >= policy.attempts:
                return Plan(then="dead-letter")
            return Plan(then="retry", wait_s=_wait_s(outcome, attempt, policy, jitter))


def failures_after(failures: int, verdict: Verdict | None, then: Then | None) -> int:
    """How many dead letters in a row a handler has left once this is written down, if it had left
    `failures` before.

    A success ends the row. A rejection is the handler's answer about the event, and a loop is that
    of the events: both say nothing of the handler (docs/decisions/0010).
    """
    if verdict in ("done", "skipped"):
        return 0
    return failures + (then == "dead-letter" and verdict not in ("rejected", "looped"))


def broken_because(error: str, exit: int | None) -> str:
    """Why a handler cannot be run."""
    return error or f"exit {exit}: it cannot be run"


_PAUSE_WORDS: Final = "it says that it is not allowed to work or is set up wrongly"


def _wait_s(outcome: Outcome, attempt: int, policy: Policy, jitter: float) -> float:
    """Full jitter over an exponential cap (Brooker, "Exponential Backoff And Jitter", 2015)."""
    if outcome.retry_after_s is not None:
        return min(max(outcome.retry_after_s, 0.0), WAIT_MAX_S)
    if outcome.verdict == "interrupted" and attempt == 1:
        return 0.0
    return jitter * window_s(attempt, policy)


def window_s(attempt: int, policy: Policy) -> float:
    """The longest pause after this attempt, unless the handler asked for another."""
    return min(BACKOFF_CAP_S, policy.backoff_s * 2.0 ** min(attempt, 32))
