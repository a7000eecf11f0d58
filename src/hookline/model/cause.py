"""What an event that a handler emits owes to the event that the handler was given."""

from typing import NamedTuple

from hookline.model.attributes import HOPS_MAX, Fields


class Cause(NamedTuple):
    """The event that is being handled; `hops` is its own, 0 where it has none."""

    id: str
    correlationid: str | None = None
    hops: int = 0
    traceparent: str | None = None


handling: Cause | None = None
"""The event that a Python handler is being called with, in the process that calls it."""


def hops_after(cause: Cause) -> int:
    """The hops of an event that this one causes."""
    return min(cause.hops + 1, HOPS_MAX)


def with_cause(fields: Fields, cause: Cause | None) -> Fields:
    """The fields with `causationid`, `correlationid`, `hops` and `traceparent` from the cause.

    What the fields say already stands, but hops are never fewer than the cause has, and one more:
    a loop must not reset its own count.
    """
    if cause is None:
        return fields
    caused = fields.copy()
    if caused.get("causationid") is None:
        caused["causationid"] = cause.id
    if caused.get("correlationid") is None:
        caused["correlationid"] = cause.correlationid or cause.id
    caused["hops"] = max(caused.get("hops") or 0, hops_after(cause))
    if caused.get("traceparent") is None and cause.traceparent is not None:
        caused["traceparent"] = cause.traceparent
    return caused
