"""The clock of the wall jumps by hours and decades: no retry waits for it, and none comes early
again and again."""

from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest

from hookline.model.clock import SystemClock

JUMPS = {
    "an hour back": lambda now: now - timedelta(hours=1),
    "a day ahead": lambda now: now + timedelta(days=1),
    "1970": lambda _: datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    "2038": lambda _: datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    "2106": lambda _: datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
}
THRICE = 'echo "$EVENT_ID" >>"$OUT"; exit $((EVENT_ATTEMPT < 3 ? 75 : 0))'


class Clock(SystemClock):
    """A clock of the wall that jumps; the monotonic one does not."""

    def __init__(self, *jumps):
        self._jumps = cycle(jumps)

    def now(self):
        return next(self._jumps)(super().now())


def work(bench, clock, until, deadline_s=60.0):
    """A dispatcher with that clock, until the condition holds."""
    made = bench.dispatcher
    bench.dispatcher = lambda: made(clock=clock)
    try:
        bench.run_until(until, deadline_s)
    finally:
        bench.dispatcher = made


def test_a_clock_that_jumps_at_every_look_delays_and_hastens_nothing(bench):
    bench.shell("on-a-b.sh", THRICE, "# backoff: 20ms   key: id   concurrency: 4")
    events = [bench.emit("a.b") for _ in range(20)]
    work(bench, Clock(*JUMPS.values()), lambda: bench.verdicts().count(("done", "settled")) == 20)
    assert sorted(bench.said()) == sorted(3 * events)
    assert bench.letters() == []


@pytest.mark.parametrize("jump", JUMPS)
def test_a_retry_outlives_a_restart_under_a_clock_that_has_jumped(bench, jump):
    bench.shell("on-a-b.sh", THRICE, "# backoff: 20ms   attempts: 4")
    event = bench.emit("a.b")
    for attempt, clock in ((1, SystemClock()), (2, Clock(JUMPS[jump])), (3, SystemClock())):
        work(bench, clock, lambda: len(bench.attempts()) >= attempt)  # noqa: B023  # called within
    work(bench, SystemClock(), lambda: ("done", "settled") in bench.verdicts())
    assert bench.said() == [event] * 3


def test_an_event_of_the_future_or_the_past_is_as_good_as_any(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: beginning")
    event = bench.emit("a.b", time="2106-02-07T06:28:16.000000Z")
    other = bench.emit("a.b", time="1970-01-01T00:00:01.000000Z")
    work(bench, Clock(*JUMPS.values()), lambda: len(bench.said()) == 2)
    assert bench.said() == [event, other]
