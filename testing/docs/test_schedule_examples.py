"""The tables of schedules that pages show are such as the file may hold."""

import re

import msgspec
import pytest

from hookline.app.config import Schedules
from hookline.schedule.table import schedules_of
from testing.docs.console import CHECKOUT

BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = ("docs/SCHEDULES.md", "docs/howto/learning.md")


@pytest.mark.parametrize(
    "text", [text for page in PAGES for text in BLOCK.findall((CHECKOUT / page).read_text())]
)
def test_a_table_is_taken_as_it_stands(text):
    schedules_of(msgspec.toml.decode(text, type=Schedules).schedule)
