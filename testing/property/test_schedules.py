"""The laws of the kernel: whatever a schedule says and whenever somebody looks, each nominal time
is decided once, and is accounted for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]  # it has none
from croniter import croniter  # type: ignore[import-untyped]  # they are a package of their own
from cronsim import CronSim
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hookline.schedule.calendar import Calendar
from hookline.schedule.cron import Cron
from hookline.schedule.kernel import (
    Memory,
    Tick,
    due,
    next_us,
    pause,
    recall,
    resume,
    tick_id,
    with_speed,
)
from hookline.schedule.recurrence import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    At,
    Every,
    local_time,
    microseconds,
)
from hookline.schedule.schedule import Schedule

BEGIN_US = microseconds(datetime(2026, 3, 28, 22, 59, 58, 500_000, tzinfo=UTC))
"""Two hours before the clocks of Berlin are set to summer time."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana")
DAYS = ("*", "*", "L", "29", "1,15", "13-20/3")
WEEKDAYS = ("*", "*", "1-5", "SUN", "MON#1", "5L")

unhurried = settings(deadline=None)
spans_us = st.sampled_from((1, 999, SECOND_US, 7 * SECOND_US, MINUTE_US, HOUR_US, 5 * HOUR_US))


@st.composite
def recurrences(draw):
    """Not so quick that going through hours of it one by one takes long."""
    kind = draw(st.sampled_from(("every", "every", "cron", "calendar", "at")))
    if kind == "every":
        interval_us = draw(st.integers(20 * SECOND_US, 3 * HOUR_US))
        return Every(interval_us, str(interval_us))
    zone = draw(st.sampled_from(ZONES))
    if kind == "cron":
        text = draw(
            st.sampled_from(("*/7 * * * *", "30 2 * * *", "0,59 0-4 * * *", "5 */20 * * * *"))
        )
        return Cron(text, zone)
    if kind == "calendar":
        text = draw(st.sampled_from(("*:0/7", "02:30", "Mon..Sat *:59:59.5", "*-*~1 *:*")))
        return Calendar(text, zone)
    moments = draw(st.lists(st.integers(BEGIN_US, BEGIN_US + 2 * DAY_US), min_size=1, max_size=9))
    return At(moments, str(moments))


@st.composite
def schedules(draw):
    return Schedule(
        name=draw(st.sampled_from(("a", "b-c"))),
        when=draw(recurrences()),
        event="a.b",
        offset_us=draw(st.sampled_from((0, 0, SECOND_US, 90 * SECOND_US))),
        jitter_us=draw(st.sampled_from((0, 0, 1, 40 * SECOND_US, HOUR_US))),
        grace_us=draw(st.sampled_from((None, None, 0, 5 * SECOND_US, 10 * MINUTE_US, DAY_US))),
        catch_up=draw(st.sampled_from(("none", "last", "all"))),
        overlap=draw(st.sampled_from(("skip", "queue", "allow"))),
        expires_us=draw(st.sampled_from((None, None, BEGIN_US + 5 * HOUR_US + 1))),
    )


