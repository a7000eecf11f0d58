"""Errors carry a message and an exit status; what they show of the outside is harmless."""

import inspect

import pytest

from hookline.model import errors
from hookline.model.errors import BadData, HooklineError, printable, shown

FAMILY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HooklineError)
]


@pytest.mark.parametrize("kind", FAMILY)
def test_the_docstring_is_the_default_message(kind):
    assert str(kind()) == inspect.getdoc(kind)
    assert str(kind("its own")) == "its own"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Usage", 64),
        ("BadData", 65),
        ("OwnBug", 70),
        ("CannotCreate", 73),
        ("WriteFailed", 74),
        ("TryAgain", 75),
        ("NotAllowed", 77),
        ("BadConfig", 78),
    ],
)
def test_each_kind_has_its_exit_status(name, status):
    assert getattr(errors, name).exit_code == status


def test_a_subclass_has_the_status_of_its_kind():
    class Narrower(BadData):
        """Something narrower."""

    assert Narrower().exit_code == BadData.exit_code


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("plain é", "'plain é'"),
        ("\x1b[2J\x07", r"'\u001b[2J\u0007'"),
        ("one\ntwo", r"'one\u000atwo'"),
        ("turn\u202eround", r"'turn\u202eround'"),
        ("\ud800", r"'\ud800'"),
        (b"\xff\x9b", r"'\udcff\udc9b'"),
        ("a" * 65, "'" + "a" * 64 + "…'"),
    ],
)
def test_shown_is_one_harmless_line(value, result):
    assert shown(value) == result


def test_printable_keeps_what_can_be_printed():
    assert printable("ä→😀\u00a0 'x'") == "ä→😀\u00a0 'x'"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(24, "Too many open files"), "Too many open files"),
        (OSError(24, "Too many open files", b"/a"), "/a: Too many open files"),
        (errors.TryAgain("later"), "later"),
        (MemoryError(), "there is not enough memory"),
    ],
)
def test_what_went_wrong_is_told_without_numbers(error: Exception, words: str) -> None:
    assert errors.told(error) == words
