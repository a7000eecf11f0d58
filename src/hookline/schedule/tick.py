"""The event of a tick, which carries the proof of when it was due, and why it came."""

from typing import Annotated

import msgspec

from hookline.log.compose import dumps
from hookline.model.attributes import Fields
from hookline.model.clock import parse_rfc3339, rfc3339
from hookline.model.errors import BadData
from hookline.model.event import Event
from hookline.schedule.kernel import Tick
from hookline.schedule.recurrence import microseconds, utc_time
from hookline.schedule.schedule import Schedule

SOURCE = "hookline.schedule"
"""The source of all that a scheduler appends."""
MANUAL = "manual"
"""The reason of a tick that a person has asked for."""
OVERDUE = "overdue"
"""The reason of a tick whose layer had not run for too long when a scheduler started."""


class Proof(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What each tick's data says besides the schedule's own data. Times are RFC 3339."""

    schedule: str
    nominal: str
    """When it should be, by the schedule alone."""
    fired: str
    """When it was appended."""
    late_ms: float
    """How long after it was due: nominal time, stagger and jitter."""
    factor: float
    """The speed of its schedule: 0.5 is half as often as written."""
    reason: str
    coalesced: int
    """For how many times that were due before it stands, too."""
    missed: int
    """How many times were given up since the tick before."""
    era: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0
    """How often the clock was set so far back that nominal times come again."""

    @property
    def is_extra(self) -> bool:
        """Whether it comes besides, and stands for none of the recurrence's times."""
        return self.reason.startswith((MANUAL, OVERDUE))


def proof(tick: Tick, now_us: int) -> Proof:
    """What a tick that is appended now says of itself."""
    reason = tick.reason
    if tick.speed_reason:
        reason += f"; at {tick.speed:g} times its speed: {tick.speed_reason}"
    return Proof(
        schedule=tick.schedule,
        nominal=rfc3339(utc_time(tick.nominal_us)),
        fired=rfc3339(utc_time(now_us)),
        late_ms=round((now_us - tick.fires_us) / 1000, 3),
        factor=tick.speed,
        reason=reason,
        coalesced=tick.coalesced,
        missed=tick.missed,
        era=tick.era,
    )


def fields_of(schedule: Schedule, tick: Tick, now_us: int) -> Fields:
    """The fields of a tick that is appended now."""
    said = proof(tick, now_us)
    fields: Fields = {
        "id": tick.id,
        "source": SOURCE,
        "type": schedule.event,
        "time": said.fired,
        "subject": tick.schedule,
        "data": dumps({**msgspec.to_builtins(said), **schedule.data}),
    }
    if schedule.priority:
        fields["priority"] = schedule.priority
    return fields


def proof_of(event: Event) -> Proof | None:
    """What a tick says of itself; None for an event that is none, or says what cannot be."""
    if event.source != SOURCE or not event.data:
        return None
    try:
        told = msgspec.json.decode(event.data, type=Proof)
        parse_rfc3339(told.nominal)
        parse_rfc3339(told.fired)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, BadData):
        return None
    return told


def nominal_us(told: Proof) -> int:
    """The nominal time as microseconds since 1970."""
    return microseconds(parse_rfc3339(told.nominal))
