"""What all Python tests share: a sealed home of their own, and the switch for the long runs."""

import os
import random
from pathlib import Path

import pytest

from hookline.log.home import Home


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--soak MINUTES`, or HOOKLINE_SOAK=MINUTES, makes each fault test run for so long; `--point`
    makes those that walk through system calls strike one of them alone."""
    parser.addoption(
        "--soak",
        type=float,
        metavar="MINUTES",
        default=os.environ.get("HOOKLINE_SOAK", "0"),
        help="run each fault test for so long, instead of some seconds",
    )
    parser.addoption(
        "--point",
        metavar="SYSCALL:FAULT:when=N",
        help="strike only there, as a fault test that failed has said",
    )
    parser.addoption(
        "--seed",
        type=int,
        metavar="N",
        help="draw again what a random test that failed has drawn",
    )


@pytest.fixture(scope="session")
def soak_s(request: pytest.FixtureRequest) -> float:
    """How long a fault test is to run; 0.0: as short as it likes."""
    return 60.0 * float(request.config.getoption("--soak"))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The dice of a test; their seed is printed, and `--seed` gives it back."""
    given = request.config.getoption("--seed")
    seed = random.randrange(1 << 32) if given is None else int(given)  # noqa: S311  # a test's dice
    print(f"again with --seed {seed}")
    return random.Random(seed)  # noqa: S311  # as above


@pytest.fixture(autouse=True)
def _sealed_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing of the person who runs the tests comes through, least of all their home."""
    for name in list(os.environ):
        if name.startswith(("HOOKLINE_", "CORTEX_", "EVENT_")) or name == "TRACEPARENT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("user")))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh home, with its folders made and HOOKLINE_HOME leading to it."""
    home = Home(tmp_path / "home")
    for folder in (
        home.segments,
        home.queue,
        home.rejected,
        home.data,
        home.state,
        home.config,
        home.schemas,
        home.handlers,
    ):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    monkeypatch.setenv("HOOKLINE_HOME", str(home.root))
    return home
