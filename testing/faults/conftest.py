"""What the fault tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.faults.bus import make_bus
from testing.faults.injection import Point, Points
from testing.faults.small_disk import NoNameSpaces, SmallDisk
from testing.unit.bench import make_bench

__all__ = ["make_bench", "make_bus"]


@pytest.fixture
def points(request: pytest.FixtureRequest, tmp_path: Path, soak_s: float) -> Points:
    """Strikes programs at their system calls: some, with `--soak` all, with `--point` that one."""
    only = request.config.getoption("--point")
    scratch = tmp_path / "points"
    scratch.mkdir()
    return Points(scratch, every=soak_s > 0, only=Point.parse(only) if only else None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 512 KiB of its own; the injected faults stand in where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        disk = SmallDisk(folder, "512k")
    except NoNameSpaces as why:
        pytest.skip(f"this user may have no name spaces: {why}")
    with disk:
        yield disk
