"""Where a new handler begins, to the part of a second that its events know."""

from datetime import UTC, datetime

import msgspec
import pytest

from hookline.dispatch.handlers import discover
from hookline.dispatch.start import start_position
from hookline.log.stream import Stream

INSTALLED = datetime(2026, 11, 21, 1, 35, 31, 400_000, UTC).timestamp()


@pytest.mark.parametrize(
    ("second", "is_for_it"),
    [
        ("30.999999", False),
        ("31.000000", True),
        ("31.000001", False),
        ("31.399999", False),
        ("31.400000", True),
        ("32.000000", True),
    ],
)
def test_an_event_of_a_whole_second_may_be_of_any_part_of_it(bench, second, is_for_it):
    bench.shell("on-a-b.sh", "true")
    bench.emit("a.b", time=f"2026-11-21T01:35:{second}Z")
    (handler,) = discover(bench.home.handlers, lambda _: ()).handlers
    handler = msgspec.structs.replace(handler, installed_s=INSTALLED)
    with Stream.of_domain(bench.home, "a") as stream:
        assert (start_position(stream, handler).offset == 0) == is_for_it
