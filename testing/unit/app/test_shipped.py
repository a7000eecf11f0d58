"""The scripts of this installation."""

import pytest

from hookline.app import shipped
from hookline.model.errors import CannotCreate


def test_those_of_the_checkout_are_found():
    assert (shipped.shipped_scripts() / "events/lib/event-logger.sh").is_file()


def test_without_any_that_is_said_with_what_mends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "a/b/hookline/app/shipped.py"))
    with pytest.raises(CannotCreate, match="install again"):
        shipped.shipped_scripts()