class Run:
    """A schedule, what is remembered of it, and all that it did."""

    def __init__(self, schedule: Schedule, now_us: int = BEGIN_US) -> None:
        self.schedule, self.now_us = schedule, now_us
        self.ticks: list[Tick] = []
        _, self.state = due({schedule.name: schedule}, {}, now_us)
        self.first_us = self.memory.since_us
        self.left_out = 0
        self.saved = self.state, 0

    @property
    def memory(self) -> Memory:
        return self.state[self.schedule.name]

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self.state = {self.schedule.name: memory}

    def look(self, *, busy: bool = False, deferring: bool = False) -> list[Tick]:
        """Decide until nothing is left to decide now."""
        found: list[Tick] = []
        for _ in range(50):
            before = self.state
            ticks, self.state = due(
                {self.schedule.name: self.schedule},
                before,
                self.now_us,
                busy={self.schedule.name} if busy else (),
                deferring=deferring,
            )
            found += ticks
            if self.state == before:
                break
        else:
            raise AssertionError("it does not come to an end")
        assert all(tick.fires_us <= self.now_us for tick in found)
        self.ticks += found
        return found

    def restart(self) -> None:
        """What was saved is all there is, and then the log tells of the ticks."""
        state, ticks = self.saved
        encoded = msgspec.json.encode(state)
        self.state = msgspec.json.decode(encoded, type=dict[str, Memory])
        assert self.state == state
        # Some of which are known already.
        for tick in self.ticks[max(0, ticks - 2) :]:
            self.memory = recall(self.schedule, self.memory, tick.nominal_us, tick.era)

    def decided(self, until_us: int) -> int:
        """How many nominal times there are in the time that is decided."""
        if self.schedule.expires_us is not None:
            until_us = min(until_us, self.schedule.expires_us - 1)
        count, at_us = 0, self.schedule.when.after(self.first_us)
        while at_us is not None and at_us <= until_us:
            count, at_us = count + 1, self.schedule.when.after(at_us)
        return count

    def accounted_for(self) -> int:
        """How many the ticks account for, and what is remembered."""
        told = sum(1 + tick.coalesced + tick.missed for tick in self.ticks)
        return told + self.memory.missed + self.left_out


moves = st.lists(
    st.tuples(
        st.sampled_from(("look", "look", "look", "busy", "defer", "save", "crash", "pause")),
        st.one_of(spans_us, st.integers(0, 10 * MINUTE_US), st.just(2 * DAY_US)),
    ),
    max_size=25,
)


@unhurried
@given(schedule=schedules(), moves=moves)
def test_each_nominal_time_is_decided_once_and_accounted_for(schedule, moves):
    run = Run(schedule)
    for move, span_us in moves:
        run.now_us += span_us
        if move == "save":
            run.saved = run.state, len(run.ticks)
        elif move == "crash":
            run.restart()
        elif move == "pause":
            stay_out(run)
        else:
            found = run.look(busy=move == "busy", deferring=move == "defer")
            assert not found or move == "look" or schedule.overlap == "allow"
    run.restart()
    run.now_us += DAY_US
    run.look()
    assert run.accounted_for() == run.decided(run.memory.since_us)
    assert run.memory.fires_us is None or run.memory.fires_us > run.now_us
    obey(run)


def stay_out(run: Run) -> None:
    """Be paused for an hour: what comes due meanwhile is left out."""
    since_us = run.memory.since_us
    run.memory = pause(run.memory)
    assert next_us(run.state) is None
    run.now_us += HOUR_US
    assert run.look() == []
    run.memory = resume(run.schedule, run.memory, run.now_us)
    assert run.memory.since_us >= run.now_us
    run.left_out += run.decided(run.memory.since_us) - run.decided(since_us)
    # It is in the log, where a crash finds it.
    run.saved = run.state, len(run.ticks)


def obey(run: Run) -> None:
    """What holds for the ticks of any run."""
    schedule = run.schedule
    assert all(a.nominal_us < b.nominal_us for a, b in pairwise(run.ticks) if a.era == b.era)
    assert len({tick.id for tick in run.ticks}) == len(run.ticks)
    for tick in run.ticks:
        assert tick.id == tick_id(schedule.name, tick.nominal_us, tick.era)
        assert 0 <= tick.fires_us - tick.nominal_us - schedule.offset_us <= schedule.jitter_us
        assert tick.coalesced >= 0
        assert tick.missed >= 0
        if not schedule.adaptive:
            # Exactly where it should be, however late all those before it were.
            assert schedule.when.after(tick.nominal_us - 1) == tick.nominal_us


@unhurried
@given(schedule=schedules(), looks=st.lists(st.integers(0, 20 * MINUTE_US), max_size=30))
def test_the_same_state_and_moment_give_the_same_and_then_nothing(schedule, looks):
    run = Run(schedule)
    for span_us in looks:
        run.now_us += span_us
        again = Run(schedule)
        again.state, again.now_us = run.state, run.now_us
        assert run.look() == again.look()
        assert run.state == again.state
        assert again.look() == []


