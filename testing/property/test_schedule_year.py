"""A long time in a short one: ticks stay exactly where they belong, and all of them come.

By default some days; with `--soak MINUTES` the year.
"""

from collections import Counter
from datetime import UTC, datetime
from random import Random

import msgspec
import pytest

from hookline.app.schedules import load_schedules
from hookline.schedule.drift import ahead
from hookline.schedule.recurrence import DAY_US, microseconds
from hookline.schedule.table import Table, schedules_of

BEGIN_US = microseconds(datetime(2026, 3, 27, tzinfo=UTC))
"""Two days before the clocks of Europe are changed."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def thousand(chance: Random):
    """A thousand schedules of all kinds with about a hundred ticks an hour in all."""
    tables = {}
    for n in range(1000):
        minute, hour = chance.randrange(60), chance.randrange(24)
        said = {
            0: {"cron": f"{minute} {hour} * * *", "jitter": "30s"},
            1: {"cron": f"{minute} */12 * * *"},
            2: {"cron": f"{minute} {hour} * * {chance.randrange(7)}"},
            3: {"cron": f"Mon..Fri {hour}:{minute}"},
            4: {"cron": f"*-*-01..10 {hour}:{minute}:0/30", "stagger": "1m"},
            5: {"every": f"{chance.randrange(7, 40)}h", "jitter": "1m"},
            6: {"every": f"{chance.randrange(60, 3000)}m", "stagger": "10s"},
            7: {"cron": "*/30 * * * *" if n < 60 else f"{minute} {hour} 1,15 * *"},
        }[n % 8]
        if "cron" in said:
            said["timezone"] = chance.choice(ZONES)
        if n < 4:
            said = {"every": f"{5 + n}m"}
        tables[f"s{n}"] = {"event": "a.b", **said}
    return msgspec.convert(tables, dict[str, Table])


def run(schedules, days, chance):
    """How many ticks there were, and that they were the right ones."""
    end_us = BEGIN_US + round(days * DAY_US)
    found, last = Counter(), {}
    for now_us, tick in ahead(schedules, BEGIN_US, end_us, chance):
        schedule = schedules[tick.schedule]
        assert tick.coalesced == tick.missed == 0
        # Of the grid, and the next one of it: nothing was left out, nothing has added up.
        assert schedule.when.after(last.get(tick.schedule, BEGIN_US)) == tick.nominal_us
        assert now_us >= tick.fires_us
        last[tick.schedule] = tick.nominal_us
        found[tick.schedule] += 1
    for name, schedule in schedules.items():
        first = schedule.when.after(BEGIN_US)
        late_us = schedule.offset_us + schedule.jitter_us
        # All that there are, but for those that are not due until after the end.
        least = (
            schedule.when.span(first, end_us - late_us - 1)[0] if first < end_us - late_us else 0
        )
        assert found[name] >= least
    return found.total()


@pytest.mark.timeout(600)
def test_a_thousand_schedules(chance, soak_s):
    days = 365.0 if soak_s else 4.0
    ticks = run(schedules_of(thousand(chance)), days, chance)
    assert 60 < ticks / days / 24 < 160


@pytest.mark.timeout(600)
def test_the_shipped_schedules_but_for_the_heartbeat(home, chance, soak_s, request):
    shipped = request.config.rootpath / "coordination/config/schedules.toml"
    (home.config / "schedules.toml").write_bytes(shipped.read_bytes())
    schedules = load_schedules(home)
    del schedules["heartbeat"]
    # Not those that events ask for: none comes.
    schedules = {name: each for name, each in schedules.items() if not each.moment}
    run(schedules, 30.0 if soak_s else 0.25, chance)
