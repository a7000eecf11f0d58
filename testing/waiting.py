"""Waiting for what other processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE_S = 60.0
_Found = TypeVar("_Found")


def until(condition: Callable[[], _Found], deadline_s: float = DEADLINE_S) -> _Found:
    """Wait until it holds, and return what it says then."""
    ends_s = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < ends_s, "it never came true"
        time.sleep(0.01)  # the pace of looking: nothing tells us
    return found
