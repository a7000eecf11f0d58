"""What is measured: a figure, by us and by others in turn, several rounds long."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

OURS: Final = "Hookline"
"""How we are called among the contenders."""

EVENTS_MIN: Final = 20
"""With fewer, one that is slow to begin would count for too much."""

Unit = Literal["events/s", "ms"]
Measure = Callable[[], float]


class NotThere(Exception):
    """What is to be measured is not installed; the message says how to get it."""


class Failed(Exception):
    """A contender did not come to its end; the message says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How long it may take; a contender gets as many events as it handles in `seconds`."""

    name: str
    rounds: int
    seconds: float
    waits: int
    """Events of which each is waited for, one after another."""
    events_max: int
    """The longest backlog."""
    shrink: int
    """What else grows gets so many times fewer events."""


QUICK: Final = Scale(name="--quick", rounds=1, seconds=0.1, waits=20, events_max=10**4, shrink=10)
DEFAULT: Final = Scale(name="", rounds=3, seconds=1.0, waits=300, events_max=10**6, shrink=1)
FULL: Final = Scale(name="--full", rounds=5, seconds=2.0, waits=1000, events_max=10**7, shrink=1)


class Paced:
    """Measures with as many events as go into `seconds`, by what came of it the last time."""

    def __init__(
        self, measure: Callable[[int], float], unit: Unit, guess: float, seconds: float
    ) -> None:
        """`guess`: how many events it may handle in a second."""
        self._measure, self._unit, self._seconds = measure, unit, seconds
        self._rate = guess

    def __call__(self) -> float:
        """What was measured."""
        value = self._measure(max(int(self._rate * self._seconds), EVENTS_MIN))
        self._rate = 1000 / value if self._unit == "ms" else value
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What must be reached: a ratio to another contender, or (against nobody) a figure."""

    at: Literal["<=", ">="]
    bound: float
    against: str = ""

    def __str__(self) -> str:
        bound = f"{self.at} {self.bound:g}"
        return f"{bound} x {self.against}" if self.against else f"{bound} ms"

    def reached(self, value: float) -> bool:
        """Whether this figure, or this ratio, will do."""
        return value <= self.bound if self.at == "<=" else value >= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that can be measured of several contenders, ours among them."""

    name: str
    title: str
    unit: Unit
    contenders: Mapping[str, Measure]
    targets: tuple[Target, ...] = ()
    limit: str = ""
    """The contender that does nothing but what cannot be left out."""

    def run(self, scale: Scale, say: Callable[[str], None]) -> "Result":
        """Measure them all in turn, round after round, so that a busy machine is busy for all."""
        result = Result(figure=self)
        for number in range(scale.rounds):
            for name, measure in self.contenders.items():
                if name in result.missing:
                    continue
                try:
                    value = measure()
                except (NotThere, Failed) as error:
                    result.missing[name] = str(error)
                    say(f"{self.name}: {name}: {error}")
                    continue
                result.values.setdefault(name, []).append(value)
                say(f"{self.name} {number + 1}/{scale.rounds}: {name}: {shown(value, self.unit)}")
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a figure."""

    figure: Figure
    values: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a contender was not measured, or not in each round."""

    def measured(self, name: str) -> bool:
        """Whether this contender was there in each round."""
        return name in self.values and name not in self.missing

    def median(self, name: str) -> float:
        """Of its rounds."""
        return statistics.median(self.values[name])

    def ratio(self, name: str) -> float:
        """Ours to that of another: the median of the ratios, each from one round."""
        pairs = zip(self.values[OURS], self.values[name], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def reached(self, target: Target) -> bool | None:
        """None: it was not measured."""
        if not all(map(self.measured, {OURS, target.against or OURS})):
            return None
        return target.reached(self.ratio(target.against) if target.against else self.median(OURS))


def shown(value: float, unit: Unit) -> str:
    """For a reader."""
    if unit == "ms":
        return f"{value:.3g} ms"
    return f"{value / 1000:.3g} k/s" if value >= 1000 else f"{value:.3g}/s"
