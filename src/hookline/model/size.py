"""Amounts of bytes as people write them."""

import re

from hookline.model.errors import BadData, shown

_UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**n for n, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}iB": 1024**n for n, prefix in enumerate("KMGT", 1)},
}
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([kKMGT]?i?B)\Z", re.ASCII)


def size_bytes(text: str) -> int:
    """The bytes in an amount such as `512B`, `64KiB`, `10MiB` or `1.5GB`.

    Raises BadData for any other text; nothing at all is an amount.
    """
    found = _SIZE.match(text)
    if found is None or found[2] not in _UNITS:
        raise BadData(f"size {shown(text)} is not like '512B', '64KiB', '10MiB' or '1.5GB'")
    return int(float(found[1]) * _UNITS[found[2]])


def size_text(amount: int) -> str:
    """An amount of bytes for people: `900 B`, `1.5 KiB`, `10.0 MiB`."""
    if amount < 1024:
        return f"{amount} B"
    size = float(amount)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"
