"""Whether a layer should run when a scheduler starts, because it has not for too long. Pure."""

from collections.abc import Mapping
from typing import Final

from hookline.model.clock import parse_rfc3339
from hookline.schedule.kernel import State, Tick, tick_id
from hookline.schedule.recurrence import microseconds
from hookline.schedule.runs import Run
from hookline.schedule.schedule import Schedule
from hookline.schedule.tick import OVERDUE

THRESHOLD: Final = 1.3
"""Of the gap between two of its times: as Zos has it."""


def overdue(schedule: Schedule, last_done_us: int | None, now_us: int) -> bool:
    """Whether its layer never ran, or last came to its end longer ago than 1.3 times the gap
    between the two nominal times around now. Moments are microseconds since 1970.

    With an irregular recurrence that gap is another one at any time: of `0 9 * * 1-5` a weekend's
    on Saturday and a day's on Wednesday. What was due for the last time is overdue from then on.
    Never overdue is a schedule that catches up with nothing, has expired, or counts events instead
    of time.
    """
    expired = schedule.expires_us is not None and schedule.expires_us <= now_us
    if schedule.of or schedule.catch_up == "none" or expired:
        return False
    following_us = schedule.when.after(now_us)
    if last_done_us is None:
        return True
    first_us = schedule.when.after(last_done_us)
    if first_us is None or first_us > now_us:
        return False
    if following_us is None:
        return True
    _, previous_us = schedule.when.span(first_us, now_us)
    return now_us - last_done_us > THRESHOLD * (following_us - previous_us)


def overdue_ticks(
    schedules: Mapping[str, Schedule],
    state: State,
    last: Mapping[str, Run],
    done_us: Mapping[str, int],
    now_us: int,
) -> list[Tick]:
    """A tick for each schedule whose layer is overdue and of which nothing is due by itself; by
    layer, `last` is its last run and `done_us` when one last came to its end.

    Its id is that of the last run's successor: until there is another run, it is the same event.
    """
    ticks = []
    for name, schedule in schedules.items():
        memory = state.get(name)
        if not schedule.layer or memory is None or memory.paused or memory.is_due(now_us):
            continue
        if overdue(schedule, done_us.get(schedule.layer), now_us):
            run = last.get(schedule.layer)
            before_us = microseconds(parse_rfc3339(run.started_at)) if run else 0
            ticks.append(
                Tick(
                    schedule=name,
                    own_id=tick_id(name, before_us, memory.era),
                    nominal_us=now_us,
                    fires_us=now_us,
                    reason=OVERDUE,
                )
            )
    return ticks
