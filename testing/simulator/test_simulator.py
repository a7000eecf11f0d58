"""The dispatcher's core in drawn worlds; and that the simulator still finds what is wrong."""

import secrets
import time
import tomllib
from pathlib import Path

import pytest

from hookline.dispatch.books import Books
from hookline.dispatch.intake import Intake
from hookline.dispatch.subscription import Subscription
from testing.simulator.world import World

SEEDS = tomllib.loads((Path(__file__).parent / "seeds.toml").read_text())["seed"]
MUTANT_SEEDS = range(1, 40)


def check(seed, hours=6.0):
    problems = World(seed, hours).run()
    again = f"python -m testing.simulator --seed {seed} --hours {hours:g} --verbose"
    assert not problems, f"{problems[:5]}; again with: {again}"


@pytest.mark.parametrize("known", SEEDS, ids=lambda known: known["name"])
def test_a_world_that_was_hard_once_keeps_the_promises(known):
    check(known["seed"])


def test_a_fresh_world_keeps_the_promises(soak_s):
    first = secrets.randbelow(10**9)
    print(f"first seed: {first}")
    ends_s = time.monotonic() + soak_s
    seed = first
    while time.monotonic() < ends_s:
        check(seed)
        seed += 1


def test_the_same_seed_is_the_same_world():
    worlds = [World(7, 2.0) for _ in range(2)]
    for world in worlds:
        world.run()
    assert worlds[0].digest() == worlds[1].digest()
    assert worlds[0].trace == worlds[1].trace


def no_sync(monkeypatch):
    """Commit without bringing the log to disk."""
    monkeypatch.setattr(Intake, "sync", lambda *_: None)


def no_letter(monkeypatch):
    """Give up a delivery without a dead letter."""
    monkeypatch.setattr(Books, "bury", lambda *_: None)


def cursor_ahead(monkeypatch):
    """Commit how far was read instead of how far is settled."""
    monkeypatch.setattr(Subscription, "cursor", lambda self, domain: self._tracks[domain].read)


@pytest.mark.parametrize("mutate", [no_sync, no_letter, cursor_ahead], ids=lambda m: m.__name__)
def test_a_broken_core_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    assert any(World(seed, 3.0).run() for seed in MUTANT_SEEDS)
