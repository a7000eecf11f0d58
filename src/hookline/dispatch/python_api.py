"""What a Python handler imports: `on`, `Retry`, `Reject`."""

import math
from collections.abc import Callable
from typing import TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])

MARK = "__hookline_on__"
"""The attribute that `on` leaves on a function: its patterns and its batch size (0: one by one)."""


class Retry(Exception):
    """The event is to be tried again later, in a day at most; this counts as an attempt."""

    def __init__(self, after_s: float | None = None) -> None:
        if after_s is not None and not 0.0 <= after_s < math.inf:
            raise ValueError(f"Retry(after_s={after_s}): a number of seconds from 0")
        super().__init__(f"retry after {after_s:g} s" if after_s is not None else "retry")
        self.after_s = after_s


class Reject(Exception):
    """The event can never be handled: a dead letter at once."""

    def __init__(self, reason: str = "rejected") -> None:
        super().__init__(reason)


def on(*patterns: str, batch: int = 0) -> Callable[[_Function], _Function]:
    """Mark a function as wanting events of these types or patterns.

    It is called with one event, or, when `batch` is given, with a list of at most so many.
    Returning is *done*; `Retry` and `Reject` are the other verdicts; any other exception is a
    failed attempt. A batch that raises is run again event by event, so that one bad event takes no
    other with it.
    """
    if not patterns or batch < 0:
        raise ValueError('on() takes patterns such as "worker.*", and batch=N with N from 1')

    def mark(function: _Function) -> _Function:
        setattr(function, MARK, (patterns, batch))
        return function

    return mark
