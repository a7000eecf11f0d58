"""Runs worlds: `python -m testing.simulator [--seed N] [--hours H] [--runs N] [--many]`."""

import argparse
import secrets
import sys
import time

from testing.simulator.world import HANDLERS, OF_MANY, World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first world; else drawn and printed")
    parser.add_argument("--hours", type=float, default=6.0, help="virtual hours a world")
    parser.add_argument("--runs", type=int, default=1, help="how many worlds, each the next seed")
    parser.add_argument("--many", action="store_true", help="handlers with many events a run")
    parser.add_argument("--verbose", action="store_true", help="print what happens")
    asked = parser.parse_args()
    first = asked.seed if asked.seed is not None else secrets.randbelow(10**9)
    begun_s = time.monotonic()
    for seed in range(first, first + asked.runs):
        world = World(seed, asked.hours, OF_MANY if asked.many else HANDLERS)
        problems = world.run()
        if asked.verbose:
            print(*world.trace, sep="\n")
        if problems:
            print(*problems, sep="\n", file=sys.stderr)
            many = " --many" if asked.many else ""
            again = f"--seed {seed} --hours {asked.hours:g}{many} --verbose"
            again = f"python -m testing.simulator {again}"
            print(f"seed {seed} fails; again with: {again}", file=sys.stderr)
            return 1
    took_s = time.monotonic() - begun_s
    print(f"seeds {first} to {first + asked.runs - 1}: {asked.runs * asked.hours:g} virtual hours "
          f"in {took_s:.1f} s; last trace {world.digest()}")  # fmt: skip
    return 0


sys.exit(main())
