"""From lines to events, whatever else stands between them."""

from pathlib import Path

import pytest

from hookline.log.home import Home
from hookline.log.lines import cut
from hookline.log.read import Record, domains, records
from hookline.log.stream import Chunk
from hookline.model.envelope import LINE_BYTES_MAX
from hookline.model.position import Position
from testing.unit.log.conftest import event_line

A, B = event_line(1), event_line(2)
CORTEX = (
    b'{"event_id":"evt_20251201_165511_d27b177b424c","event_type":"system.health_alert",'
    b'"timestamp":"2025-12-01T22:55:11+0000","source":"s","metadata":{"priority":"high"},'
    b'"payload":{"a":1}}'
)
OLD = b'{"event_type":"zombie_detected","worker_id":"w","timestamp":"2025-11-18T14:35:24-0600"}'


def read(data: bytes, offset: int = 100) -> list[Record]:
    chunk = Chunk(Position(2, offset), data)
    return records(chunk)


def said(found: list[Record]) -> list[tuple[int, str, bytes]]:
    return [(each.position.offset - 100, each.kind, each.raw) for each in found]


def test_an_event_has_its_place_and_its_end() -> None:
    (first, second) = read(A + b"\n" + B + b"\n")
    assert first.event is not None
    assert (first.event.id, first.kind, first.why) == ("e1", "event", "")
    assert first.end == second.position == Position(2, 100 + len(A) + 1)
    assert second.raw == B


def test_a_cortex_line_is_an_event() -> None:
    (found,) = read(CORTEX + b"\n")
    assert found.event is not None
    assert found.event.type == "system.health_alert"
    assert found.event.value() == {"a": 1}
    assert found.raw == CORTEX


def test_an_older_daemons_line_is_shown_as_such() -> None:
    (found,) = read(OLD + b"\n")
    assert (found.kind, found.event) == ("legacy", None)
    assert found.why


@pytest.mark.parametrize("torn", [A[:40], A[:-1], b"x", b"\xff\xfe", OLD[:30], b"null "])
def test_an_event_glued_to_a_torn_line_is_found(torn: bytes) -> None:
    assert said(read(torn + B + b"\n")) == [(0, "torn", torn), (len(torn), "event", B)]


def test_two_events_without_a_newline_between_them_are_both_found() -> None:
    (first, second) = read(A + B + b"\n")
    assert first.end == second.position == Position(2, 100 + len(A))
    assert said([first, second]) == [(0, "event", A), (len(A), "event", B)]


def test_nuls_in_a_line_part_it_and_are_not_left_out() -> None:
    """Left out, they would make a whole event of one that has lost a page."""
    lost = A[:60] + b"\0" * 50 + A[90:]
    assert said(read(lost + b"\n")) == [(0, "torn", A[:60]), (110, "torn", A[90:])]
    behind = A[:60] + b"\0" * 50 + B
    assert said(read(behind + b"\n")) == [(0, "torn", A[:60]), (110, "event", B)]


def test_an_event_quoted_in_another_ones_data_is_no_event() -> None:
    """A foreign writer may not have escaped the prefix; whole lines are never split."""
    quoting = A[:-1].replace(b'{"n":1}', B) + b"}"
    (found,) = read(quoting + b"\n")
    assert found.event is not None
    assert found.event.id == "e1"
    spoiled = quoting.replace(b'"e1"', b'"/e1"')
    assert [each.kind for each in read(spoiled + b"\n")] == ["torn"]


def test_a_line_that_is_no_object_is_torn() -> None:
    assert [each.kind for each in read(b"[1]\n5\nnull\n")] == ["torn"] * 3


def test_a_line_over_the_limit_is_not_parsed() -> None:
    (found,) = read(b"[" * (LINE_BYTES_MAX + 1) + b"\n")
    assert (found.kind, len(found.raw)) == ("torn", 4096)
    assert "longer than 262144 bytes" in found.why


def test_a_million_brackets_are_only_a_torn_line() -> None:
    (found,) = read(b"[" * (LINE_BYTES_MAX - 1) + b"\n")
    assert found.kind == "torn"


@pytest.mark.parametrize("odd", [b"", b"\0", b"\0\n", b"tail", b"\n" + b"[" * LINE_BYTES_MAX])
def test_lines_of_a_stream_and_their_records_agree(odd: bytes) -> None:
    """Also where the way for plain chunks is not taken."""
    data = A + b"\n\n" + OLD + b"\n" + B[:30] + b"\n" + A + b"\n" + odd
    lines = cut(data, 2, 100)
    assert [(each.position, each.end.offset) for each in read(data)] == [
        (line.position, line.end) for line in lines
    ]


def test_domains_are_those_with_a_log_live_or_closed(home: Home) -> None:
    assert domains(Home(Path("/nowhere"))) == []
    for name in ("worker-events.jsonl", "zombie-cleanup-events.jsonl", "notes.txt", "x.jsonl"):
        (home.events / name).touch()
    for name in ("task-events.00000003.jsonl.zst", "deliveries.00000001.jsonl", "bad.jsonl"):
        (home.segments / name).touch()
    assert domains(home) == ["task", "worker", "zombie-cleanup"]
