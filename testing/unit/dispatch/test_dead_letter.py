"""Lines of the dead-letter queue, and what is none."""

import json

import pytest

from hookline.dispatch.dead_letter import decode_letter

EVENT = {"id": "e", "source": "s", "type": "a.b"}
LETTER = {
    "letter": "on-a-b.sh:e", "time": "2026-11-21T00:00:00.000000Z", "handler": "on-a-b.sh",
    "domain": "a", "segment": 1, "offset": 0, "attempts": 5, "verdict": "failed", "event": EVENT,
}  # fmt: skip


def line(**more):
    return json.dumps({**LETTER, **more}).encode()


@pytest.mark.parametrize(
    "impossible",
    [
        {"time": "x"},
        {"time": "2026-13-21T00:00:00.000000Z"},
        {"time": 7},
        {"domain": "../a"},
        {"domain": "a" * 97},
        {"handler": "on-\0.sh"},
        {"segment": -4},
        {"offset": 1 << 63},
        {"attempts": -1},
    ],
    ids=str,
)
def test_a_line_that_is_same_as_cannot_be_is_none(impossible):
    assert decode_letter(line()) is not None
    assert decode_letter(line(**impossible)) is None


@pytest.mark.parametrize("torn", [b"", b"{", b"\xff", line()[:-9], b"null"])
def test_a_torn_line_is_none(torn):
    assert decode_letter(torn) is None


def test_a_line_of_an_older_version_is_one():
    few = {key: LETTER[key] for key in ("letter", "time", "handler", "domain", "attempts")}
    old = decode_letter(json.dumps({**few, "verdict": "failed"}).encode())
    assert (old.letter, old.fingerprint, old.identity) == ("on-a-b.sh:e", "", None)


def test_an_event_says_who_it_is_if_it_is_there():
    assert decode_letter(line()).identity.id == "e"
    assert decode_letter(line(event=None)).identity is None


@pytest.mark.parametrize(
    "damaged",
    [
        line(event={"id": "e"}),
        line().replace(b'"source":', b'"sourcf":'),
        line(error="xy").replace(b"xy", b"x\xff"),
        line(event={"id": "e", "source": "s", "type": "a.b", "data": "xy"}).replace(
            b"xy", b"x\xff"
        ),
    ],
)
def test_a_line_whose_bytes_or_event_are_damaged_is_none(damaged):
    assert decode_letter(damaged) is None
