"""`hookline schedule export` as its users call it."""

import json
import os

import pytest

from hookline.app import moving
from hookline.cli.main import main


@pytest.fixture
def scheduled(home, monkeypatch):
    monkeypatch.setattr(moving, "machine_zone", lambda: "UTC")
    (home.config / "schedules.toml").write_text(
        '[schedule.tea]\ncron = "0 16 * * *"\nevent = "tea.time"\ncatch_up = "none"\n'
        '[schedule.beat]\nevery = "5s"\nevent = "heart.beat"\n'
    )
    return home


def run(capsys, *arguments):
    """The exit status, stdout and stderr."""
    capsys.readouterr()
    status = main(["schedule", "export", *arguments])
    return status, *capsys.readouterr()


def test_as_a_crontab(scheduled, capsys):
    status, out, _ = run(capsys, "--cron")
    assert status == 0
    assert out.startswith(f"# Schedules of {scheduled.root}\n# beat: every 5s is no whole number")
    assert f"\n0 16 * * * {_program()} schedule trigger tea --home {scheduled.root}\n" in out
    assert run(capsys, "--cron", "--run-due")[1].endswith(f"run-due --home {scheduled.root}\n")


def _program():
    import sys

    return os.path.abspath(sys.argv[0])


@pytest.mark.usefixtures("scheduled")
def test_as_units_of_systemd(capsys, tmp_path):
    status, out, _ = run(capsys, "--systemd", "tea")
    assert status == 0
    assert out.startswith("# hookline-tea.timer\n[Unit]\n")
    assert "hookline-beat" not in out
    units = tmp_path / "units"
    units.mkdir()
    arguments = ["--systemd", "--to", str(units)]
    assert len(run(capsys, *arguments)[1].splitlines()) == 4
    assert run(capsys, *arguments)[0] == 0
    (units / "hookline-tea.timer").write_text("mine")
    assert run(capsys, *arguments)[0] == os.EX_CANTCREAT
    assert (units / "hookline-tea.timer").read_text() == "mine"
    lines = run(capsys, "--systemd", "--json", "beat")[1].splitlines()
    assert [json.loads(line)["file"] for line in lines] == [
        "hookline-beat.timer",
        "hookline-beat.service",
    ]


@pytest.mark.usefixtures("scheduled")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], os.EX_USAGE),
        (["--cron", "--systemd"], os.EX_USAGE),
        (["--cron", "--to", "x"], os.EX_USAGE),
        (["--cron", "--run-due", "tea"], os.EX_USAGE),
        (["--cron", "coffee"], os.EX_DATAERR),
    ],
)
def test_what_makes_no_sense_is_a_mistake(arguments, status, capsys):
    assert run(capsys, *arguments)[0] == status


def test_schedules_that_are_wrong_are_not_exported(scheduled, capsys):
    (scheduled.config / "schedules.toml").write_text('[schedule.tea]\ncron = "x"\nevent = "a.b"\n')
    status, _, err = run(capsys, "--cron")
    assert status == os.EX_CONFIG
    assert "schedule.tea" in err
