"""Measures Hookline, its peers and the limits in one run, in turn, and says what came of it.

The peers come with `scripts/setup.sh --bench`; what is not there is not measured. Progress goes to
stderr, the tables to stdout. A default run takes a quarter of an hour, --quick two minutes.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from testing.bench import page
from testing.bench.curve import Curve
from testing.bench.figure import DEFAULT, FULL, OURS, QUICK, Failed, Result, Scale
from testing.bench.figures import figures
from testing.bench.growth import GROWTH
from testing.bench.machine import machine


class Parser(argparse.ArgumentParser):
    """One that ends as the house does."""

    def error(self, message: str) -> NoReturn:
        """One line, and the next step."""
        self.exit(os.EX_USAGE, f"{self.prog}: {message}; see --help\n")


def main() -> int:
    """Measure what is asked for."""
    args = _parser().parse_args()
    scale = QUICK if args.quick else FULL if args.full else DEFAULT
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.folder) as made:
        folder = Path(made)
        # What a measurement makes lies below it, and goes with it.
        tempfile.tempdir = made
        about = machine(folder)
        results = [
            figure.run(scale, _say)
            for figure in figures(scale, folder)
            if args.names is None or figure.name in args.names
        ]
        chosen = [name for name in GROWTH if args.names is None or name in args.names]
        curves = list(_curves(chosen, scale, folder))
    whole = len(curves) == len(chosen)
    if args.write and whole:
        page.write(page.sections(scale, about, results, curves), curves)
    if args.json:
        print(json.dumps(_as_json(scale, about, results, curves), indent=2))
    else:
        _print(about, results, curves)
    return 0 if whole else 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m testing.bench", description=__doc__)
    long = parser.add_mutually_exclusive_group()
    long.add_argument("--quick", action="store_true", help="one short round of everything")
    long.add_argument("--full", action="store_true", help="backlogs of up to ten million events")
    parser.add_argument("--json", action="store_true", help="print all that was measured as JSON")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--write", action="store_true", help="write docs/PERFORMANCE.md from it")
    known = [figure.name for figure in figures(QUICK, Path())] + list(GROWTH)
    chosen.add_argument(
        "--only", action="append", dest="names", choices=known, metavar="NAME",
        help=f"measure this one; may be given again. One of: {', '.join(known)}",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, help="on the disk that is to be measured; else where TMPDIR leads"
    )
    return parser


def _curves(names: Sequence[str], scale: Scale, folder: Path) -> Iterator[Curve]:
    """Those that come to their end; why the others do not is said."""
    for name in names:
        try:
            yield GROWTH[name](scale, folder, _say)
        except Failed as error:
            _say(f"{name}: {error}; there is no such curve, and no page is written")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(about: dict[str, str], results: Sequence[Result], curves: Sequence[Curve]) -> None:
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    if results:
        print(f"\n{page.as_text(page.all_of(results))}")
    if curves:
        print(f"\n{page.as_text(page.flatness(curves))}")
    print(f"\n{page.as_text(page.table(results, curves))}")


def _as_json(
    scale: Scale, about: dict[str, str], results: Sequence[Result], curves: Sequence[Curve]
) -> dict[str, Any]:
    return {
        "scale": asdict(scale),
        "machine": about,
        "ours": OURS,
        "figures": [
            {
                "name": result.figure.name,
                "unit": result.figure.unit,
                "values": result.values,
                "missing": result.missing,
                "targets": [
                    {
                        **asdict(target),
                        "ratio": result.ratio(target.against)
                        if result.reached(target) is not None and target.against
                        else None,
                        "reached": result.reached(target),
                    }
                    for target in result.figure.targets
                ],
            }
            for result in results
        ],
        "curves": [asdict(curve) for curve in curves],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
