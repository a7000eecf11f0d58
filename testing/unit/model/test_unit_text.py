"""Words as they stand in a unit, read back as systemd reads them."""

import pytest

from hookline.model import unit_text
from hookline.schedule.units import specified, split

WORDS = ["/srv/bus", "a b", "100%", "%h", 'say "so"', "it's", "$HOME", "${x}", "back\\slash", "a;b"]


@pytest.mark.parametrize("word", [*WORDS, "two\nlines", ""])
def test_a_word_is_read_back_as_it_was(word):
    assert split(specified(unit_text.quoted(word), "x")) == [word]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_a_command_has_no_variable(word):
    assert split(specified(unit_text.command(word), "x")) == [word.replace("$", "$$")]


def test_what_takes_the_rest_of_the_line_has_no_specifier():
    assert unit_text.plain("100 % of /srv/my bus") == "100 %% of /srv/my bus"
