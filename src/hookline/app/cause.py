"""Which event is being handled here, if any: what the dispatcher put into the environment."""

import os
from collections.abc import Mapping

from hookline.model.attributes import HOPS_MAX, check_string, check_traceparent
from hookline.model.cause import Cause
from hookline.model.errors import BadData
from hookline.model.ids import is_id


def cause(environ: Mapping[str, str] = os.environ) -> Cause | None:
    """The event that this process was started to handle; None outside a handler.

    A value that cannot be one is as good as none: what a handler passed on by mistake must not
    keep its events from being logged.
    """
    id = environ.get("EVENT_ID", "")
    if not environ.get("HOOKLINE_ATTEMPT") or not is_id(id):
        return None
    return Cause(
        id=id,
        correlationid=_correlation(environ.get("EVENT_CORRELATION", "")),
        hops=_hops(environ.get("EVENT_HOPS", "")),
        traceparent=_traceparent(environ.get("TRACEPARENT", "")),
    )


def _correlation(text: str) -> str | None:
    try:
        return check_string("correlationid", text)
    except BadData:
        return None


def _hops(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        return 0
    return int(text) if len(text) < 4 else HOPS_MAX


def _traceparent(text: str) -> str | None:
    try:
        return check_traceparent(text)
    except BadData:
        return None
