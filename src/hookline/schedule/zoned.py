"""Times of day on some days in a time zone: what a cron expression and an OnCalendar text have in
common. Pure.

A *wall* time is what the clocks of the zone show, as microseconds since 1970 as if it were UTC.
Within a *stretch* the zone's clocks are one distance from UTC, so there both run alike. Where one
begins, what they show may jump ahead (a gap: nothing shows the times in between) or back (a fold:
times come a second time).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from hookline.schedule.recurrence import DAY_US, HOUR_US, MINUTE_US, REWIND_US, Written, local_time

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date(9990, 1, 1).toordinal() - _EPOCH_DAY
"""Python's dates end with the year 9999, and a zone is to be added to them."""
_SEARCHED_DAYS: Final = 231 * 366
"""An OnCalendar text may name any year from 1970 to 2199. Without a year, 29 February is the rarest
day: it is one certain day of the week every 28 or 40 years."""
_BLOCK_US: Final = 64 * DAY_US
_MICROSECOND: Final = timedelta(microseconds=1)

FORMS: Final = (
    "it is like '*/5 * * * *' (minute hour day-of-month month day-of-week, seconds before them if "
    "there are six), or like 'Mon..Fri 09:00' or 'daily' (systemd.time(7), calendar events)"
)
"""What a text of either kind looks like, for who wrote neither."""

Changes = Literal["elapsed", "after the gap", "left out"]
"""What a change of the clocks does. `elapsed`: each time that they show is one, so there is none in
a gap, and those of a fold come twice. Otherwise a time of a fold is one when it is first shown,
and those of a gap are one together right after it, or left out."""


class TimesOfDay:
    """All of some hours with all of some minutes with all of some seconds, each given in order."""

    def __init__(
        self, hours: Sequence[int], minutes: Sequence[int], seconds_us: Sequence[int]
    ) -> None:
        self._hours = [hour * HOUR_US for hour in hours]
        self._minutes = [minute * MINUTE_US for minute in minutes]
        self._seconds = list(seconds_us)
        self._an_hour = len(self._minutes) * len(self._seconds)
        self.count = len(self._hours) * self._an_hour

    def rank(self, time_us: int) -> int:
        """How many there are before a time of day, as microseconds since midnight."""
        hour_us, rest_us = time_us - time_us % HOUR_US, time_us % HOUR_US
        minute_us, second_us = rest_us - rest_us % MINUTE_US, rest_us % MINUTE_US
        hour = bisect_left(self._hours, hour_us)
        before = hour * self._an_hour
        if hour == len(self._hours) or self._hours[hour] != hour_us:
            return before
        minute = bisect_left(self._minutes, minute_us)
        before += minute * len(self._seconds)
        if minute == len(self._minutes) or self._minutes[minute] != minute_us:
            return before
        return before + bisect_left(self._seconds, second_us)

    def nth(self, rank: int) -> int:
        """The one that has so many before it."""
        hour, rest = divmod(rank, self._an_hour)
        minute, second = divmod(rest, len(self._seconds))
        return self._hours[hour] + self._minutes[minute] + self._seconds[second]


class _Stretch(NamedTuple):
    begin_us: int
    end_us: int
    offset_us: int
    """What the clocks are ahead of UTC."""
    before_us: int
    """What they were ahead before it."""
    new_wall: int
    """From which wall time on they show what they have not shown yet."""


