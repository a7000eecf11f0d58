"""The load test of workers, for real: none of their heartbeats is lost, and who falls silent is
told of in time."""

import json
import subprocess

import pytest

from hookline.app.init import init
from hookline.log.home import Home
from testing.docs.console import CHECKOUT

SOAK_WORKERS = 100


@pytest.mark.timeout(3600)
def test_no_heartbeat_is_lost_and_who_falls_silent_is_told_of_in_time(tmp_path, soak_s):
    home = Home(tmp_path / "home")
    list(init(home))
    few = ["--workers", "10", "--duration", "5", "--rate", "20", "--stale", "2", "--threshold", "1"]
    many = ["--workers", str(SOAK_WORKERS), "--duration", str(max(150, round(soak_s)))]
    many += ["--stale", "10", "--threshold", "60"]
    command = [CHECKOUT / "scripts/load-test-workers.sh", "--home", home.root, "--with-dispatcher"]
    done = subprocess.run(
        [*command, "--json", *(many if soak_s else few)],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    # How late somebody is told of is a matter of what else runs on the machine: a whole run of the
    # tests takes all of it. On one that has nothing else to do, a long run is held to it.
    late = [] if soak_s else [each for each in report["problems"] if "told of within" in each]
    assert [each for each in report["problems"] if each not in late] == [], done.stderr
    assert done.returncode == (1 if late else 0)
    assert report["said"] == report["logged"] == report["deliveries"][0]["delivered"] > 0
    assert len(report["silent"]) == (10 if soak_s else 2)
    assert None not in [each["told_after_s"] for each in report["silent"]]
