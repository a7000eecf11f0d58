"""`hookline selftest` on this very disk: what it says, what it leaves behind, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookline.app.selftest import leaks
from hookline.dispatch.lock import holder
from hookline.log.home import Home
from hookline.model.errors import OwnBug

SOURCE = Path(__file__).resolve().parents[3] / "src"


def start(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "hookline", "selftest", *options],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def selftest(*options):
    process = start(*options)
    out, err = process.communicate(timeout=110)
    return process.returncode, out, err


@pytest.mark.timeout(360)
def test_the_check_is_same_as_works_here_and_leaves_nothing(home):
    before = sorted(home.root.rglob("*"))
    status, out, err = selftest("--json")
    assert (status, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["check"] for each in found] == [
        "file system", "fdatasync", "leases", "inotify", "appends", "delivery", "deliveries",
    ]  # fmt: skip
    assert all(each["well"] for each in found)
    assert sorted(home.root.rglob("*")) == before


@pytest.mark.timeout(360)
@pytest.mark.usefixtures("home")
def test_a_short_storm_keeps_all_promises(tmp_path):
    aim = tmp_path / "aim"
    aim.mkdir()
    status, out, err = selftest(
        "--chaos", "--minutes", "0.04", "--seed", "5", "--json", "--dir", aim
    )
    report = json.loads(out)
    assert (status, report["problems"], report["seed"], report["lost"]) == (0, [], 5, 0)
    assert report["acknowledged"] > 0
    assert err.startswith(f"seed 5, in {aim}/selftest-")
    assert list(aim.iterdir()) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name
)
@pytest.mark.usefixtures("home")
def test_whatever_ends_a_storm_nothing_is_left_of_it(number):
    process = start("--chaos")
    place = Path(process.stderr.readline().split(" in ")[1].strip())
    deadline_s = time.monotonic() + 60
    while not list(place.glob("*.runs")):
        assert time.monotonic() < deadline_s
        assert process.poll() is None
        time.sleep(0.02)  # files of other processes: nobody tells
    process.send_signal(number)
    process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert not place.exists()
        assert leaks.marked(Home(place)) == []
    deadline_s = time.monotonic() + 60
    while holder(Home(place)) is not None:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)  # it dies with its parent, untold


def test_what_a_killed_test_leaves_is_told_by_doctor_and_removed_by_the_next(home, capsys):
    from hookline.cli.main import main

    running = start()
    while not (found := list(home.coordination.glob("selftest-*/throw-away"))):
        assert running.poll() is None
        time.sleep(0.01)  # a file of another process: nobody tells
    place = found[0].parent
    main(["doctor"])
    assert place.name not in capsys.readouterr().out
    running.kill()
    running.communicate(timeout=60)
    while leaks.marked(Home(place)):
        time.sleep(0.01)  # its children die with it, untold
    main(["doctor"])
    assert f"{place} is left of a test that was killed" in capsys.readouterr().out
    kept = home.coordination / "selftest-kept"
    kept.mkdir()
    status, out, _ = selftest()
    assert status == 0
    assert all(line.startswith("ok ") for line in out.splitlines())
    assert list(home.coordination.glob("selftest-*")) == [kept]


def test_a_broken_promise_is_said_with_what_shows_it_again(home, monkeypatch, capsys):
    from hookline.app.selftest import report, storm
    from hookline.cli.main import main

    class Calm(storm.Storm):
        def run(self):
            storm.notes_folder(self.home).mkdir()
            (storm.notes_folder(self.home) / "append").write_text("gone storm.note\n")
            return self.tally

    monkeypatch.setattr(storm, "Storm", Calm)
    assert main(["selftest", "--chaos", "--seed", "9"]) == OwnBug.exit_code
    out, err = capsys.readouterr()
    (place,) = home.coordination.glob("selftest-*")
    assert report.judge(Home(place), storm.Plan(seed=9, lasts_s=60.0), storm.Tally()).lost == 1
    assert "lost                   1" in out
    assert "broken: on-storm.py: lost: gone" in out
    assert err.splitlines()[-1] == (
        f"hookline selftest: on-storm.py: lost: gone; kept: {place}; again: "
        f"hookline selftest --chaos --minutes 1 --seed 9 --dir {home.coordination}"
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--chaos", "--minutes", "0"],
        ["--minutes", "1"],
        ["--seed", "1"],
        ["--chaos", "--minutes", "nan"],
    ],
)
@pytest.mark.usefixtures("home")
def test_what_makes_no_sense_is_refused(options):
    status, _, err = selftest(*options)
    assert status == os.EX_USAGE
    assert "selftest --help" in err
