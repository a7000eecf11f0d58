"""What policies.toml may hold is judged by its reader, testing/bats/events/lib/policies.bats; this
is how it is asked."""

import pytest

from hookline.app.policies import check_policies
from hookline.log.home import Home
from hookline.model.errors import BadConfig


@pytest.fixture
def policies(tmp_path):
    home = Home(tmp_path)
    home.config.mkdir(parents=True)
    return home.config / "policies.toml"


def complaint(policies):
    with pytest.raises(BadConfig) as raised:
        check_policies(Home(policies.parents[2]))
    return str(raised.value)


def test_none_and_those_that_can_be_acted_by_are_as_they_should_be(policies):
    check_policies(Home(policies.parents[2]))
    policies.write_text('[workers]\nstale_after = "5m"')
    check_policies(Home(policies.parents[2]))


def test_what_is_wrong_is_one_line_with_the_file_and_the_key(policies):
    policies.write_text("[autofix]\nbudget = 0.5\n")
    why = "budget of [autofix] is to be a whole number; docs/SHIPPED.md says what it may hold"
    assert complaint(policies) == f"{policies}, line 2: {why}"


def test_what_would_move_a_terminal_is_not_repeated(policies):
    policies.write_text("[autofix]\n\x1b[2J\n")
    assert "line 2: not understood; " in complaint(policies)


def test_what_cannot_be_read_is_named(policies):
    policies.mkdir()
    assert complaint(policies).startswith(f"{policies}: cannot be read")


def test_without_bash_that_is_said(policies, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert complaint(policies) == "bash, which is to read it, is not installed"
