"""Amounts of bytes as people write them."""

import pytest

from hookline.model.errors import BadData
from hookline.model.size import size_bytes, size_text


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0B", 0),
        ("512B", 512),
        ("64KiB", 65_536),
        ("10MiB", 10_485_760),
        ("1.5kB", 1500),
        ("10MB", 10_000_000),
        ("2GiB", 2_147_483_648),
        ("1TB", 1_000_000_000_000),
    ],
)
def test_an_amount_has_a_unit(text, amount):
    assert size_bytes(text) == amount


@pytest.mark.parametrize(
    "text", ["", "10", "MiB", "-1B", "10 MiB", "10mib", "KB", "1KB", "1kiB", "1e3B", "5B\n", "٣B"]
)
def test_no_other_text_is_an_amount(text):
    with pytest.raises(BadData, match="size "):
        size_bytes(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 << 20, "10.0 MiB"), (3 << 40, "3.0 TiB")],
)
def test_people_read_it_in_a_unit_that_fits(amount, text):
    assert size_text(amount) == text
