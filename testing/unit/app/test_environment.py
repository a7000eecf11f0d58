import os

import pytest

from hookline.app.config import Config
from hookline.app.environment import passed_environment


def nobody_knows(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def test_a_user_without_a_name_runs_handlers_all_the_same(monkeypatch):
    monkeypatch.setattr("pwd.getpwuid", nobody_knows)
    monkeypatch.setenv("HOME", "/given")
    monkeypatch.delenv("USER", raising=False)
    env = passed_environment(Config())
    assert env["HOME"] == "/given"
    assert env["USER"] == env["LOGNAME"] == str(os.geteuid())


@pytest.mark.parametrize("given", ["HOME", "USER"])
def test_what_passwd_says_goes_before_what_was_given(monkeypatch, given):
    as_it_is = passed_environment(Config())
    monkeypatch.setenv(given, "of-somebody-else")
    assert passed_environment(Config()) == as_it_is
