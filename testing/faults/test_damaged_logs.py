"""What a disk, a power cut or a careless editor leaves in a log: nothing whole behind it is lost,
and everything that is no event any more is set aside once, with its position."""

import base64
import json

import pytest

from hookline.log.rotate import rotate, seal
from hookline.model.envelope import LINE_BYTES_MAX
from testing.faults.recovery import NOTING, Recovery, event_line, wait_until

NUL_TAIL = 741
"""What a power cut on ext4 once left: the size was on disk, the bytes were not."""


@pytest.fixture
def recovery(home):
    recovery = Recovery(home)
    recovery.handler()
    return recovery


def live(recovery, domain="a"):
    return recovery.home.live(domain)


def note(recovery, stem):
    return json.loads((recovery.home.rejected / f"{stem}.json").read_text())


def raw(recovery, stem):
    found = note(recovery, stem)
    text = found.get("raw")
    return base64.b64decode(found["raw_base64"]) if text is None else text.encode()


# -- NULs -----------------------------------------------------------------------------------


def test_a_tail_of_nuls_is_skipped_and_the_next_event_delivered(recovery):
    recovery.emit("k", 3)
    with live(recovery).open("r+b") as log:
        log.truncate(live(recovery).stat().st_size + NUL_TAIL)
    recovery.emit("k", 3)
    recovery.once()
    assert recovery.problems() == []
    assert recovery.rejected() == set()
    recovery.check_again()


def test_nuls_instead_of_a_page_take_only_the_events_that_lay_there(recovery):
    first, lost, last = recovery.emit("k", 3), recovery.emit("k", 60), recovery.emit("k", 3)
    data = live(recovery).read_bytes()
    assert 4096 < data.index(last[0].encode()) < len(data)
    page = range(4096, 8192)
    live(recovery).write_bytes(data[:4096] + bytes(4096) + data[8192:])
    recovery.once()
    touched = {event for event in lost if overlaps(data, event, page)}
    assert 10 < len(touched) < len(lost)
    recovery.acknowledged -= touched
    assert recovery.problems() == []
    assert recovery.delivered() == {*first, *lost, *last} - touched
    # The half before the page, and the half behind it.
    halves = {f"a-events.00000001.{at}" for at in (data.rindex(b"\n", 0, 4096) + 1, 8192)}
    assert recovery.rejected() == halves
    recovery.check_again()


def test_a_nul_in_an_event_makes_two_pieces_and_never_another_event(recovery):
    before, lost, after = recovery.emit("k"), recovery.emit("k"), recovery.emit("k")
    data = live(recovery).read_bytes()
    start = data.index(b"\n") + 1
    at = data.index(b'"n":0', start)
    live(recovery).write_bytes(data[:at] + b"\0" + data[at + 1 :])
    recovery.once()
    assert recovery.delivered() == {*before, *after}
    assert recovery.rejected() == {
        f"a-events.00000001.{start}",
        f"a-events.00000001.{at + 1}",
    }
    recovery.acknowledged -= set(lost)
    assert recovery.problems() == []
    recovery.check_again()


def overlaps(data, event, page):
    start = data.rindex(b"\n", 0, data.index(event.encode())) + 1
    return start < page.stop and data.index(b"\n", start) >= page.start


# -- bit flips ------------------------------------------------------------------------------


def test_a_flipped_bit_costs_at_most_the_event_that_it_is_in(recovery, chance, soak_s):
    # A flip in the key itself takes an event to another lane.
    recovery.handler(text=NOTING.replace("key: data.k   concurrency: 3", ""))
    intact, damaged, log = set(), {}, b""
    _, sample = event_line("k", 0)
    for at in range(len(sample)):
        for bit in range(8) if soak_s else [chance.randrange(8)]:
            identity, line = event_line("k", 0)
            flipped = bytearray(line)
            flipped[at] ^= 1 << bit
            damaged[len(log)] = bytes(flipped)
            log += bytes(flipped) + b"\n"
            identity, line = event_line("k", 1)
            intact.add(identity)
            log += line + b"\n"
    live(recovery).write_bytes(log)
    recovery.acknowledged = intact
    recovery.once()
    assert recovery.problems() == []
    set_aside = pieces(recovery, damaged)
    ids = recovery.delivered()
    for start, line in damaged.items():
        if start in set_aside:
            assert set_aside.pop(start) == [part for part in line.split(b"\n") if part]
            continue
        # What is neither handled nor set aside must be an event of a type that nobody wants.
        event = json.loads(line)
        assert event.get("specversion", "1.0") == "1.0", line
        assert event["id"] in ids or not event["type"].endswith(".made"), line
    assert set_aside == {}
    assert len(ids - intact) > len(sample) // 4
    recovery.check_again()


