"""The simulated index does what the real one does."""

import contextlib
from random import Random
from types import SimpleNamespace

import pytest

from hookline.dispatch.ledger import Ledger, Progress, Standing
from hookline.dispatch.state import State
from hookline.dispatch.subscription import Cursor, Delivery
from hookline.model.position import Position
from testing.simulator.index import SimIndex

HANDLERS = ("h", "i")
DOMAINS = ("a", "b")
COMMITS = 300


@pytest.fixture(name="real")
def make_real(tmp_path):
    with contextlib.closing(State(tmp_path / "dispatch.db")) as state:
        yield state


@pytest.fixture(name="simulated")
def make_simulated():
    nothing = lambda *_: None  # noqa: E731  # three ports that do nothing
    world = SimpleNamespace(step=nothing, committed=nothing, full=False, random=Random(1))  # noqa: S311  # a test's dice
    return SimIndex(world)


def delivery(chance):
    position = Position(chance.randint(1, 2), chance.randrange(5))
    attempt = chance.randrange(3)
    return Delivery(
        domain=chance.choice(DOMAINS), position=position, end=position,
        event=f"e{chance.randrange(3)}", source="s", type="a.b", attempt=attempt,
        due_at_s=float(chance.randrange(9)), replay=chance.choice(("", "", "letter")),
    )  # fmt: skip


def change(chance):
    """A call of the port, as the name of the method and what it is given."""
    handler, domain = chance.choice(HANDLERS), chance.choice(DOMAINS)
    position = Position(chance.randint(1, 2), chance.randrange(5))
    match chance.choice(("running", "waiting", "settled", "move", "start", "handler", "letters")):
        case "move":
            return "move", handler, domain, Cursor(position, 1, "e", "s")
        case "start":
            return "start", handler, domain, position
        case "handler":
            paused = chance.choice(("", "tired"))
            return "handler", handler, Standing(since_s=1.0, paused=paused, failures=3)
        case "letters":
            return "close_letters", {f"h:{chance.randrange(9)}"}
        case what:
            found = [delivery(chance) for _ in range(chance.randint(1, 3))]
            return what, handler, list({each.place: each for each in found}.values())


def told(index):
    """The ledger without handlers of which it says nothing."""
    ledger = index.load()
    for name in [name for name, each in ledger.handlers.items() if each == Progress()]:
        del ledger.handlers[name]
    return ledger


def test_both_indexes_say_the_same_after_the_same_commits(real, simulated, chance):
    for commit in range(COMMITS):
        changes = [change(chance) for _ in range(chance.randint(1, 4))]
        for index in (real, simulated):
            with index.transaction():
                for name, *values in changes:
                    getattr(index, name)(*values)
                index.folded(Position(1, commit), "journal")
        assert told(simulated) == told(real), changes


def test_both_indexes_forget_what_a_saved_ledger_does_not_say(real, simulated, chance):
    for index in (real, simulated):
        with index.transaction():
            index.running("h", [delivery(chance)])
        index.save(Ledger())
        assert told(index).handlers == {}
        assert not index.is_fresh


def test_both_indexes_take_nothing_of_a_commit_that_fails(real, simulated, chance):
    for index in (real, simulated):
        with contextlib.suppress(KeyError), index.transaction():
            index.running("h", [delivery(chance)])
            raise KeyError
        assert told(index).handlers == {}
