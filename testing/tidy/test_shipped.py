"""The page of the shipped handlers leaves none out, and the tests that it names are there."""

import re

from testing.tidy.checkout import source, sources
from testing.tidy.test_fault_matrix import names_in

PAGE = source("docs/SHIPPED.md").text


def missing(page: str) -> list[str]:
    """The tests that a page names and that are not there."""
    named = re.findall(r"`(testing/\S+?)::([^`]+)`", page)
    return [f"{path}::{test}" for path, test in named if test not in names_in(path)]


def test_every_handler_has_a_row():
    folder = "scripts/events/handlers/"
    shipped = {each.path.removeprefix(folder) for each in sources() if each.path.startswith(folder)}
    assert set(re.findall(r"^\| `(on-\S+)`", PAGE, re.MULTILINE)) == shipped


def test_the_tests_that_it_names_are_there():
    assert PAGE.count("`testing/") > 20
    assert missing(PAGE) == []


def test_a_wrong_name_is_found():
    here = "testing/tidy/test_shipped.py"
    page = (
        f"`{here}::test_every_handler_has_a_row` `{here}::test_none` `testing/none.bats::no test`"
    )
    assert missing(page) == [f"{here}::test_none", "testing/none.bats::no test"]
