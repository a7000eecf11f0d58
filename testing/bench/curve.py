"""A curve: what something costs as something else grows; and its picture, an SVG file.

Both axes are logarithmic, so that what is flat looks flat and what is proportional is a diagonal.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from xml.sax.saxutils import escape

Line = Mapping[int, float]

WIDTH: Final = 380
HEIGHT: Final = 276
ACROSS: Final = 2
"""Panels in a row."""
LEFT: Final = 62
RIGHT: Final = 16
TOP: Final = 50
BOTTOM: Final = 46
_STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600 }
  .grid { stroke: #ddd; fill: none }
  .line { stroke-width: 2 }
  .c0 { stroke: #1f6fb2; fill: #1f6fb2 } .c1 { stroke: #c05a10; fill: #c05a10 }
  .c2 { stroke: #2f8a4c; fill: #2f8a4c }
  polyline.line { fill: none }
  tspan.c0, tspan.c1, tspan.c2 { stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #ccc } .grid { stroke: #444 }
    .c0 { stroke: #6cb6ff; fill: #6cb6ff } .c1 { stroke: #f0a060; fill: #f0a060 }
    .c2 { stroke: #7fd49a; fill: #7fd49a }
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One measure along the same way: lines by their names, each y by its x."""

    title: str
    unit: str
    lines: Mapping[str, Line]

    def growth(self, name: str) -> float:
        """How many times the largest is the smallest: 1.0 is flat."""
        return max(self.lines[name].values()) / min(self.lines[name].values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What grows, and what comes of it."""

    name: str
    title: str
    along: str
    panels: tuple[Panel, ...]

    def with_panel(self, panel: Panel) -> "Curve":
        """The same with one more."""
        return replace(self, panels=(*self.panels, panel))

    def with_line(self, panel: str, name: str, line: Line) -> "Curve":
        """The same with one more line in the panel of that title."""
        return replace(
            self,
            panels=tuple(
                replace(each, lines={**each.lines, name: line}) if each.title == panel else each
                for each in self.panels
            ),
        )

    def svg(self) -> str:
        """The picture: its panels two by two, legible on light and dark ground."""
        width = WIDTH * min(len(self.panels), ACROSS)
        height = HEIGHT * math.ceil(len(self.panels) / ACROSS)
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(self.title)}</title>",
            f"<style>{_STYLE}</style>",
        ]
        for number, panel in enumerate(self.panels):
            down, across = divmod(number, ACROSS)
            lines.append(f'<g transform="translate({WIDTH * across} {HEIGHT * down})">')
            lines += [*_drawn(panel, self.along), "</g>"]
        return "\n".join([*lines, "</svg>\n"])


class Axis:
    """Numbers to places, by their logarithms; a little room at both ends."""

    def __init__(self, numbers: list[float], begin: float, end: float) -> None:
        """`begin` and `end` are places."""
        self._low, self._high = math.log10(min(numbers)), math.log10(max(numbers))
        # A line that is flat must look so: at least a decade is shown.
        room = max(1.0 - (self._high - self._low), 0.1) / 2
        self._low, self._high = self._low - room, self._high + room
        self._begin, self._end = begin, end

    def place(self, number: float) -> float:
        """Where it lies."""
        part = (math.log10(number) - self._low) / (self._high - self._low)
        return self._begin + part * (self._end - self._begin)

    def ticks(self) -> list[float]:
        """What is written at the axis: powers of ten, or between two of them 1, 2 and 5."""
        steps = (1.0,) if self._high - self._low > 2 else (1.0, 2.0, 5.0)
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        numbers = (step * 10.0**power for power in powers for step in steps)
        return [each for each in numbers if self._low <= math.log10(each) <= self._high]


def _drawn(panel: Panel, along: str) -> Iterator[str]:
    across = Axis(
        [float(x) for line in panel.lines.values() for x in line],
        LEFT,
        WIDTH - RIGHT,
    )
    up = Axis([y for line in panel.lines.values() for y in line.values()], HEIGHT - BOTTOM, TOP)
    yield from _grid(across, up)
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield _text(middle, 18, f"{panel.title} ({panel.unit})", "title", "middle")
    yield _text(middle, HEIGHT - 10, along, "", "middle")
    names = "   ".join(
        f'<tspan class="c{n}">{escape(name)}</tspan>' for n, name in enumerate(panel.lines)
    )
    yield f'<text x="{middle:.1f}" y="36" text-anchor="middle" xml:space="preserve">{names}</text>'
    for n, (name, line) in enumerate(panel.lines.items()):
        points = [(across.place(x), up.place(y)) for x, y in line.items()]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline class="line c{n}" points="{path}"/>'
        for (x, y), (many, value) in zip(points, line.items(), strict=True):
            told = escape(f"{name}: {shown(value)} {panel.unit} at {shown(many)}")
            place = f'cx="{x:.1f}" cy="{y:.1f}" r="3"'
            yield f'<circle class="c{n}" {place}><title>{told}</title></circle>'


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    begin, end = LEFT, WIDTH - RIGHT
    for number in across.ticks():
        x = across.place(number)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield _text(x, HEIGHT - BOTTOM + 16, shown(number), "", "middle")
    for number in up.ticks():
        y = up.place(number)
        yield f'<path class="grid" d="M{begin} {y:.1f}H{end}"/>'
        yield _text(begin - 6, y + 4, shown(number), "", "end")


def _text(x: float, y: float, text: str, style: str, anchor: str) -> str:
    style = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style} text-anchor="{anchor}">{escape(text)}</text>'


def shown(number: float) -> str:
    """Three digits of it, in thousands or millions where that is shorter."""
    for many, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= many:
            return f"{number / many:.3g}{unit}"
    return f"{number:.3g}"
