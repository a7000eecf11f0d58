"""How late ticks were, and whether anything adds up."""

import msgspec
import pytest

from hookline.model.clock import rfc3339
from hookline.schedule.drift import DELAY_US_MAX, drifts, percentile, simulate
from hookline.schedule.recurrence import HOUR_US, SECOND_US, Every, Silence, utc_time
from hookline.schedule.schedule import Schedule
from hookline.schedule.tick import MANUAL, Proof

BEGIN_US = 1_795_294_800 * SECOND_US
MINUTELY = Schedule(name="m", when=Every(60 * SECOND_US, "1m"), event="m.due")
SCHEDULES = {"m": MINUTELY}


def proof(seconds, late_ms=0.0, **said):
    nominal = rfc3339(utc_time(BEGIN_US + round(seconds * SECOND_US)))
    right = {
        "schedule": "m", "nominal": nominal, "fired": nominal, "late_ms": late_ms, "factor": 1.0,
        "reason": "time", "coalesced": 0, "missed": 0,
    }  # fmt: skip
    return Proof(**right | said)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, (1, 1, 1, 1)), (2, (1, 2, 2, 2)), (10, (5, 9, 10, 10)), (100, (50, 90, 99, 100)),
        (101, (51, 91, 100, 101)), (1000, (500, 900, 990, 1000)),
    ],
)  # fmt: skip
def test_a_percentile_is_one_of_those_there_are(count, told):
    ordered = [float(n) for n in range(1, count + 1)]
    assert tuple(percentile(ordered, rank) for rank in (50, 90, 99, 100)) == told


def test_lateness_does_not_depend_on_the_order_of_ticks():
    proofs = [proof(60 * n, late_ms=n) for n in (3, 1, 2, 4)]
    (found,) = drifts(SCHEDULES, proofs)
    assert (found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms) == (2, 4, 4, 4)
    assert (found.ticks, found.hours) == (4, 0.05)


def test_what_adds_up_is_seen():
    for each_s in (0.001, -0.001):
        (found,) = drifts(SCHEDULES, [proof((60 + each_s) * n) for n in range(1, 11)])
        assert (found.off_grid, found.drift_ms) == (10, each_s * 10_000)
    (found,) = drifts(SCHEDULES, [proof(60), proof(120.5), proof(180)])
    assert (found.off_grid, found.drift_ms) == (1, 0.0)


def test_ticks_that_were_asked_for_are_counted_by_themselves():
    (found,) = drifts(SCHEDULES, [proof(60), proof(61.5, 500, reason=MANUAL)])
    assert (found.ticks, found.manual, found.max_ms, found.off_grid) == (1, 1, 0.0, 0)
    (found,) = drifts(SCHEDULES, [proof(61.5, reason=MANUAL)])
    assert (found.ticks, found.manual) == (0, 1)


def test_at_other_speeds_no_time_is_off():
    (found,) = drifts(SCHEDULES, [proof(60), proof(77, factor=0.7)])
    assert (found.off_grid, found.drift_ms) == (0, 0.0)
    (found,) = drifts(SCHEDULES, [proof(77, factor=0.7)])
    assert (found.off_grid, found.drift_ms) == (0, 0.0)


def test_what_was_made_up_for_and_given_up_is_added():
    (found,) = drifts(SCHEDULES, [proof(60, coalesced=2, missed=3), proof(120, missed=4)])
    assert (found.coalesced, found.missed) == (2, 7)


def test_what_has_no_grid_has_no_drift():
    quiet = msgspec.structs.replace(MINUTELY, when=Silence(60 * SECOND_US, "silence"), of="x.y")
    (found,) = drifts({"m": quiet}, [proof(61.5)])
    assert (found.off_grid, found.drift_ms) == (0, 0.0)
    (found,) = drifts({}, [proof(61.5)])
    assert (found.ticks, found.off_grid) == (1, 0)


def test_they_come_by_name():
    proofs = [proof(60, schedule=name) for name in "bca"]
    assert [each.name for each in drifts({}, proofs)] == ["a", "b", "c"]


def test_a_run_whose_turns_all_come_too_late_adds_nothing_up(chance):
    fast = msgspec.structs.replace(MINUTELY, name="f", when=Every(250_000, "250ms"))
    both = SCHEDULES | {"f": fast}
    found = list(simulate(both, BEGIN_US, BEGIN_US + HOUR_US, chance))
    told = drifts(both, found)
    assert [(each.name, each.ticks, each.off_grid, each.drift_ms) for each in told] == [
        ("f", 4 * 3600 - 1, 0, 0.0), ("m", 59, 0, 0.0),
    ]  # fmt: skip
    assert all(0 < each.max_ms < DELAY_US_MAX / 1000 for each in told)
