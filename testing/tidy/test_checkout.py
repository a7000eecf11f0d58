"""Every file of the checkout keeps every rule."""

import pytest

from testing.tidy.checkout import sources
from testing.tidy.rules import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_file_breaks_the_rule(rule: Rule):
    offences = [offence for source in sources() for offence in rule.offences(source)]
    if offences:
        pytest.fail("\n".join([f"{rule.name}: {rule.find.__doc__}", *offences]), pytrace=False)


def test_there_is_something_to_look_at():
    kinds = [(each.is_python, each.is_shell, each.is_library) for each in sources()]
    assert [any(kind) for kind in zip(*kinds, strict=True)] == [True, True, True]
