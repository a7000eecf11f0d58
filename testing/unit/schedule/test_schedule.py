"""A schedule as a value."""

import pytest

from hookline.schedule.recurrence import SECOND_US, Asked, Every
from hookline.schedule.schedule import Schedule


def test_only_what_has_an_interval_may_be_adaptive():
    every = Schedule(name="x", when=Every(SECOND_US, "1s"), event="a.b", adaptive=True)
    assert every.interval_us == SECOND_US
    assert Schedule(name="x", when=Asked("never"), event="a.b").interval_us is None
    with pytest.raises(ValueError, match="adaptive is for schedules with `every`"):
        Schedule(name="x", when=Asked("never"), event="a.b", adaptive=True)


def test_one_that_says_the_same_is_the_same():
    def written(span):
        return Schedule(name="x", when=Every(round(span * SECOND_US), f"{span}s"), event="a.b")

    assert written(1) == written(1)
    assert written(1) != written(2)


def test_its_aim_is_all_that_moves_its_ticks():
    plain = Schedule(name="x", when=Every(SECOND_US, "1s"), event="a.b")
    moved = Schedule(name="x", when=plain.when, event="a.b", offset_us=1, jitter_us=2, expires_us=3)
    assert (plain.aim, moved.aim) == ((0, 0, None), (1, 2, 3))


def test_a_handler_or_events_are_watched():
    of = {
        of: Schedule(name="x", when=Asked(""), event="a.b", of=of).watches_handler
        for of in ("on-a-b.sh", "worker.*", "on.b")
    }
    assert of == {"on-a-b.sh": True, "worker.*": False, "on.b": False}
