"""What the fault tests share."""

from pathlib import Path

import pytest

from testing.faults.injection import Point, Points


@pytest.fixture
def points(request: pytest.FixtureRequest, tmp_path: Path, soak_s: float) -> Points:
    """Strikes programs at their system calls: some, with `--soak` all, with `--point` that one."""
    only = request.config.getoption("--point")
    scratch = tmp_path / "points"
    scratch.mkdir()
    return Points(scratch, every=soak_s > 0, only=Point.parse(only) if only else None)
