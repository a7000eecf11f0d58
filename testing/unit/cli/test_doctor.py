"""`hookline doctor` and the configuration."""

import json
import os

import pytest

from hookline.cli.main import main


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("hookline.toml", "[handlers]\nenv = 3", "$.handlers.env"),
        ("programs.toml", "[program.x]\ncommand = 3", "$.program.x.command"),
        ("schedules.toml", "[schedule.x]\nevery = 3", "$.schedule.x.every"),
        ("daemons.toml", "[daemon.x]\nscript = 3", "$.daemon.x.script"),
        ("policies.toml", "[autofix.x]\nattempts = true", "attempts of [autofix.x]"),
    ],
)
def test_file_and_key_of_what_is_wrong_are_named_once(home, monkeypatch, capsys, name, text, key):
    assert main(["init", str(home.root)]) == 0
    monkeypatch.setenv("HOOKLINE_HOME", str(home.root))
    home.config.joinpath(name).write_text(text)
    capsys.readouterr()
    assert main(["doctor"]) == os.EX_CONFIG
    (wrong,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith("wrong")]
    assert wrong.startswith(f"wrong  {name}: {home.config / name}")
    assert key in wrong
    assert main(["doctor", "--json"]) == os.EX_CONFIG
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (finding,) = [each for each in found if not each["well"]]
    assert finding["check"] == name
    assert key in finding["found"]
