"""Golden files in Python tests."""

import os
from pathlib import Path
from typing import Final

from hookline.app.golden import differences, golden_text, keep
from hookline.app.trial import Trial

UPDATE: Final = "HOOKLINE_GOLDEN_UPDATE"
"""Set it to write the golden files anew instead of comparing with them."""


def matches_golden(trial: Trial, path: str | os.PathLike[str]) -> bool:
    """Whether a trial came to what the golden file says; raises AssertionError with the difference
    when it did not, and BadData when there is no such file."""
    text = golden_text(trial)
    if os.environ.get(UPDATE):
        keep(Path(path), text)
    found = differences(Path(path), text)
    if found:
        told = "\n".join(found)
        raise AssertionError(f"not as in the golden file ({UPDATE}=1 writes it anew):\n{told}")
    return True
