"""`hookline migrate scan` as its users call it."""

import json
import os

import pytest

from hookline.cli import migrate_scan
from hookline.cli.main import main


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "beat-daemon.sh"
    path.write_text("#!/bin/bash\n# Beats | and\x1b rests.\nwhile :; do sleep 5; done\n")
    return path


@pytest.mark.usefixtures("program")
def test_the_inventory_is_a_markdown_table(capsys):
    assert main(["migrate", "scan", "."]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "| Daemon | File | Interval | Purpose | Bus integration |",
        "|---|---|---|---|---|",
        "| beat | beat-daemon.sh:3 | 5s | Beats \\| and\\u001b rests | none |",
    ]
    assert err == "hookline migrate: 1 timer loop\n"


@pytest.mark.usefixtures("program")
def test_on_a_terminal_it_is_aligned(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["migrate", "scan", "."]) == 0
    assert capsys.readouterr().out.startswith("DAEMON  FILE              INTERVAL  PURPOSE")
    assert main(["migrate", "scan", "--markdown", "."]) == 0
    assert capsys.readouterr().out.startswith("| Daemon |")


@pytest.mark.usefixtures("program")
def test_as_json_each_loop_is_a_line(capsys):
    assert main(["migrate", "scan", "--json", "."]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "name": "beat", "path": "beat-daemon.sh", "line": 3, "interval_s": 5.0, "interval": "5s",
        "purpose": "Beats | and\x1b rests", "bus": "none", "pattern": "while … sleep", "where": "",
    }  # fmt: skip
    assert err == ""


def test_a_path_that_is_not_there_is_a_mistake(capsys):
    assert main(["migrate", "scan", "nowhere"]) == os.EX_USAGE
    assert "nowhere: there is nothing of that name" in capsys.readouterr().err


def test_without_an_action_the_actions_are_named(capsys):
    assert main(["migrate"]) == os.EX_USAGE
    assert "scan" in capsys.readouterr().err
    assert main(["migrate", "scan", "--help"]) == 0
    assert "hookline migrate scan" in capsys.readouterr().out
    assert migrate_scan.__doc__
