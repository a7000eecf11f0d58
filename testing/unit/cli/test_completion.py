"""What completes arguments: the shells themselves are asked."""

import shutil
import subprocess

import pytest

from hookline.cli.catalog import entries
from hookline.cli.main import main


@pytest.fixture
def script(capsys):
    """The text for a shell."""

    def of(shell):
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return of


@pytest.fixture
def complete(script, home, tmp_path):
    """What bash offers behind these words, in a folder of the home."""
    (tmp_path / "completion.bash").write_text(script("bash"))

    def offered(*words):
        asked = 'source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _hookline'
        done = subprocess.run(
            ["bash", "-c", f'{asked}; printf "%s\\n" "${{COMPREPLY[@]}}"',
             "-", tmp_path / "completion.bash", *words],
            cwd=home.coordination, capture_output=True, text=True, check=True,
            env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    return offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(script, shell):
    text = script(shell)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; that its script names all options is tested")
    done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_of_every_command_is_in_each_script(script):
    texts = {shell: script(shell) for shell in ("bash", "zsh", "fish")}
    for entry in entries():
        for action in entry.options:
            for option in action.option_strings:
                for shell, text in texts.items():
                    form = option.lstrip("-") if shell == "fish" else option
                    assert form in text, (shell, entry.name, option)


def test_commands_then_options_and_choices(complete):
    assert complete("hookline", "sch") == ["schedule"]
    assert complete("hookline", "emit", "--sy") == ["--sync"]
    assert complete("hookline", "log", "--format", "") == ["cloudevents", "cortex", "signal"]
    assert {"list", "plan", "export"} <= set(complete("hookline", "schedule", ""))


def test_a_command_behind_a_command_has_its_own_options(complete):
    assert "--cron" in complete("hookline", "schedule", "export", "--")
    assert "--cron" not in complete("hookline", "schedule", "--")
    assert complete("hookline", "schedule", "expo") == ["export"]


def test_names_are_those_of_the_home_whatever_the_folder(complete, home):
    home.config.mkdir(parents=True, exist_ok=True)
    (home.config / "schedules.toml").write_text('[schedule.nightly]\nevery = "1s"\n')
    (home.config / "daemons.toml").write_text('[daemon.hearts]\nscript = "x"\n')
    home.handlers.mkdir(parents=True, exist_ok=True)
    (home.handlers / "on-a-b.sh").write_text("# on: task.created task.failed\n# on: any.*\n")
    home.schemas.mkdir(exist_ok=True)
    (home.schemas / "worker.started.json").touch()
    assert complete("hookline", "schedule", "trigger", "n") == ["nightly"]
    assert complete("hookline", "daemon", "run", "hear") == ["hearts"]
    assert complete("hookline", "try", "on-") == ["on-a-b.sh"]
    assert complete("hookline", "emit", "wor") == ["worker.started"]
    assert complete("hookline", "log", "task.") == ["task.created", "task.failed"]
    assert complete("hookline", "log", "any") == []


def test_where_there_is_no_home_nothing_is_said(complete):
    assert complete("hookline", "schedule", "trigger", "nig") == []
