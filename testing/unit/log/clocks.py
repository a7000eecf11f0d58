"""A clock for tests of the log."""

from datetime import datetime, timedelta

from hookline.model.clock import SystemClock


class HandClock:
    """Stands still until it is moved. Begins at the real time, since files bear real times."""

    def __init__(self) -> None:
        self._now = SystemClock().now()
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def set_back(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._now -= timedelta(seconds=seconds)
