"""How many instructions the hot paths take, where valgrind is installed.

The budgets are of one bash and one Python, since others compile to other instructions. One that is
exceeded by a change that is worth it is raised in the same commit, which says why; the message has
the new figure. One that a change has left far behind is lowered, or it guards nothing.
"""

import os
import shutil
import subprocess
import sys

import pytest

from testing.costs.conftest import LIB
from testing.costs.counting import bash, instructions, python
from testing.costs.test_emit import PYTHON, SOURCED

BASH = "5.2"
CPYTHON = (3, 11)
HEADROOM = 1.15

pytestmark = pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is missing")


def within(budget: int, counted: float) -> None:
    assert counted <= budget * HEADROOM, (
        f"{counted:,.0f} instructions, {counted / budget - 1:.0%} over the budget of {budget:,}: "
        "make it cheaper, or raise the budget in this file and say why in the commit"
    )


@pytest.fixture
def known_bash() -> None:
    version = subprocess.check_output(bash('printf %s "$BASH_VERSION"'), text=True)
    if not version.startswith(BASH):
        pytest.skip(f"the budgets are of bash {BASH}, this is {version}")


@pytest.fixture
def known_python() -> None:
    if sys.version_info[:2] != CPYTHON:
        pytest.skip("the budgets are of another Python")


@pytest.mark.usefixtures("known_bash")
@pytest.mark.parametrize(
    ("data", "budget"),
    [
        ('{"worker_id":"w-17","task":"t-1","status":"completed","ms":1834,"ok":true}', 2_520_000),
        ('{"worker":{"id":"w-17","tags":["a","b"]},"steps":[{"n":1},{"n":2}]}', 3_740_000),
        ('{"name":"Zo\u00eb","note":"na\u00efve \u2013 \\"quoted\\""}', 3_500_000),
    ],
    ids=["flat", "nested", "text"],
)
def test_emit_event(environment: dict[str, str], data: str, budget: int) -> None:
    few, many = (instructions(bash(SOURCED, data, count), environment) for count in (5, 25))
    within(budget, (many - few) / 20)


@pytest.mark.usefixtures("known_bash")
def test_the_command(environment: dict[str, str]) -> None:
    command = (os.fspath(LIB / "event-logger.sh"), "--emit", "worker.done", "test", '{"a":1}')
    within(11_850_000, instructions(command, environment))


@pytest.mark.usefixtures("known_python")
@pytest.mark.timeout(600)
def test_append(environment: dict[str, str], soak_s: float) -> None:
    if not soak_s:
        pytest.skip("half a minute: with --soak")
    # Under valgrind a millisecond is over after an event or two: what is made once in each, counts.
    clock = "import time; time.time_ns = lambda: 1 << 60"
    script = PYTHON.format(before=f"appender.HOLD_S = 1e6; {clock}", more="")
    # The first run may have to compile modules.
    _, few, many = (instructions(python(script, count), environment) for count in (1, 100, 600))
    within(19_900, (many - few) / 500)