class Zoned(Written):
    """The nominal times of a wall-clock pattern: what `Recurrence` asks for."""

    rewind_us = REWIND_US

    def __init__(
        self,
        text: str,
        zone: ZoneInfo,
        times: TimesOfDay,
        is_day: Callable[[date], bool],
        months: Sequence[int],
        changes: Changes,
    ) -> None:
        super().__init__(text)
        self.zone = zone
        self._times = times
        self._is_day = is_day
        self._months = frozenset(months)
        self._changes = changes
        self._next_day: tuple[int, int | None] = (0, -1)

    def after(self, moment_us: int) -> int | None:
        """The first nominal time after a moment; None: there is none any more."""
        moment_us += 1
        for stretch in self._stretches(moment_us):
            low, high = self._walls(stretch, moment_us, stretch.end_us)
            if self._is_made_up_for(stretch, moment_us):
                return stretch.begin_us
            wall = self._wall_from(low)
            if wall is None:
                return None
            if wall < high:
                return wall - stretch.offset_us
        return None

    def span(self, first_us: int, until_us: int) -> tuple[int, int]:
        """How many there are from a nominal time up to another moment, both included, and the last
        one of them; `until_us` is not before `first_us`."""
        count, last_us = 0, first_us
        for stretch in self._stretches(first_us):
            if stretch.begin_us > until_us:
                break
            if self._is_made_up_for(stretch, first_us):
                count, last_us = count + 1, stretch.begin_us
            low, high = self._walls(stretch, first_us, min(stretch.end_us, until_us + 1))
            found, last_wall = self._counted(low, high)
            if found:
                count, last_us = count + found, last_wall - stretch.offset_us
        return count, last_us

    def _walls(self, stretch: _Stretch, from_us: int, to_us: int) -> tuple[int, int]:
        """From which wall time on to before which one the times of a stretch are."""
        low = max(from_us, stretch.begin_us) + stretch.offset_us
        if self._changes != "elapsed":
            low = max(low, stretch.new_wall)
        return low, to_us + stretch.offset_us

    def _is_made_up_for(self, stretch: _Stretch, from_us: int) -> bool:
        """Whether a stretch begins with a time because there is one in the gap before it."""
        if self._changes != "after the gap" or stretch.begin_us < from_us:
            return False
        gap_us = stretch.begin_us + stretch.before_us, stretch.begin_us + stretch.offset_us
        if gap_us[0] >= gap_us[1] or self._counted(gap_us[1], gap_us[1] + 1)[0]:
            return False
        return self._counted(*gap_us)[0] > 0

    def _wall_from(self, wall: int) -> int | None:
        """The first wall time of the pattern from one on."""
        day, time_us = divmod(wall, DAY_US)
        rank = self._times.rank(time_us)
        if rank == self._times.count:
            day, rank = day + 1, 0
        found = self._day_from(day)
        if found is None:
            return None
        return found * DAY_US + self._times.nth(rank if found == day else 0)

    def _day_from(self, day: int) -> int | None:
        """The first day of the pattern from one on, as days since 1970."""
        asked, known = self._next_day
        if known is None or not asked <= day <= known:
            known = next(self._days(day, min(day + _SEARCHED_DAYS, _LAST_DAY)), None)
            self._next_day = day, known
        return known

    def _days(self, first: int, end: int) -> Iterator[int]:
        """The days of the pattern from one on to before another."""
        while first < end:
            today = date.fromordinal(_EPOCH_DAY + first)
            if today.month not in self._months:
                first += 32 - today.day
                first -= date.fromordinal(_EPOCH_DAY + first).day - 1
                continue
            if self._is_day(today):
                yield first
            first += 1

    def _counted(self, low: int, high: int) -> tuple[int, int]:
        """How many wall times from one on to before another, and the last of them."""
        if low >= high:
            return 0, low
        (first, from_us), (end, to_us) = divmod(low, DAY_US), divmod(high - 1, DAY_US)
        count, last = 0, low
        for day in self._days(first, end + 1):
            skipped = self._times.rank(from_us) if day == first else 0
            ended = self._times.rank(to_us + 1) if day == end else self._times.count
            if ended > skipped:
                count, last = count + ended - skipped, day * DAY_US + self._times.nth(ended - 1)
        return count, last

    def _stretches(self, moment_us: int) -> Iterator[_Stretch]:
        """Those from the one of a moment on; those without a wall time may be passed over."""
        block = moment_us // _BLOCK_US
        while (block + 1) * _BLOCK_US < _LAST_DAY * DAY_US:
            for stretch in _block(self.zone, block):
                if stretch.end_us > moment_us:
                    yield stretch
            # Far ahead, the days that there are lead on sooner than the zone's.
            wall = self._wall_from((block + 1) * _BLOCK_US - DAY_US)
            if wall is None:
                return
            block = max(block + 1, (wall - DAY_US) // _BLOCK_US)


@lru_cache(maxsize=2048)
def _block(zone: ZoneInfo, block: int) -> tuple[_Stretch, ...]:
    """The stretches of two months. No zone changes its clocks twice a day."""
    block_us = block * _BLOCK_US
    # A day more, for a fold that reaches into them.
    begin_us = block_us - DAY_US
    offset_us = _offset(zone, begin_us)
    found = [_Stretch(begin_us, block_us + _BLOCK_US, offset_us, offset_us, begin_us + offset_us)]
    for day_us in range(begin_us, block_us + _BLOCK_US, DAY_US):
        last = found[-1]
        offset_us = _offset(zone, day_us + DAY_US - 1)
        if offset_us != last.offset_us:
            change_us = _change(zone, day_us, last.offset_us)
            shown = max(last.new_wall, change_us + last.offset_us)
            found[-1] = last._replace(end_us=change_us)
            found.append(
                _Stretch(change_us, block_us + _BLOCK_US, offset_us, last.offset_us, shown)
            )
    return tuple(
        each
        if each.begin_us >= block_us
        else each._replace(begin_us=block_us, before_us=each.offset_us)
        for each in found
        if each.end_us > block_us
    )


def _change(zone: ZoneInfo, day_us: int, offset_us: int) -> int:
    """The moment of a day when a zone's clocks leave a distance."""
    moments = range(day_us, day_us + DAY_US)
    return moments[bisect_right(moments, 0, key=lambda at: _offset(zone, at) != offset_us)]


def _offset(zone: ZoneInfo, moment_us: int) -> int:
    ahead = local_time(moment_us, zone).utcoffset()
    assert ahead is not None  # it is aware
    return ahead // _MICROSECOND
