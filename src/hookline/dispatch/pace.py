"""How fast deliveries are asked for."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from hookline.model.clock import Clock, parse_rfc3339

TOGETHER_S: Final = 0.05
"""What is due so soon is asked for at once."""
BATCH_MAX: Final = 500
SLEEP_MAX_S: Final = 86_400.0
"""More at once is more than the system can sleep, at a pace that is slow enough."""
_Thing = TypeVar("_Thing")


class Pace:
    """When each event is due: the gaps between the events' times divided by `speed`, and at most
    `rate` a second; None: at once."""

    def __init__(self, speed: float | None, rate: float | None, now_s: float) -> None:
        self._speed = speed
        self._rate = rate
        self._begun_s = now_s
        self._first_s: float | None = None
        self._due_s = now_s

    def due_s(self, time: str) -> float:
        """When the next event, which bears that time, is due, on the clock of `now_s`."""
        due_s = self._begun_s
        if self._speed is not None:
            at_s = parse_rfc3339(time).timestamp()
            self._first_s = at_s if self._first_s is None else self._first_s
            due_s += (at_s - self._first_s) / self._speed
        # Never before the one before it: times in a log may go back.
        self._due_s = max(due_s, self._due_s)
        due_s = self._due_s
        if self._rate is not None:
            self._due_s += 1.0 / self._rate
        return due_s


def batches(
    things: Iterable[_Thing],
    due_s: Callable[[_Thing], float],
    clock: Clock,
    sleep: Callable[[float], None],
) -> Iterator[list[_Thing]]:
    """The things, each when it is due, those that are due at once together."""
    batch: list[_Thing] = []
    for thing in things:
        thing_due_s = due_s(thing)
        while (wait_s := thing_due_s - clock.monotonic_s()) > TOGETHER_S:
            if batch:
                yield batch
                batch = []
            sleep(min(wait_s, SLEEP_MAX_S))
        batch.append(thing)
        if len(batch) >= BATCH_MAX:
            yield batch
            batch = []
    yield batch
