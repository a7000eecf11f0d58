"""What can be wrong with a log that is being read."""

import os

import pytest

from hookline.log.errors import LogReplaced, SegmentDamaged, SegmentGone
from hookline.model.errors import HooklineError
from hookline.model.position import Position


@pytest.mark.parametrize("kind", [LogReplaced, SegmentDamaged, SegmentGone])
def test_each_says_where_to_go_on(kind: type[LogReplaced]) -> None:
    error = kind("why", Position(3, 4))
    assert (str(error), error.resume) == ("why", Position(3, 4))
    assert isinstance(error, HooklineError)
    assert error.exit_code == os.EX_DATAERR
