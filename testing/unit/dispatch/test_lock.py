"""One dispatcher for each home (testing/unit/log/test_only_one.py has what the lock promises)."""

import os

import pytest

from hookline.dispatch.lock import Lock, holder
from hookline.model.errors import TryAgain


def test_a_second_dispatcher_is_refused(bench):
    lock = Lock(bench.home)
    assert holder(bench.home) == os.getpid()
    with pytest.raises(TryAgain, match=f"a dispatcher runs already .*process {os.getpid()}"):
        Lock(bench.home)
    lock.close()
    assert holder(bench.home) is None
