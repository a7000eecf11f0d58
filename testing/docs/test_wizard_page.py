"""The screens of docs/WIZARD.md are those that a person sees."""

import re
import shutil

import pytest

from testing.docs.console import CHECKOUT
from testing.docs.wizard import BLOCK, PAGE, comparable, screens


@pytest.mark.timeout(540)
def test_each_screen_is_true(tmp_path):
    shown = {name: text for _, name, text, _ in BLOCK.findall(PAGE.read_text())}
    if not shutil.which("whiptail"):
        del shown["dialog"]
    seen = dict(screens(tmp_path))
    assert list(seen) == list(shown)
    for name, text in seen.items():
        assert comparable(text) == comparable(shown[name].rstrip("\n")), name


def test_each_item_of_the_menu_and_each_option_is_on_the_page():
    page = PAGE.read_text()
    menu = (CHECKOUT / "scripts/wizards/lib/daemon-menu.sh").read_text()
    for number, item in re.findall(r"(\d) '([\w ]+)'", menu):
        assert f"**{number} {item}**" in page, item
    help_text = (CHECKOUT / "scripts/wizards/daemon-control.sh").read_text()
    for option in set(re.findall(r"^ +(-{1,2}[a-z]+)(?: \| -\w)?\)", help_text, re.MULTILINE)):
        assert f"`{option}" in page, option