def pieces(recovery, starts):
    """What was set aside, in order, by the line that it lay in."""
    found = {}
    for stem in recovery.rejected():
        offset = int(stem.rpartition(".")[2])
        found.setdefault(max(s for s in starts if s <= offset), []).append((offset, stem))
    return {s: [raw(recovery, stem) for _, stem in sorted(each)] for s, each in found.items()}


# -- truncation ------------------------------------------------------------------------------


def cuts(soak_s):
    """How much is cut off: any part of the last three lines, in the quick run some of them."""
    line = len(event_line("d000", 0, "d000")[1]) + 1
    edges = {count * line + near for count in range(4) for near in (-1, 0, 1)}
    every = range(1, 3 * line + 1)
    return list(every) if soak_s else sorted(edges & set(every) | set(every[::37]))


def cut_logs(soak_s, place):
    """One domain for each length; what is to be delivered of them all, and what set aside."""
    delivered, set_aside = set(), set()
    for size in cuts(soak_s):
        domain = f"d{size}"
        lines = [event_line(domain, number, domain) for number in range(5)]
        left = b"".join(line + b"\n" for _, line in lines)[:-size]
        place(domain).write_bytes(left)
        whole, torn = lines[: left.count(b"\n")], left[left.rfind(b"\n") + 1 :]
        if torn == lines[len(whole)][1]:
            # Only its newline is gone.
            whole = lines[: len(whole) + 1]
        elif torn:
            set_aside.add(f"{domain}-events.00000001.{len(left) - len(torn)}")
        delivered |= {identity for identity, _ in whole}
    return delivered, set_aside


def test_a_log_cut_off_anywhere_gives_what_is_left_of_it(recovery, soak_s):
    delivered, set_aside = cut_logs(soak_s, recovery.home.live)
    recovery.acknowledged = delivered
    with recovery.staying():
        # The torn ends stand for a second before they are ended.
        wait_until(lambda: recovery.rejected() >= set_aside, "all torn ends are set aside")
        wait_until(lambda: recovery.delivered() >= delivered, "all whole events are delivered")
    assert recovery.problems() == []
    assert recovery.rejected() == set_aside
    recovery.check_again()


def test_a_closed_segment_cut_off_anywhere_gives_what_is_left_of_it(recovery, soak_s):
    def segment(domain):
        return recovery.home.segments / f"{domain}-events.00000001.jsonl"

    delivered, set_aside = cut_logs(soak_s, segment)
    recovery.acknowledged = delivered
    recovery.once()
    assert recovery.problems() == []
    assert recovery.delivered() == delivered
    assert recovery.rejected() == set_aside
    recovery.check_again()


def test_a_compressed_segment_cut_off_anywhere_hides_nothing_behind_it(recovery, soak_s):
    whole = recovery.emit("k", 3)
    rotate(recovery.home, "a")
    seal_all(recovery)
    (packed,) = recovery.home.segments.glob("*.zst")
    data = packed.read_bytes()
    for size in range(0, len(data), 1 if soak_s else 23):
        domain = f"d{size}"
        name = f"{domain}-events.00000001.jsonl.zst"
        (recovery.home.segments / name).write_bytes(data[:size])
        recovery.emit(domain, 1, domain)
    said = recovery.once()
    assert recovery.problems() == []
    # Each damage is told of, once; what could be unpacked before it was delivered.
    assert said.count("is damaged") == len(range(0, len(data), 1 if soak_s else 23))
    assert recovery.delivered() >= {*whole, *recovery.acknowledged}
    recovery.check_again()


def seal_all(recovery):
    wait_until(lambda: seal(recovery.home, "a") != [], "the segment is sealed")


# -- glued lines -------------------------------------------------------------------------------


def test_glued_lines_are_parted_again(recovery):
    first = recovery.emit("k")
    data = live(recovery).read_bytes()
    second = recovery.emit("k")
    torn = data[: len(data) // 2]
    third = event_line("k", 0)
    live(recovery).write_bytes(
        live(recovery).read_bytes().replace(b"\n", b"", 1) + torn + third[1] + b"\n"
    )
    recovery.acknowledged.add(third[0])
    recovery.order["k"].append(third[0])
    recovery.once()
    assert recovery.problems() == []
    assert recovery.delivered() == {*first, *second, third[0]}
    (only,) = recovery.rejected()
    assert raw(recovery, only) == torn
    assert note(recovery, only)["offset"] == live(recovery).read_bytes().index(torn + third[1])
    recovery.check_again()


def test_an_event_glued_behind_a_torn_one_that_is_too_long_is_delivered(recovery):
    torn = event_line("k", 0)[1][:-1] + b"x" * LINE_BYTES_MAX
    live(recovery).write_bytes(torn)
    last = recovery.emit("k")
    recovery.once()
    assert recovery.problems() == []
    assert recovery.delivered() == set(last)
    assert recovery.rejected() == {"a-events.00000001.0"}
    recovery.check_again()
