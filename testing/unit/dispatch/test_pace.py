"""How fast deliveries are asked for."""

import pytest

from hookline.dispatch.pace import BATCH_MAX, SLEEP_MAX_S, Pace, batches


class Clock:
    """Moved by sleeping."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic_s(self):
        return self.now_s

    def sleep(self, wait_s):
        self.now_s += wait_s


def test_the_pace_keeps_the_gaps_divided_by_the_speed_and_the_rate():
    times = [f"2026-11-21T00:00:{s:02d}.000000Z" for s in (0, 10, 5, 20)]
    pace = Pace(10.0, None, 100.0)
    assert [pace.due_s(each) for each in times] == [100.0, 101.0, 101.0, 102.0]
    pace = Pace(None, 4.0, 100.0)
    assert [pace.due_s(each) for each in times] == [100.0, 100.25, 100.5, 100.75]
    pace = Pace(10.0, 0.5, 100.0)
    assert [pace.due_s(each) for each in times] == [100.0, 102.0, 104.0, 106.0]


def test_what_is_due_at_once_goes_together():
    clock, made = Clock(), []
    for batch in batches([100.0, 100.01, 100.04, 101.0, 200.0], lambda x: x, clock, clock.sleep):
        made.append((clock.now_s, batch))
    assert made == [(100.0, [100.0, 100.01, 100.04]), (101.0, [101.0]), (200.0, [200.0])]


def test_a_pace_that_is_too_slow_for_any_clock_is_waited_for_in_pieces():
    clock, times = Clock(), ["2026-11-21T00:00:00.000000Z", "2026-11-21T00:00:01.000000Z"]
    waits = []

    def sleep(wait_s):
        waits.append(wait_s)
        if len(waits) == 3:
            raise KeyboardInterrupt
        clock.sleep(wait_s)  # virtual time

    for pace in (Pace(None, 1e-12, 100.0), Pace(5e-324, None, 100.0)):
        waits.clear()
        with pytest.raises(KeyboardInterrupt):
            list(batches(times, pace.due_s, clock, sleep))
        assert waits == [SLEEP_MAX_S] * 3


def test_a_batch_has_an_end():
    clock = Clock()
    sizes = [len(each) for each in batches(range(1200), lambda _: 0.0, clock, clock.sleep)]
    assert sizes == [BATCH_MAX, BATCH_MAX, 200]
    assert clock.now_s == 100.0
