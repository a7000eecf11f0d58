"""The pytest plugin: `pytest_plugins = ["hookline.testing.plugin"]` in a conftest.py."""

from pathlib import Path

import pytest

from hookline.app.init import init
from hookline.app.log import Log
from hookline.log.home import Home


@pytest.fixture
def hookline_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """The log of a home of the test's own, to which HOOKLINE_HOME leads as long as it runs."""
    root = tmp_path / "home"
    for _ in init(Home(root)):
        pass  # it makes the parts of the home as it tells of them
    monkeypatch.setenv("HOOKLINE_HOME", str(root))
    return Log(root)
