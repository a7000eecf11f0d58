"""Lines that are read all at once say what they say one by one, whatever stands among them."""

from hypothesis import example, given
from hypothesis import strategies as st

from hookline.log.lines import cut
from hookline.log.read import records
from hookline.log.stream import Chunk
from hookline.log.stretch import Stretch
from hookline.model.envelope import RECORD_PREFIX, line
from hookline.model.errors import BadData
from hookline.model.event import decode, decode_again, decode_lines
from hookline.model.ids import uuid7
from hookline.model.position import Position

NOW_NS = 1_763_689_000_000_000_000


def event_line(data: bytes = b"1", **changes: str) -> bytes:
    fields = {"id": uuid7(NOW_NS), "source": "s", "time": "2026-11-21T01:35:31.123456Z", **changes}
    return line(type="a.b", data=data, **fields)  # type: ignore[arg-type]  # the names are known


OURS = [
    event_line(),
    event_line(b'"\\u0041\\n"'),
    event_line(id="other"),
    event_line(source="\xe9"),
]
WHOLE = event_line()
ODD = [
    # Values that go over newlines, or share a line.
    WHOLE[:-2] + b"\n" + WHOLE + b"}",
    WHOLE[:-2] + b"[{}\n," + WHOLE + b"]}" + WHOLE,
    WHOLE[:-2] + b'"x}\n' + WHOLE[:30] + b'"}' + WHOLE,
    WHOLE + WHOLE, WHOLE + b" " + WHOLE, WHOLE + b" ", WHOLE + b"\r", WHOLE[:40], WHOLE[:-1],
    b"", b" ",
    # Not in the stored form, or no events at all.
    WHOLE.replace(b"T01:35:31.123456Z", b"T01:35:31Z"),
    WHOLE.replace(b'"1.0"', b'"1.1"'),
    WHOLE.replace(b'"type"', b'"specversion":"1.1","type"'),
    WHOLE.replace(b"a.b", b"A.B"),
    WHOLE.replace(b'"s"', b'"\\n"'),
    WHOLE.replace(b'"s"', b'""'),
    WHOLE.replace(b'"id":"', b'"id":"\\n'),
    WHOLE.replace(b'"id":"', b'"id":"-'),
    WHOLE.replace(b'"s"', b'"\xff"'),
    WHOLE.replace(b"1}", b"\0}"),
    b" " + WHOLE, b"{}", b"null", b'{"x":1}', RECORD_PREFIX,
]  # fmt: skip


@given(st.lists(st.sampled_from(OURS), min_size=1))
def test_our_own_lines_are_read_at_once(lines):
    text = b"".join(line + b"\n" for line in lines)
    assert decode_lines(text) == [decode(line) for line in lines]


@given(st.lists(st.sampled_from(OURS + ODD), min_size=1), st.booleans())
@example([ODD[0], WHOLE + WHOLE], True)
def test_what_is_read_at_once_is_what_is_read_one_by_one(lines, ended):
    text = b"\n".join(lines) + b"\n" * ended
    events = decode_lines(text)
    if events is not None:
        assert events == [decode(line) for line in text.split(b"\n")[:-1]]


def is_taken(line: bytes) -> bool:
    try:
        decode(line)
    except BadData:
        return False
    return b"\n" not in line and line.startswith(RECORD_PREFIX)


@given(st.lists(st.sampled_from(list(filter(is_taken, OURS + ODD)))))
def test_what_was_decoded_before_is_decoded_again(lines):
    text = b"".join(line + b"\n" for line in lines)
    assert decode_again(text) == [decode(line) for line in lines]


@given(st.lists(st.sampled_from(OURS + ODD)))
def test_records_are_those_of_each_line(lines):
    text = b"".join(line + b"\n" for line in lines)
    found = [
        (each.position.offset, each.end.offset, each.raw, each.event)
        for each in records(Chunk(Position(1, 7), text))
        if each.event
    ]
    for one in cut(text, 1, 7):
        try:
            event = decode(one.raw)
        except BadData:
            continue
        assert (one.position.offset, one.end, one.raw, event) in found


@given(st.lists(st.sampled_from(OURS), min_size=1, max_size=9), st.data())
def test_a_part_of_a_stretch_is_what_its_lines_say(lines, data):
    chunk = Chunk(Position(3, 5), b"".join(line + b"\n" for line in lines))
    start = data.draw(st.integers(0, len(lines) - 1))
    stop = data.draw(st.integers(start + 1, len(lines)))
    inner = data.draw(st.integers(start, stop - 1))
    stretch = Stretch.of(chunk)
    assert stretch is not None
    part = stretch.part(start, stop)
    assert part.lines == lines[start:stop]
    assert part.events == stretch.events[start:stop]
    assert (part.position, part.end) == (
        Position(3, 5 + sum(len(line) + 1 for line in lines[:start])),
        Position(3, 5 + sum(len(line) + 1 for line in lines[:stop])),
    )
    part.forget()
    assert len(part) == stop - start
    assert part.events == stretch.events[start:stop]
    one = part.part(inner - start, inner - start + 1)
    assert (one.position.offset, one.end.offset) == stretch.bounds[inner]
    assert one.lines == [lines[inner]]


@given(st.lists(st.sampled_from(["a.b", "a.c", "a.d"]), min_size=1, max_size=9))
def test_the_events_of_some_types_keep_their_places(types):
    lines = [WHOLE.replace(b"a.b", type.encode()) for type in types]
    stretch = Stretch.of(Chunk(Position(3, 0), b"".join(line + b"\n" for line in lines)))
    assert stretch is not None
    wanted = [index for index, type in enumerate(types) if type in ("a.b", "a.d")]
    found = stretch.of_types(["a.b", "a.d", "a.x"])
    if not wanted:
        assert found is None
        return
    assert found is not None
    assert found.lines == [lines[index] for index in wanted]
    assert list(found.bounds) == [stretch.bounds[index] for index in wanted]
    assert [event.type for event in found.events] == [types[index] for index in wanted]
    assert (found.position, found.end) == (
        Position(3, stretch.bounds[wanted[0]][0]), Position(3, stretch.bounds[wanted[-1]][1]),
    )  # fmt: skip
