"""Cron expressions, as Debian's cron(8) means them. Pure."""

from typing import Final

from cronsim import CronSim, CronSimError

from hookline.model.errors import BadData, shown
from hookline.schedule.recurrence import EPOCH, SECOND_US, TEXT_MAX, zone_of
from hookline.schedule.zoned import FORMS, TimesOfDay, Zoned

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def is_cron(text: str) -> bool:
    """Whether a text is to be one of these; else it is to be an OnCalendar text."""
    return text.startswith("@") or len(text.split()) in (5, 6)


class Cron(Zoned):
    """A cron expression of five fields, or six with seconds first, as Debian's cron(8) means it.

    Where hour and minute do not begin with a star, a time that the change to summer time leaves out
    is due right after the gap, and one that the change back repeats is due once. Else, and with
    seconds, each time that the clocks show is one.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        """Raises BadData for what is no such expression or zone, or never comes about."""
        if len(expression) > TEXT_MAX:
            raise BadData(f"cron = {shown(expression)} is longer than {TEXT_MAX} characters")
        text = expression.strip()
        fields = NICKNAMES.get(text.lower(), text)
        try:
            # What the expression means is its affair; going from one time to the next is Zoned's.
            read = CronSim(fields, EPOCH)
        except (CronSimError, ValueError) as wrong:
            raise BadData(f"cron = {shown(text)}: {wrong}: {FORMS}") from wrong
        _, minute, hour, *_ = read.parts
        elapsed = len(fields.split()) == 6 or minute.startswith("*") or hour.startswith("*")
        seconds_us = [second * SECOND_US for second in read.seconds]
        super().__init__(
            f"cron {text} {zone}",
            zone_of(zone),
            TimesOfDay(sorted(read.hours), sorted(read.minutes), sorted(seconds_us)),
            read.match_day,
            sorted(read.months),
            "elapsed" if elapsed else "after the gap",
        )
        if self.after(0) is None:
            raise BadData(f"cron = {shown(text)} never comes about")
