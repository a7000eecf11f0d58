"""What the tests that count share."""

import os
from pathlib import Path

import pytest

from hookline.log.home import Home
from testing.costs.counting import CHECKOUT, Tracer

LIB = CHECKOUT / "scripts" / "events" / "lib"


@pytest.fixture
def environment(home: Home) -> dict[str, str]:
    """Of the programs that are counted; the log of the domain `worker` is there already."""
    home.live("worker").touch()
    return {
        "PATH": os.defpath,
        "HOME": os.environ["HOME"],
        "LC_ALL": "C.UTF-8",
        "HOOKLINE_HOME": os.fspath(home.root),
        "LIB": os.fspath(LIB),
    }


@pytest.fixture
def tracer(tmp_path: Path, environment: dict[str, str]) -> Tracer:
    """Counts system calls."""
    return Tracer(tmp_path, environment)
