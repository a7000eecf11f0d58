"""UUIDv7 by RFC 9562, in order."""

import uuid

import pytest

from hookline.model.ids import is_id, uuid7, uuid7s

NOW_NS = 1_795_224_931_123_456_789


def test_an_id_is_a_uuid_of_version_7_that_says_when():
    made = uuid.UUID(uuid7(NOW_NS))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 >= NOW_NS // 1_000_000


def test_ids_rise_while_the_clock_stands_still_or_goes_back():
    made = [uuid7(now_ns) for now_ns in [NOW_NS] * 20_000 + [NOW_NS - 10**12, 0, NOW_NS + 10**9]]
    assert made == sorted(set(made))


def test_the_ids_of_a_moment_are_in_order_among_all_others():
    made = [uuid7(NOW_NS), *uuid7s(NOW_NS), *uuid7s(NOW_NS), uuid7(NOW_NS)]
    assert len(made) == 514
    assert made == sorted(set(made))
    assert {(each.version, each.variant) for each in map(uuid.UUID, made)} == {(7, uuid.RFC_4122)}


def test_an_id_may_be_stored():
    assert is_id(uuid7(NOW_NS))


@pytest.mark.parametrize("text", ["a", "evt_20251201_165511_d27b177b424c", "7:x-Y.z_", "a" * 128])
def test_other_writers_have_ids_of_their_own(text):
    assert is_id(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-a", ".", "..", "_a", "a/b", "../a", "a b", "a\n", "é", "a" * 129, "' OR 1=1"],
)
def test_an_id_is_safe_in_a_file_name(text):
    assert not is_id(text)
