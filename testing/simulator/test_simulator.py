"""The dispatcher's core in drawn worlds."""

import time
import tomllib
from pathlib import Path

import pytest

from testing.simulator.world import World

SEEDS = tomllib.loads((Path(__file__).parent / "seeds.toml").read_text())["seed"]
FRESH_S = 10.0
HOURS = 6.0


def check(seed):
    problems = World(seed, HOURS).run()
    again = f"python -m testing.simulator --seed {seed} --hours {HOURS:g} --verbose"
    assert not problems, f"{problems[:5]}; again with: {again}"


@pytest.mark.parametrize("known", SEEDS, ids=lambda known: known["name"])
def test_a_world_that_was_hard_once_keeps_the_promises(known):
    check(known["seed"])


def test_fresh_worlds_keep_the_promises(seed, soak_s):
    ends_s = time.monotonic() + max(soak_s, FRESH_S)
    while time.monotonic() < ends_s:
        check(seed)
        seed += 1


def test_the_same_seed_is_the_same_world():
    worlds = [World(7, 2.0) for _ in range(2)]
    for world in worlds:
        world.run()
    assert worlds[0].digest() == worlds[1].digest()
    assert worlds[0].trace == worlds[1].trace
