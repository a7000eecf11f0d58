"""The dispatcher's core in drawn worlds."""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from testing.simulator.world import HANDLERS, OF_MANY, World

SEEDS = tomllib.loads((Path(__file__).parent / "seeds.toml").read_text())["seed"]
CHECKOUT = Path(__file__).resolve().parents[2]
FRESH_S = 3.0
HOURS = 6.0


def check(seed, handlers=HANDLERS):
    problems = World(seed, HOURS, handlers).run()
    many = " --many" if handlers is OF_MANY else ""
    again = f"python -m testing.simulator --seed {seed} --hours {HOURS:g}{many} --verbose"
    assert not problems, f"{problems[:5]}; again with: {again}"


@pytest.mark.parametrize("known", SEEDS, ids=lambda known: known["name"])
def test_a_world_that_was_hard_once_keeps_the_promises(known):
    check(known["seed"])


@pytest.mark.parametrize("handlers", [HANDLERS, OF_MANY], ids=["", "many events a run"])
def test_fresh_worlds_keep_the_promises(seed, soak_s, handlers):
    ends_s = time.monotonic() + max(soak_s / 2, FRESH_S)
    while time.monotonic() < ends_s:
        check(seed, handlers)
        seed += 1


def test_the_same_seed_is_the_same_world_in_every_process():
    """Each process of Python has an order of its own for sets."""
    said = [
        subprocess.run(
            [sys.executable, "-m", "testing.simulator", "--seed", "193223542", "--verbose"],
            cwd=CHECKOUT, env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()[:-1]
        for hashes in ("0", "1")
    ]  # fmt: skip
    assert len(said[0]) > 1000
    assert said[0] == said[1]
