"""What all Python tests share: a sealed home of their own, the switch for the long runs, and chance
that can be had again.

`--soak MINUTES` is for a whole run: what walks through all there is does so, and what could go on
for ever goes on for `soak_s`, a tenth of it each. `--seed N` is for a whole run, too: each test
draws from a seed of its own, made of this one and its name.
"""

import gc
import os
import random
import signal
from pathlib import Path

import pytest

from hookline.log.home import Home


def pytest_addoption(parser: pytest.Parser) -> None:
    """The switches of the long and of the random tests; HOOKLINE_SOAK and HOOKLINE_SEED are two of
    them."""
    parser.addoption(
        "--soak",
        type=float,
        metavar="MINUTES",
        default=os.environ.get("HOOKLINE_SOAK", "0"),
        help="test for about so long, instead of some minutes",
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
        default=os.environ.get("HOOKLINE_SEED"),
        help="draw again what the tests of an earlier run have drawn",
    )


def pytest_configure(config: pytest.Config) -> None:
    """One seed for the whole run: the processes of pytest-xdist find it in the environment."""
    # A shell has what it starts in the background ignore it, and what a test interrupts would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.seed is None:
        config.option.seed = random.randrange(1 << 32)  # noqa: S311  # a test's dice
    os.environ["HOOKLINE_SEED"] = str(config.option.seed)


def pytest_collection_finish() -> None:
    """What there is by now stays: neither a collection nor a forked process is to go through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def soak_s(request: pytest.FixtureRequest) -> float:
    """How long a test that could go on for ever is to do so, a tenth of `--soak`; 0.0: as short as
    it likes."""
    return 6.0 * float(request.config.getoption("--soak"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What all that is random in a test is drawn from; how to have it again is printed."""
    options = request.config.option
    soak = f" --soak {float(options.soak):g}" if float(options.soak) else ""
    print(f"again: .venv/bin/pytest --seed {options.seed}{soak} '{request.node.nodeid}'")
    return random.Random(f"{options.seed} {request.node.nodeid}").randrange(1 << 32)  # noqa: S311  # as above


@pytest.fixture
def chance(seed: int) -> random.Random:
    """The dice of a test."""
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
