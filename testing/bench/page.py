"""What came of a run, for a terminal and for docs/PERFORMANCE.md.

In the page, what a run writes lies between `<!-- measured: NAME -->` and `<!-- end -->`; all else
is written by hand and stays.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from testing.bench.curve import Curve, Panel
from testing.bench.curve import shown as number
from testing.bench.figure import OURS, Result, Scale, Target, shown
from testing.bench.growth import COST, FIRST, MEMORY, PROCESSOR
from testing.bench.load import CHECKOUT
from testing.bench.machine import DURABILITY

PAGE: Final = CHECKOUT / "docs" / "PERFORMANCE.md"
PICTURES: Final = CHECKOUT / "docs" / "performance"
_FLAT: Final = Target(at="<=", bound=1.2)
_HEAD: Final = ("figure", "Hookline", "beside it", "", "ratio", "must reach", "reached", "limit")

Row = tuple[str, ...]


def table(results: Sequence[Result], curves: Sequence[Curve]) -> list[Row]:
    """The figures that have to be reached, with those beside which they stand; the head first."""
    rows = [_HEAD, *chain.from_iterable(map(_rows, results))]
    for curve in curves:
        if curve.name == "events":
            rows += _backlog_rows(curve)
    return rows


def _rows(result: Result) -> Iterator[Row]:
    figure = result.figure
    title, unit = figure.title, figure.unit
    if not result.measured(OURS):
        yield (title, "not measured", result.missing[OURS], "", "", "", "", "")
        return
    ours, limit = shown(result.median(OURS), unit), _limit(result)
    others = [name for name in figure.contenders if name not in (OURS, figure.limit)]
    if not figure.targets:
        yield (title, ours, *_beside(result, others[0] if others else ""), "", "", limit)
    for target in figure.targets:
        reached = _said(result.reached(target))
        yield (title, ours, *_beside(result, target.against), str(target), reached, limit)


def _beside(result: Result, name: str) -> Row:
    """Another contender, what it did, and the ratio of ours to that."""
    if not name:
        return ("", "", "")
    if not result.measured(name):
        return (name, result.missing[name], "")
    return (name, shown(result.median(name), result.figure.unit), f"{result.ratio(name):.2f}")


def _limit(result: Result) -> str:
    limit = result.figure.limit
    if not limit or not result.measured(limit):
        return ""
    return (
        f"{result.ratio(limit):.2f} x {limit} ({shown(result.median(limit), result.figure.unit)})"
    )


def _backlog_rows(curve: Curve) -> Iterator[Row]:
    panels = {panel.title: panel for panel in curve.panels}
    longest = max(next(iter(panels[COST].lines.values())))
    title = f"backlog of {number(longest)} events"
    first_s = max(max(line.values()) for line in panels[FIRST].lines.values())
    most_mb = max(max(line.values()) for line in panels[MEMORY].lines.values())
    growth = panels[COST].growth(PROCESSOR)
    for what, value, reached, must in (
        ("first delivery", f"{first_s:.2f} s", first_s <= 1, "<= 1 s"),
        ("memory", f"{most_mb:.0f} MB", most_mb <= 100, "<= 100 MB"),
        ("dearest event", f"{growth:.2f} x the cheapest", _FLAT.reached(growth), "<= 1.2 x"),
    ):
        yield (f"{title}: {what}", value, "", "", "", must, _said(reached), "")


def _said(reached: bool | None) -> str:
    return "not measured" if reached is None else "yes" if reached else "no"


def all_of(results: Sequence[Result]) -> list[Row]:
    """Every contender of every figure; the head first."""
    rows: list[Row] = [("figure", "contender", "median", "lowest to highest", "ours to it")]
    for result in results:
        unit = result.figure.unit
        for name in result.figure.contenders:
            if not result.measured(name):
                rows.append((result.figure.title, name, "not measured", result.missing[name], ""))
                continue
            values = result.values[name]
            spread = f"{shown(min(values), unit)} to {shown(max(values), unit)}"
            ratio = f"{result.ratio(name):.2f}" if name != OURS and result.measured(OURS) else ""
            rows.append(
                (result.figure.title, name, shown(result.median(name), unit), spread, ratio)
            )
    return rows


def flatness(curves: Sequence[Curve]) -> list[Row]:
    """How much each line grows over all of its way; the head first."""
    rows: list[Row] = [("as there are more", "what", "with the fewest", "with the most", "x")]
    for curve in curves:
        for panel in curve.panels:
            rows += [_flatness(curve, panel, name) for name in panel.lines]
    return rows


def _flatness(curve: Curve, panel: Panel, name: str) -> Row:
    line = panel.lines[name]
    low, high = min(line), max(line)
    return (
        f"{curve.along}, {number(low)} to {number(high)}",
        f"{panel.title}: {name}",
        _with_unit(line[low], panel.unit),
        _with_unit(line[high], panel.unit),
        f"{line[high] / line[low]:.2f}",
    )


def _with_unit(value: float, unit: str) -> str:
    if unit == "µs" and value >= 1000:
        return f"{value / 1000:.3g} ms"
    return f"{value:.3g} {unit}"


def as_text(rows: Sequence[Row]) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for a page."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def sections(
    scale: Scale, about: dict[str, str], results: Sequence[Result], curves: Sequence[Curve]
) -> dict[str, str]:
    """What a run writes into the page, by the names of the places for it."""
    command = " ".join(filter(None, ("python -m testing.bench", scale.name, "--write")))
    told: list[Row] = [("", ""), ("command", f"`{command}`"), *about.items()]
    durability: list[Row] = [("", "what is on disk, and when"), *DURABILITY.items()]
    return {
        "machine": as_markdown(told),
        "durability": as_markdown(durability),
        "figures": as_markdown(table(results, curves)),
        "contenders": as_markdown(all_of(results)),
        "flatness": as_markdown(flatness(curves)),
        **{
            f"growth-{curve.name}": f"![{curve.title}](performance/{curve.name}.svg)"
            for curve in curves
        },
    }


def put(text: str, sections: dict[str, str]) -> str:
    """The page with these sections in their places. Raises KeyError when one has none."""
    for name, section in sections.items():
        begin = f"<!-- measured: {name} -->\n"
        before, found, behind = text.partition(begin)
        if not found:
            raise KeyError(name)
        _, end, after = behind.partition("<!-- end -->")
        text = f"{before}{begin}{section}\n{end}{after}"
    return text


def write(sections: dict[str, str], curves: Sequence[Curve], page: Path = PAGE) -> None:
    """The page and its pictures."""
    page.write_text(put(page.read_text(), sections))
    PICTURES.mkdir(exist_ok=True)
    for curve in curves:
        (PICTURES / f"{curve.name}.svg").write_text(curve.svg())
