"""What policies.toml may hold: here as in scripts/events/lib/policies.sh, which acts by it."""

import os
import subprocess
from pathlib import Path

import pytest

from hookline.app.policies import check_policies
from hookline.log.home import Home
from hookline.model.errors import BadConfig

ROOT = Path(__file__).parents[3]
READER = ROOT / "scripts/events/lib/policies.sh"


@pytest.fixture
def policies(tmp_path):
    home = Home(tmp_path)
    home.config.mkdir(parents=True)
    return home.config / "policies.toml"


def complaint(policies):
    try:
        check_policies(Home(policies.parents[2]))
    except BadConfig as error:
        return str(error)
    return ""


def reader_refuses(policies):
    command = ["bash", "-c", 'source "$1" && policies_read', "-", READER]
    env = {"PATH": os.environ["PATH"], "HOOKLINE_HOME": str(policies.parents[2])}
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode in {0, os.EX_CONFIG}
    return done.returncode == os.EX_CONFIG


def test_those_that_come_with_it_and_none_are_as_they_should_be(policies):
    assert not complaint(policies)
    shipped = (ROOT / "coordination/config/policies.toml").read_text()
    policies.write_text(shipped)
    assert not complaint(policies)
    examples = [line.removeprefix("# ") for line in shipped.split("\n") if "=" in line]
    assert any(line.startswith("command") for line in examples)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n \t# at all",
        '[workers]\nstale_after = "5m"',
        '[workers]\nstale_after = "5m"\n',
        '[ workers ]\nstale_after = "5m"\n',
        "[workers]\nstale_after = '5m'\n",
        '[workers]\nstale_after = "5\\u006d"\n',
        '[workers]\r\nstale_after = "5m"\r\n',
        'stale_after = "5m"\n',
        "[autofix]\nbudget = 010\n",
        "[autofix]\nbudget = 1_000\n",
        "[autofix]\nbudget = 3\nbudget = 4\n",
        "[autofix]\n[autofix]\n",
        '[autofix.a-b_C]  # why\naction = "retry"#\n',
        "[autofix.a.b]\nattempts = 1\n",
        "[autofix.]\n",
        "[[autofix]]\n",
        "[autofix]\ndry_run = yes\n",
        '[restart.x]\ncommand = [ "a" , "b" ]\n',
        '[restart.x]\ncommand = ["a",]\n',
        '[restart.x]\ncommand = [\n"a"]\n',
        '[restart.x]\ncommand = ["é", "\t"]\n',
        "[autofix]\nBudget = 3\n",
        '[autofix]\n"budget" = 3\n',
    ],
)
def test_both_sides_take_the_same_part_of_toml(policies, text):
    policies.write_bytes(text.encode())
    assert bool(complaint(policies)) == reader_refuses(policies)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('[workers]\nstale_after = "5 minutes"', "[workers]: stale_after: duration '5 minutes'"),
        ("[workers]\nstale_after = 5", "[workers]: Expected `str | null`, got `int`"),
        ("[workers]\nstale = 5", "[workers]: Object contains unknown field `stale`"),
        ("[autofx]", "line 1: [autofx] is no table of policies"),
        ("[task]", "line 1: [task] is no table of policies"),
        ("[autofix]\nbudget = -1", "$.budget"),
        ('[autofix]\ndry_run = "true"', "$.dry_run"),
        ('[autofix.timeout]\naction = "forget"', "[autofix.timeout]: Invalid enum value 'forget'"),
        ('[autofix.timeout]\naction = "emit"', "event is to be the type of an event"),
        ('[autofix.timeout]\npause = "soon"', "[autofix.timeout]: pause: "),
        ("[restart.x]", "[restart.x]: Object missing required field `command`"),
        ("[restart.x]\ncommand = []", "[restart.x]: command is empty"),
        ('[restart.x]\ncommand = "a b"', "$.command"),
        ('[restart.x]\ncommand = ["a"]\non = ["always"]', "$.on[0]"),
        ('[task.x]\nrun = ["a"]\ntimeout = "1"', "[task.x]: timeout: "),
        ("[tasks]\n[autofix]\nnonsense", "line 3: not understood"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file_and_the_key(policies, text, names):
    policies.write_text(text)
    said = complaint(policies)
    assert said.startswith(f"{policies}, ")
    assert names in said
    assert "\n" not in said
    assert said.endswith("mend it there; docs/SHIPPED.md says what it may hold")


def test_what_cannot_be_read_is_named(policies):
    policies.mkdir()
    assert complaint(policies) == f"{policies}: Is a directory"
