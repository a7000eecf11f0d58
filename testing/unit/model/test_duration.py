"""Spans of time as people write them."""

import pytest

from hookline.model.duration import seconds, text_of
from hookline.model.errors import BadData


@pytest.mark.parametrize(
    ("text", "span_s"),
    [
        ("200ms", 0.2),
        ("30s", 30),
        ("1.5m", 90),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172800),
        ("0s", 0),
    ],
)
def test_a_span_has_a_unit(text, span_s):
    assert seconds(text) == pytest.approx(span_s)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-5s",
        "5 s",
        "5S",
        "1e3s",
        "inf",
        "nans",
        ".5s",
        "5s\n",
        "٣s",
        "5m30s",
        "9" * 10 + "s",
    ],
)
def test_no_other_text_is_a_span(text):
    with pytest.raises(BadData, match="duration "):
        seconds(text)


@pytest.mark.parametrize(
    ("span_s", "text"),
    [
        (0.0, "0ms"),
        (0.0015, "1.5ms"),
        (0.25, "250ms"),
        (1, "1s"),
        (90, "90s"),
        (2.5, "2.5s"),
        (1234567, "1234567s"),
        (300, "5m"),
        (7200, "2h"),
        (172800, "2d"),
    ],
)
def test_a_span_is_written_in_its_largest_unit_and_read_again(span_s, text):
    assert text_of(span_s) == text
    assert seconds(text) == pytest.approx(span_s)
