"""Moments as people write them in options: a time, a day, how long ago."""

import re
from datetime import datetime, timedelta

from hookline.model.clock import parse_rfc3339, rfc3339
from hookline.model.duration import seconds
from hookline.model.errors import BadData, Usage, shown

_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def stored_time(text: str | None, now: datetime) -> str | None:
    """The moment in the stored form; None for None. Raises Usage."""
    if text is None:
        return None
    try:
        if _DAY.match(text):
            return rfc3339(parse_rfc3339(f"{text}T00:00:00Z"))
        if text.endswith(("s", "m", "h", "d")):
            return rfc3339(now - timedelta(seconds=seconds(text)))
        return rfc3339(parse_rfc3339(text))
    except (BadData, OverflowError):
        raise Usage(
            f"time {shown(text)} is not like 2026-11-21T01:35:31Z, 2026-11-21, 10m or 2h"
        ) from None