steps_us = st.sampled_from(
    (
        -HOUR_US,
        -3 * HOUR_US - 1,
        -DAY_US,
        DAY_US,
        3 * DAY_US,
        1,
        SECOND_US,
        MINUTE_US,
        30 * MINUTE_US,
    )
)


@unhurried
@given(schedule=schedules(), steps=st.lists(steps_us, max_size=20))
def test_however_the_clock_is_set_nothing_is_decided_twice_in_one_era(schedule, steps):
    run = Run(schedule)
    for step_us in steps:
        run.now_us += step_us
        run.look()
        fires_us = run.memory.fires_us
        assert fires_us is None or fires_us > run.now_us
    obey(run)
    assert [tick.era for tick in run.ticks] == sorted(tick.era for tick in run.ticks)


@unhurried
@given(schedule=schedules(), absences=st.lists(st.integers(1, 3 * DAY_US), max_size=6))
def test_everybody_is_awake_when_next_us_says_so(schedule, absences):
    """One who looks only when `next_us` says so has the same ticks as one who looks always."""
    schedule = msgspec.structs.replace(schedule, catch_up="all")
    patient, restless = Run(schedule), Run(schedule)
    for span_us in absences:
        end_us = patient.now_us + min(span_us, 6 * HOUR_US)
        while (at_us := next_us(patient.state)) is not None and at_us <= end_us:
            patient.now_us = at_us
            assert patient.look() != []
        patient.now_us = end_us
        while restless.now_us < end_us:
            restless.now_us = min(restless.now_us + 10 * MINUTE_US, end_us)
            restless.look()
    assert [tick.id for tick in patient.ticks] == [tick.id for tick in restless.ticks]


@unhurried
@given(
    many=st.lists(schedules(), min_size=1, max_size=5),
    looks=st.lists(st.integers(0, 5 * HOUR_US), max_size=8),
)
def test_many_schedules_are_as_each_alone_and_in_the_order_in_which_they_were_due(many, looks):
    named = {f"s{n}": msgspec.structs.replace(each, name=f"s{n}") for n, each in enumerate(many)}
    alone = {name: Run(schedule) for name, schedule in named.items()}
    _, state = due(named, {}, BEGIN_US)
    now_us = BEGIN_US
    for span_us in looks:
        now_us += span_us
        together, state = due(named, state, now_us)
        apart = []
        for run in alone.values():
            run.now_us = now_us
            ticks, run.state = due({run.schedule.name: run.schedule}, run.state, now_us)
            apart += ticks
        assert [tick.fires_us for tick in together] == sorted(tick.fires_us for tick in together)
        assert sorted(together, key=lambda tick: tick.id) == sorted(apart, key=lambda tick: tick.id)
        assert state == {name: run.memory for name, run in alone.items()}


speeds = st.sampled_from((0.0, 0.25, 0.5, 1.0, 1.5, 3.0))


@unhurried
@given(
    schedule=schedules(),
    changes=st.lists(st.tuples(speeds, st.integers(0, 2 * HOUR_US)), max_size=12),
)
def test_at_any_speed_no_nominal_time_comes_twice_and_none_out_of_order(schedule, changes):
    interval_us = 7 * MINUTE_US + 1
    schedule = msgspec.structs.replace(
        schedule, when=Every(interval_us, "7m"), adaptive=True, expires_us=None
    )
    run = Run(schedule)
    for speed, span_us in changes:
        since = len(run.ticks)
        run.memory = with_speed(schedule, run.memory, speed, "why", run.now_us)
        run.now_us += span_us
        run.look()
        # The first may have been due already when the speed was another one.
        news = [tick.nominal_us for tick in run.ticks[since + 1 :]]
        if speed == 1.0:
            assert all(each % interval_us == 0 for each in news)
        steps = {b - a for a, b in pairwise(news)}
        if schedule.catch_up == "all" and speed:
            # Nothing adds up: each is so far from the one before, to the microsecond.
            assert steps <= {round(interval_us / speed)}
    obey(run)


