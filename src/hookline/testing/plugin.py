"""The pytest plugin: there by itself where Hookline was installed with pip, elsewhere by
`pytest_plugins = ["hookline.testing.plugin"]` in a conftest.py.

pytest loads it in every project of that installation: what a test does not use, it does not pay.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hookline.app.log import Log


@pytest.fixture
def hookline_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Log":
    """The log of a home of the test's own, to which HOOKLINE_HOME leads as long as it runs."""
    from hookline.app.init import init
    from hookline.app.log import Log
    from hookline.log.home import Home

    root = tmp_path / "home"
    for _ in init(Home(root)):
        pass  # it makes the parts of the home as it tells of them
    monkeypatch.setenv("HOOKLINE_HOME", str(root))
    return Log(root)
