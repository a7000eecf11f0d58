"""Everything is killed all the time, and nothing is lost: the storm of `hookline selftest --chaos`.

With `--soak 20` it goes on until a thousand dispatchers and a thousand writers were killed and the
log was rotated a thousand times.
"""

import msgspec
import pytest

from hookline.app.selftest import leaks
from hookline.app.selftest.report import judge
from hookline.app.selftest.storm import Plan, Storm

EACH = 1000
QUICK_S = 8.0
SHARE = 9
"""It has nearly all of a soak, since it runs beside the others."""


@pytest.mark.timeout(0)
def test_nothing_is_lost_in_a_storm(home, seed, soak_s):
    plan = Plan(seed=seed, lasts_s=QUICK_S)
    if soak_s:
        quickly = (0.02, 0.4)
        plan = Plan(
            seed=seed, lasts_s=SHARE * soak_s, each=EACH, pace_s=0.12,
            dispatcher_s=quickly, writer_s=(0.1, 0.9), rotate_s=(0.1, 0.9),
        )  # fmt: skip
    report = judge(home, plan, Storm(home, plan).run())
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    assert report.problems == []
    least = EACH * min(1.0, plan.lasts_s / 1000) if soak_s else 1
    assert min(report.dispatcher_kills, report.writer_kills, report.rotations) >= least
    assert report.acknowledged > 0


def test_a_run_that_a_killed_dispatcher_left_is_ended_before_the_event_runs_again(bus):
    bus.shell("[[ $EVENT_ATTEMPT != 1 ]] || sleep 30")
    event = bus.emit("k")
    process = bus.ready()
    bus.wait(bus.begun, "nothing runs")
    process.kill()
    process.wait()
    assert leaks.marked(bus.home) != []
    bus.once()
    assert bus.begun() == [event, event]
    assert bus.verdicts(event) == [("interrupted", "retry"), ("done", "settled")]
    bus.check()


def test_what_a_killed_dispatcher_wrote_half_of_is_removed(bus):
    half = bus.home.rejected / ".a-events.00000001.0.json.77.abc.tmp"
    half.write_bytes(b"{")
    bus.once()
    assert not half.exists()
    bus.check()
