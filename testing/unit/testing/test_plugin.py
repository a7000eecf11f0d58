import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"

TESTS = """
import os
from pathlib import Path

from hookline.testing import try_handler

def test_it_has_a_home_of_its_own(hookline_home):
    assert hookline_home.append("a.b", source="t").type == "a.b"
    assert [event.type for event in hookline_home.read("a.*")] == ["a.b"]

def test_a_shipped_handler_can_be_tried(hookline_home):
    event = {"specversion": "1.0", "type": "task.failed", "data": {"error_type": "timeout"}}
    trial = try_handler("on-task-failed.sh", event)
    assert trial.done
    assert '"timeout"' in trial.file("coordination/metrics/failure-stats.json").text
"""
STRANGERS = """
import sys

def test_nothing_of_it_is_loaded_for_tests_that_do_not_use_it():
    assert "hookline.testing.plugin" in sys.modules
    loaded = {name for name in sys.modules if name.startswith("hookline.")}
    assert loaded == {"hookline.loading", "hookline.testing", "hookline.testing.plugin"}
"""


@pytest.fixture
def installed(tmp_path):
    """A folder that makes Hookline look as pip has installed it: its entry points."""
    folder = tmp_path / "site"
    made = folder / "hookline-0.1.0.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: hookline\nVersion: 0.1.0\n")
    points = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["pytest11"]
    lines = [f"{name} = {module}\n" for name, module in points.items()]
    (made / "entry_points.txt").write_text("".join(["[pytest11]\n", *lines]))
    return folder


def run(folder, tests, *paths):
    (folder / "test_own.py").write_text(tests)
    found = [*map(str, paths), *(path for path in sys.path if path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_conftest(folder):
    (folder / "conftest.py").write_text('pytest_plugins = ["hookline.testing.plugin"]\n')


def test_the_fixture_is_there_where_a_conftest_names_it(tmp_path):
    in_conftest(tmp_path)
    assert "2 passed" in run(tmp_path, TESTS)


@pytest.mark.parametrize("also_in_conftest", [False, True])
def test_the_fixture_is_there_once_it_is_installed(tmp_path, installed, also_in_conftest):
    if also_in_conftest:
        in_conftest(tmp_path)
    assert "2 passed" in run(tmp_path, TESTS, installed)


def test_who_does_not_use_it_does_not_pay(tmp_path, installed):
    assert "1 passed" in run(tmp_path, STRANGERS, installed)
