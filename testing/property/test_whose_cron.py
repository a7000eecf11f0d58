"""What others make of a cron expression, and we do not: docs/decisions/0021-whose-cron-we-mean.md.

A test that fails here says that they have mended it: then the page is to say so, too.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import (  # type: ignore[import-untyped]  # it has none
    BackgroundScheduler,
)
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]  # as above
from croniter import croniter  # type: ignore[import-untyped]  # they are a package of their own
from cronsim import CronSim

from hookline.model.clock import SystemClock
from hookline.schedule.cron import Cron
from hookline.schedule.kernel import due
from hookline.schedule.recurrence import local_time, microseconds
from hookline.schedule.schedule import Schedule

BERLIN, LORD_HOWE, HAVANA = "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"


def shown(moment: datetime) -> str:
    return f"{moment:%a %d %b %H:%M %z}"


def ours(expression, zone, begin, count):
    cron, at_us, found = Cron(expression, zone), microseconds(local(begin, zone)), []
    for _ in range(count):
        at_us = cron.after(at_us)
        found.append(shown(local_time(at_us, ZoneInfo(zone))))
    return found


def local(text, zone):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def of_croniter(expression, zone, begin, count):
    times = croniter(expression, local(begin, zone), ret_type=datetime)
    return [shown(times.get_next()) for _ in range(count)]


def of_cronsim(expression, zone, begin, count):
    times = CronSim(expression, local(begin, zone))
    return [shown(next(times)) for _ in range(count)]


def of_apscheduler(expression, zone, begin, count):
    trigger = CronTrigger.from_crontab(expression, timezone=ZoneInfo(zone))
    found, last, now = [], None, local(begin, zone)
    for _ in range(count):
        last = now = trigger.get_next_fire_time(last, now)
        found.append(shown(last))
    return found


def test_apscheduler_takes_day_0_for_monday():
    sunday = "0 0 * * 0", "UTC", "2026-11-21T12:00", 1
    assert of_apscheduler(*sunday) == ["Mon 23 Nov 00:00 +0000"]
    assert ours(*sunday) == of_croniter(*sunday) == ["Sun 22 Nov 00:00 +0000"]


def test_apscheduler_wants_the_day_of_the_month_and_that_of_the_week():
    either = "0 0 13 * fri", "UTC", "2026-11-21T12:00", 2
    assert of_apscheduler(*either) == ["Fri 13 Aug 00:00 +0000", "Fri 13 Oct 00:00 +0000"]
    expected = ["Fri 27 Nov 00:00 +0000", "Fri 04 Dec 00:00 +0000"]
    assert ours(*either) == of_croniter(*either) == expected


def test_croniter_wants_either_though_one_begins_with_a_star():
    both = "0 0 */2 * sun", "UTC", "2026-11-21T12:00", 2
    assert of_croniter(*both) == ["Sun 22 Nov 00:00 +0000", "Mon 23 Nov 00:00 +0000"]
    assert ours(*both) == of_cronsim(*both) == ["Sun 29 Nov 00:00 +0000", "Sun 13 Dec 00:00 +0000"]


def test_both_fire_twice_in_the_hour_that_comes_twice():
    fold = "30 2 * * *", BERLIN, "2026-10-24T12:00", 2
    twice = ["Sun 25 Oct 02:30 +0200", "Sun 25 Oct 02:30 +0100"]
    assert of_croniter(*fold) == of_apscheduler(*fold) == twice
    once = ["Sun 25 Oct 02:30 +0200", "Mon 26 Oct 02:30 +0100"]
    assert ours(*fold) == of_cronsim(*fold) == once


def test_apscheduler_gives_a_time_that_is_not():
    gap = "30 2 * * *", BERLIN, "2026-03-28T12:00", 1
    assert of_apscheduler(*gap) == ["Sun 29 Mar 02:30 +0100"]
    expected = ["Sun 29 Mar 03:00 +0200"]
    assert ours(*gap) == of_cronsim(*gap) == of_croniter(*gap) == expected


def test_cronsim_takes_a_change_of_half_an_hour_for_one_of_an_hour():
    half = "*/30 4 * * *", LORD_HOWE, "2026-04-05T00:10", 1
    assert of_cronsim(*half) == ["Sun 05 Apr 04:30 +1030"]
    assert ours(*half) == of_croniter(*half) == ["Sun 05 Apr 04:00 +1030"]


def test_cronsim_gives_a_midnight_that_is_not():
    midnight = "*/30 0 * * SUN", HAVANA, "2026-03-07T12:00", 1
    assert of_cronsim(*midnight) == ["Sun 08 Mar 00:00 -0500"]
    assert ours(*midnight) == ["Sun 15 Mar 00:00 -0400"]


def test_apscheduler_forgets_a_missed_run_when_its_program_starts_again():
    now = SystemClock().now()
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.start(paused=True)
    try:
        for _ in ("the first start", "the next one"):
            job = scheduler.add_job(
                print, CronTrigger.from_crontab("0 2 * * *"), id="x", replace_existing=True
            )
            at_the_start = job.next_run_time
            # It was down when this was due.
            job.modify(next_run_time=now - timedelta(hours=30))
    finally:
        scheduler.shutdown()
    assert at_the_start > now

    # The same with us: what is remembered is that of the schedule, whoever starts.
    schedules = {"x": Schedule(name="x", when=Cron("0 2 * * *"), event="a.b")}
    _, state = due(schedules, {}, microseconds(datetime(2026, 11, 20, 12, tzinfo=UTC)))
    again = {"x": Schedule(name="x", when=Cron("0 2 * * *"), event="a.b")}
    (tick,), _ = due(again, state, microseconds(datetime(2026, 11, 21, 12, tzinfo=UTC)))
    assert tick.nominal_us == microseconds(datetime(2026, 11, 21, 2, tzinfo=UTC))
