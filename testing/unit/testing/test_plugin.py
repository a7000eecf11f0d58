import os
import subprocess
import sys

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


def test_the_fixture_works_in_tests_elsewhere(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["hookline.testing.plugin"]\n')
    (tmp_path / "test_own.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