# The oracles, where they are right. What they are wrong about: docs/decisions/0021-*.md.


@st.composite
def expressions(draw, days=DAYS, weekdays=WEEKDAYS):
    minute = draw(st.sampled_from(("0", "30", "7-50/11", "*/20", "*", "59")))
    hour = draw(st.sampled_from(("0", "2", "1-4", "*/6", "*", "23")))
    month = draw(st.sampled_from(("*", "*", "2", "3,10", "*/4")))
    return " ".join(
        (minute, hour, draw(st.sampled_from(days)), month, draw(st.sampled_from(weekdays)))
    )


moments_us = st.integers(BEGIN_US - 400 * DAY_US, BEGIN_US + 1500 * DAY_US)


def times_of(cron: Cron, begin_us: int, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        at_us = cron.after(found[-1] if found else begin_us)
        assert at_us is not None
        found.append(at_us)
    return found


def new(times: Sequence[datetime | int | None], begin_us: int) -> list[int]:
    """The moments of an oracle that are new: it may give one twice, or one that was already."""
    found: list[int] = []
    for each in times:
        at_us = microseconds(each) if isinstance(each, datetime) else each
        if at_us is not None and at_us > (found[-1] if found else begin_us):
            found.append(at_us)
    return found


@unhurried
@given(expression=expressions(), zone=st.sampled_from(ZONES), begin_us=moments_us)
@example("30 2 * * *", "Europe/Berlin", BEGIN_US)
def test_cron_is_as_cronsim_which_is_as_debian(expression, zone, begin_us):
    # cronsim takes each change of the clocks for one of whole hours, and none for one at midnight.
    assume(zone not in ("Australia/Lord_Howe", "America/Havana"))
    theirs = CronSim(expression, local_time(begin_us, ZoneInfo(zone)))
    expected = new([next(theirs) for _ in range(12)], begin_us)
    assert times_of(Cron(expression, zone), begin_us, len(expected)) == expected


@unhurried
@given(expression=expressions(weekdays=("*", "1-5", "SUN")), begin_us=moments_us)
def test_cron_is_as_croniter_where_no_clock_is_changed(expression, begin_us):
    # It takes a star with a step for a restriction, as cron(8) does not.
    assume("*/" not in expression)
    base = local_time(begin_us, ZoneInfo("UTC"))
    theirs = croniter(expression, base, ret_type=datetime)
    expected = new([theirs.get_next() for _ in range(12)], begin_us)
    assert times_of(Cron(expression), begin_us, len(expected)) == expected


@unhurried
@given(
    expression=expressions(days=("*",), weekdays=("*", "mon-fri", "sun")),
    begin_us=moments_us,
)
def test_cron_is_as_apscheduler_with_named_days_alone_and_no_change(expression, begin_us):
    trigger = CronTrigger.from_crontab(expression, timezone="UTC")
    expected, last = [], None
    now = local_time(begin_us + 1, ZoneInfo("UTC"))
    for _ in range(8):
        last = trigger.get_next_fire_time(last, now)
        assert last is not None
        expected.append(microseconds(last))
        now = last
    assert times_of(Cron(expression), begin_us, len(expected)) == expected


@unhurried
@given(expression=expressions(), zone=st.sampled_from(ZONES), begin_us=moments_us)
def test_a_span_is_what_one_by_one_would_be(expression, zone, begin_us):
    cron = Cron(expression, zone)
    found = times_of(cron, begin_us, 20)
    for first, last in ((0, 0), (0, 19), (7, 12)):
        count = last - first + 1
        assert cron.span(found[first], found[last]) == (count, found[last])
        before_next = (cron.after(found[last]) or 0) - 1
        assert cron.span(found[first], before_next) == (count, found[last])
