"""What is given as an option is meant: an empty one is refused, and so is one that says nothing to
the action."""

import os

import pytest

from hookline.cli.main import main


@pytest.mark.parametrize(
    "command",
    [
        *(
            ["event-replay", "--date", "2026-11-21", option, ""]
            for option in ("--type", "--source", "--priority", "--correlation", "--home")
        ),
        ["event-replay", "--event-id", ""],
        ["event-replay", "--date", ""],
        *(
            ["replay", "--to", "on-a.sh", option, ""]
            for option in (
                "--since", "--until", "--type", "--id", "--speed", "--rate", "--name", "--home",
            )
        ),
        ["replay", "--to", ""],
        ["replay", "--resume", ""],
        ["replay", "--end", ""],
        *(
            ["dead-letters", "drop", "on-a.sh", option, ""]
            for option in (
                "--handler", "--type", "--fingerprint", "--since", "--until", "-n", "--home",
            )
        ),
        ["dead-letters", "drop", ""],
        ["dead-letters", "replay", "--all", "--rate", ""],
        ["dead-letters", "purge", "--older-than", ""],
        ["log", ""],
        *(["log", option, ""] for option in ("--since", "--until", "-n", "--format", "--home")),
        ["archive", "--home", ""],
    ],
)  # fmt: skip
def test_an_option_that_is_empty_chooses_nothing(home, capsys, command):
    handler = home.handlers / "on-a.sh"
    handler.write_text("#!/bin/bash\n# on: a.*\n# attempts: 1\nexit 1\n")
    handler.chmod(0o750)
    main(["emit", "a.b"])
    main(["dispatch", "--once"])
    before = home.deliveries.read_bytes()
    capsys.readouterr()
    status = main(command)
    told = capsys.readouterr()
    assert (status, told.out) == (os.EX_USAGE, "")
    assert len(told.err.splitlines()) == 1
    assert home.deliveries.read_bytes() == before


@pytest.mark.parametrize(
    ("action", "option"),
    [
        *(
            ("purge", given)
            for given in (
                ["on-a.sh"], ["--all"], ["--handler", "on-a.sh"], ["--type", "a.*"],
                ["--fingerprint", "f"], ["--since", "1h"], ["--until", "1h"], ["-n", "1"],
                ["-n", "0"], ["--rate", "3"], ["--each"],
            )
        ),
        ("list", ["--older-than", "3d"]),
        ("list", ["--rate", "3"]),
        ("list", ["--dry-run"]),
        ("show", ["--yes"]),
        ("show", ["--each"]),
        ("show", ["-n", "1"]),
        ("drop", ["--all", "--rate", "3"]),
        ("drop", ["--all", "--older-than", "3d"]),
        ("replay", ["--all", "--older-than", "3d"]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("home")
def test_an_action_on_letters_takes_no_option_that_it_would_pass_over(capsys, action, option):
    assert main(["dead-letters", action, *option]) == os.EX_USAGE
    name = next((each for each in reversed(option) if each.startswith("-")), "WHICH")
    assert f"hookline dead-letters: {action} takes no {name}: see --help" in capsys.readouterr().err
