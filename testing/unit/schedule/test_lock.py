"""One scheduler for each home (testing/unit/log/test_only_one.py has what the lock promises)."""

import os
import time

import pytest

from hookline.dispatch import lock as dispatching
from hookline.model.errors import TryAgain
from hookline.schedule.lock import Lock, began_s, holder


def test_a_second_scheduler_is_refused_and_a_dispatcher_is_not(home):
    lock = Lock(home)
    assert holder(home) == os.getpid()
    assert dispatching.holder(home) is None
    with pytest.raises(TryAgain, match=f"a scheduler runs already .*process {os.getpid()}"):
        Lock(home)
    dispatching.Lock(home).close()
    lock.close()
    assert holder(home) is None


def test_when_it_began_is_known_until_the_state_is_deleted(home):
    assert began_s(home) is None
    Lock(home).close()
    assert abs((began_s(home) or 0.0) - time.time()) < 60
