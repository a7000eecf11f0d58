"""Which home is meant."""

import argparse
import os
from pathlib import Path

import pytest

from hookline.app import root as module
from hookline.app.root import as_text, find_root, home_of, root
from hookline.model.errors import BadConfig


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A folder deep inside one that has coordination/."""
    (tmp_path / "project" / "coordination").mkdir(parents=True)
    folder = tmp_path / "project" / "a" / "b"
    folder.mkdir(parents=True)
    return folder


def test_what_is_said_first_counts(inside):
    environ = {"HOOKLINE_HOME": "/one", "CORTEX_HOME": "/two"}
    assert find_root("/given", environ, str(inside), "/checkout") == "/given"
    assert find_root(None, environ, str(inside), "/checkout") == "/one"
    assert find_root(None, {"CORTEX_HOME": "/two"}, str(inside), "/checkout") == "/two"
    assert find_root(None, {}, str(inside), "/checkout") == str(inside.parents[1])


def test_an_empty_value_says_nothing(inside):
    environ = {"HOOKLINE_HOME": "", "CORTEX_HOME": ""}
    assert find_root("", environ, str(inside), None) == str(inside.parents[1])


def test_the_folder_itself_may_be_the_home(inside):
    home = inside.parents[1]
    assert find_root(None, {}, str(home), None) == str(home)


def test_a_file_called_coordination_makes_no_home(tmp_path):
    (tmp_path / "coordination").touch()
    assert find_root(None, {}, str(tmp_path), "/checkout") == "/checkout"


def test_a_relative_home_starts_at_the_working_folder():
    assert find_root("../x", {}, "/some/folder", None) == "/some/x"
    assert find_root(None, {"HOOKLINE_HOME": "y"}, "/some/folder", None) == "/some/folder/y"


def test_without_any_home_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(BadConfig, match="hookline init"):
        find_root(None, {}, str(tmp_path), None)


def test_a_working_folder_that_is_gone_is_no_hindrance(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("HOOKLINE_HOME", "/somewhere")
    assert root() == "/somewhere"
    monkeypatch.delenv("HOOKLINE_HOME")
    assert root() == module._checkout()


def test_the_checkout_is_the_one_of_this_source(monkeypatch):
    checkout = Path(__file__).parents[3]
    assert module._checkout() == str(checkout)
    monkeypatch.setattr(module, "__file__", "/nowhere/site-packages/hookline/app/root.py")
    assert module._checkout() is None


def test_a_commands_arguments_may_name_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKLINE_HOME", str(tmp_path / "environment"))
    for folder in (tmp_path, tmp_path / "environment"):
        (folder / "coordination").mkdir(parents=True)
    assert home_of(argparse.Namespace(home=str(tmp_path))).root == tmp_path
    assert home_of(argparse.Namespace(home=None)).root == tmp_path / "environment"
    assert home_of(argparse.Namespace()).root == tmp_path / "environment"


def test_the_root_has_no_dots_in_it():
    assert find_root("/a/./b/../c/", {}, "/", None) == os.path.normpath("/a/c")


def test_a_home_that_is_none_says_how_to_make_it(tmp_path):
    with pytest.raises(BadConfig, match="hookline init"):
        home_of(argparse.Namespace(home=str(tmp_path)))


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadConfig, match=r"/tmp/bad\\udcff: this name is no UTF-8"):
        as_text("/tmp/bad\udcff")
    assert as_text("/tmp/größe") == "/tmp/größe"
