"""Spans of time as people write them in headers and options."""

import re

from hookline.model.errors import BadData, shown

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)\Z", re.ASCII)


def seconds(text: str) -> float:
    """The seconds in a span such as `200ms`, `30s`, `1.5m`, `1h` or `2d`.

    Raises BadData for any other text; zero is a span.
    """
    found = _DURATION.match(text)
    if found is None:
        raise BadData(f"duration {shown(text)} is not like '200ms', '30s', '5m', '1h' or '2d'")
    return float(found[1]) * _UNITS_S[found[2]]


def text_of(span_s: float) -> str:
    """A span as `seconds` takes it, in the largest unit of which it is a whole number."""
    for unit in ("d", "h", "m", "s"):
        if span_s >= _UNITS_S[unit] and span_s % _UNITS_S[unit] == 0:
            return f"{span_s / _UNITS_S[unit]:.0f}{unit}"
    number, unit = (span_s, "s") if span_s >= 1 else (span_s * 1000, "ms")
    return f"{number:.6f}".rstrip("0").rstrip(".") + unit
