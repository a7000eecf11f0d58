"""The public names of the packages, which cost nothing until they are used."""

import subprocess
import sys

import pytest

import hookline
import hookline.testing


@pytest.mark.parametrize("package", [hookline, hookline.testing])
def test_the_public_names_are_there_and_no_others(package):
    assert all(callable(getattr(package, name)) for name in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no .* 'other'"):
        package.other  # noqa: B018  # to look at it is the test
    assert package.__all__ == sorted(package.__all__)


@pytest.mark.parametrize("package", ["hookline", "hookline.testing"])
def test_nothing_of_them_is_loaded_before_it_is_asked_for(package):
    script = f"import sys, {package}; print(*(x for x in sys.modules if x[:9] == 'hookline.'))"
    said = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert set(said.split()) <= {"hookline.loading", "hookline.testing"}
