"""Whatever happens to a log, its readers get exactly the events that were appended, in order."""

import json
import os
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hookline.log.files import append_line, open_append
from hookline.log.lines import Line, cut
from hookline.log.read import records
from hookline.log.rotate import rotate_stream, seal_stream
from hookline.log.stream import BEGINNING, Stream
from hookline.model.clock import SystemClock
from hookline.model.envelope import RECORD_PREFIX, line
from hookline.model.position import Position

LINE_BYTES_MAX = 600
LINE_BYTES_MAX_TINY = 50

limits = st.one_of(st.integers(1, 300), st.sampled_from([599, 600, 601, 1 << 16]))
sizes = st.one_of(st.integers(0, 60), st.integers(400, 450))


class LateClock(SystemClock):
    """An hour ahead, so that a segment is never too young to be asked about."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def event_line(number: int, size: int) -> bytes:
    return line(
        id=f"e{number}",
        source="test",
        type="test.done",
        time="2026-11-21T01:35:31.123456Z",
        data=json.dumps("x" * size).encode(),
    )


class LogMachine(RuleBasedStateMachine):
    """Writers, a rotator and a sealer at work, and a reader who follows."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name)
        self.live = root / "events" / "test-events.jsonl"
        self.segments = root / "events" / "segments"
        self.segments.mkdir(parents=True)
        self.reader = self.stream()
        self.position = BEGINNING
        self.read: list[str] = []
        self.segment = 1
        self.stored: dict[int, list[str]] = {}
        self.count = 0
        self.late: tuple[int, int] | None = None

    def teardown(self) -> None:
        self.let_go()
        self.expect_all(self.read + self.drain(self.reader, self.position, 1 << 16))
        for limit in (1, 97, 1 << 16):
            with self.stream() as fresh:
                self.expect_all(self.drain(fresh, BEGINNING, limit))
        self.reader.close()
        self._folder.cleanup()

    def stream(self) -> Stream:
        return Stream(
            self.live,
            self.segments,
            "test-events",
            clock=LateClock(),
            line_bytes_max=LINE_BYTES_MAX,
        )

    def expect_all(self, ids: list[str]) -> None:
        assert ids == [each for ordinal in sorted(self.stored) for each in self.stored[ordinal]]

    def drain(self, stream: Stream, position: Position, limit: int) -> list[str]:
        ids: list[str] = []
        last = Position(0, 0)
        while True:
            chunk = stream.read(position, limit)
            for record in records(chunk):
                assert last < record.position < record.end <= chunk.next
                last = record.position
                if record.event is not None:
                    ids.append(record.event.id)
            if chunk.at_end:
                assert chunk.again_s is None
                return ids
            assert chunk.next > position
            position = chunk.next

    def store(self, segment: int, size: int) -> bytes:
        self.count += 1
        self.stored.setdefault(segment, []).append(f"e{self.count}")
        return event_line(self.count, size)

    def write_raw(self, data: bytes) -> None:
        with open(self.live, "ab", buffering=0) as file:
            file.write(data)

    @rule(size=sizes)
    def append(self, size: int) -> None:
        append_line(self.live, self.store(self.segment, size))

    @rule(size=sizes, cut_off=st.integers(2, 500))
    def tear(self, size: int, cut_off: int) -> None:
        """A writer is killed in its write; the next one writes behind that."""
        whole = event_line(0, size)
        self.write_raw(whole[: max(1, len(whole) - cut_off)])

    @rule(count=st.one_of(st.integers(1, 40), st.integers(500, 1500)))
    def lose_power(self, count: int) -> None:
        self.write_raw(b"\0" * count)

    @rule(text=st.sampled_from([b"", b"x" * 700, b'{"old":1}', b"[1]", b"\xff\xfe", b'{"a":"\0"}']))
    def write_junk(self, text: bytes) -> None:
        self.write_raw(text + b"\n")

    @rule()
    def heal(self) -> None:
        self.reader.heal()

    @rule()
    def rotate(self) -> None:
        with self.stream() as other:
            moved = rotate_stream(other)
        if moved is not None:
            assert moved == Position(self.segment + 1, 0)
            self.segment += 1

    @rule()
    def seal(self) -> None:
        with self.stream() as other:
            seal_stream(other, clock=LateClock())

    @precondition(lambda self: self.late is None)
    @rule(size=sizes)
    def begin_late(self, size: int) -> None:
        """A writer opens the log and is paused, while the log is rotated."""
        self.append(size)
        self.late = (open_append(self.live), self.segment)
        self.rotate()

    @precondition(lambda self: self.late is not None)
    @rule(size=sizes)
    def append_late(self, size: int) -> None:
        assert self.late is not None
        fd, segment = self.late
        append_line(fd, self.store(segment, size))

    @precondition(lambda self: self.late is not None)
    @rule()
    def let_go(self) -> None:
        if self.late is not None:
            os.close(self.late[0])
            self.late = None

    @rule(limit=limits)
    def follow(self, limit: int) -> None:
        chunk = self.reader.read(self.position, limit)
        self.read += [each.event.id for each in records(chunk) if each.event is not None]
        assert chunk.next > self.position or chunk.at_end
        self.position = chunk.next

    @rule()
    def follow_to_the_end(self) -> None:
        while True:
            before = self.position
            self.follow(1 << 16)
            if self.position == before:
                break

    @rule()
    def start_reader_again(self) -> None:
        self.reader.close()
        self.reader = self.stream()

    @invariant()
    def reads_nothing_else(self) -> None:
        known = [each for ordinal in sorted(self.stored) for each in self.stored[ordinal]]
        assert self.read == known[: len(self.read)]


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


pieces = st.sampled_from(
    [b"\n", b"\0", b"\0" * 30, b"x", b"y" * 17, b'{"', RECORD_PREFIX, RECORD_PREFIX[:9], b"z" * 40]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(pieces, max_size=40), st.integers(1, 120), st.booleans())
def test_the_size_of_a_read_changes_nothing(parts: list[bytes], limit: int, packed: bool) -> None:
    """Any bytes at all: the lines, their positions and what is too long come out the same."""
    data = b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        stream = Stream(
            Path(folder, "live"),
            folder,
            "test",
            clock=LateClock(),
            line_bytes_max=LINE_BYTES_MAX_TINY,
        )
        Path(folder, "test.00000001.jsonl").write_bytes(data)
        if packed:
            seal_stream(stream, clock=LateClock())
            if data and not data.endswith(b"\n"):
                data += b"\n"
        assert places(read_all(stream, limit)) == places(cut(data, 1, 0, LINE_BYTES_MAX_TINY))
        stream.close()


def places(lines: list[Line]) -> list[tuple[Position, bytes, bool]]:
    return [(each.position, each.raw, each.too_long) for each in lines]


def read_all(stream: Stream, limit: int) -> list[Line]:
    found: list[Line] = []
    position = BEGINNING
    while position.segment == 1:
        chunk = stream.read(position, limit)
        found += chunk.lines
        assert chunk.next > position
        position = chunk.next
        if chunk.at_end:
            break
    return found
