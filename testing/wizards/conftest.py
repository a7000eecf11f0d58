"""What the tests of the wizard share."""

import pytest

from testing.wizards.home import Wizard


@pytest.fixture
def wizard(tmp_path):
    """A home of a test's own."""
    wizard = Wizard(tmp_path / "home")
    yield wizard
    wizard.close()
