"""Every script that says something as an event has been tried with the event logger, without it,
and with one that is taken away in the middle."""

import re
import tomllib
from typing import Final

import pytest

from testing.tidy.checkout import source, sources
from testing.tidy.test_fault_matrix import names_in

TABLE: Final = tomllib.loads(source("testing/tidy/event_logger.toml").text)
SPEAKS: Final = re.compile(r"event-(?:logger|fallback)\.sh|(?:state-file|daemon-loop)\.sh")
"""What a script sources or runs that is to say something."""


def test_every_script_that_speaks_is_in_the_table():
    speaking = {
        each.path
        for each in sources()
        if each.path.startswith("scripts/")
        and not each.path.startswith("scripts/events/lib/")
        and each.is_shell
        and SPEAKS.search(each.text)
    }
    assert len(speaking) > 30
    assert {path for path in speaking if not any(path.startswith(name) for name in TABLE)} == set()


@pytest.mark.parametrize("name", TABLE)
def test_its_tests_are_there(name):
    assert set(TABLE[name]) == {"present", "absent", "taken_away"}
    for test in TABLE[name].values():
        path, _, called = test.partition("::")
        assert called in names_in(path)
