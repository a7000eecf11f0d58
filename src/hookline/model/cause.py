"""What an event that a handler emits owes to the event that the handler was given."""

from typing import NamedTuple, Protocol

from hookline.model.attributes import HOPS_MAX, Fields


class Handled(Protocol):
    """What counts of the event that is being handled: an `Event` has it, and a `Cause`."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def correlationid(self) -> str | None:
        """The story that it belongs to."""

    @property
    def hops(self) -> int:
        """Its own, 0 where it has none."""

    @property
    def traceparent(self) -> str | None:
        """The span that it belongs to."""


class Cause(NamedTuple):
    """The event that is being handled; `hops` is its own, 0 where it has none."""

    id: str
    correlationid: str | None = None
    hops: int = 0
    traceparent: str | None = None


handling: Handled | None = None
"""The event that a Python handler is being called with, in the process that calls it."""


def hops_after(cause: Handled) -> int:
    """The hops of an event that this one causes."""
    return min(cause.hops + 1, HOPS_MAX)


def with_cause(fields: Fields, cause: Handled | None) -> Fields:
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
