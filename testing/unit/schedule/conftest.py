"""What tests of schedules share."""

import pytest

from testing.unit.schedule.desk import Desk


@pytest.fixture
def desk(home):
    """Makes desks; their schedulers are closed in the end."""
    desks = []

    def desk(*tables):
        desks.append(Desk(home, *tables))
        return desks[-1]

    yield desk
    for each in desks:
        each.kill()
