"""An identity is known again however far back, whatever was flushed, merged, lost or reopened."""

import os
import shutil
import tempfile
import uuid
from itertools import count, cycle
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.dispatch import identities as module
from hookline.dispatch.domain_log import DomainLog
from hookline.dispatch.feed import Feed
from hookline.dispatch.identities import Identities, forget_before
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.rotate import remove_segment, rotate
from hookline.log.stretch import Stretch
from hookline.model.event import Event
from hookline.model.position import Position

BEGINNING = Position(1, 0)


def identity(number):
    """A UUIDv7 for even numbers, something else for odd ones."""
    if number % 2:
        return f"evt_{number}"
    head = f"{1_700_000_000_000 + number:012x}"
    tail = uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex[12:]
    return f"{head[:8]}-{head[8:]}-7{tail[1:4]}-{tail[4:8]}-{tail[8:]}"


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 30), max_size=120),
    crashes=st.sets(st.integers(0, 120), max_size=4),
    closes=st.sets(st.integers(0, 120), max_size=4),
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=20),
)
def test_the_first_of_an_identity_is_no_twin_and_every_later_one_is(
    numbers, crashes, closes, sizes
):
    folder = Path(tempfile.mkdtemp())
    try:
        with (
            mock.patch.object(module, "FRESH_MAX", 8),
            mock.patch.object(module, "RUNS_MERGED", 3),
            mock.patch.object(module, "MERGE_STEP", 5),
        ):
            told = tell(folder, numbers, crashes, closes, sizes)
    finally:
        shutil.rmtree(folder)
    seen, expected = set(), []
    for number in numbers:
        expected.append(number in seen)
        seen.add(number)
    assert told == expected


def stretch_of(numbers, start):
    """A stretch of the events with these numbers; one of three is another source's."""
    events = [
        Event(id=identity(each), source=f"s{each % 3}", type="a.b", time="") for each in numbers
    ]
    bounds = [(at, at + 1) for at in range(start, start + len(numbers))]
    return Stretch(1, bounds, b"x\n" * len(numbers), events)


def tell(folder, numbers, crashes, closes, sizes):
    sizes = cycle(sizes)
    known = Identities(folder / "i")
    known.begin("d", BEGINNING)
    told = [None] * len(numbers)
    at = 0
    while at < len(numbers):
        if at in crashes | closes:
            if at in closes:
                known.close()
            crashes, closes = crashes - {at}, closes - {at}
            known = Identities(folder / "i")
            known.begin("d", BEGINNING)
            at = known.reached("d").offset
            continue
        together = numbers[at : at + next(sizes)]
        if together and known.are_new("d", stretch_of(together, at)):
            told[at : at + len(together)] = [False] * len(together)
            at += len(together)
            continue
        source, id = f"s{numbers[at] % 3}", identity(numbers[at])
        told[at] = known.is_twin("d", Position(1, at), Position(1, at + 1), source, id)
        assert known.is_last("d", source, id)
        at += 1
    return told


def test_new_ones_are_known_at_once_however_they_are_ordered(tmp_path):
    known = Identities(tmp_path / "i")
    known.begin("d", BEGINNING)
    at = 0
    for numbers in ([0, 2, 4, 6], [20, 14, 16], [8], [30, 40], [18, 22, 24]):
        assert known.are_new("d", stretch_of(numbers, at))
        at += len(numbers)
        known.flush()
    for numbers in ([8], [40, 42], [42, 42], [1]):
        assert not known.are_new("d", stretch_of(numbers, at))


def test_a_stretch_that_was_looked_at_before_is_new_where_it_has_no_twins(tmp_path):
    known = Identities(tmp_path / "i")
    known.begin("d", BEGINNING)
    for at, number in enumerate([0, 2, 2, 4]):
        source, id = f"s{number % 3}", identity(number)
        known.is_twin("d", Position(1, at), Position(1, at + 1), source, id)
    assert known.are_new("d", stretch_of([0, 2], 0))
    assert known.are_new("d", stretch_of([4], 3))
    assert not known.are_new("d", stretch_of([2], 2))
    assert not known.are_new("d", stretch_of([0, 2, 2], 0))
    assert not known.are_new("d", stretch_of([4, 6], 3))


def test_an_id_that_was_chosen_to_be_taken_for_anothers_is_not(tmp_path):
    """Who knows how identities are made, but not the key of this home, forges one."""
    theirs, ours = Identities(tmp_path / "t"), Identities(tmp_path / "o")
    for known in (theirs, ours):
        known.begin("d", BEGINNING)
    id = identity(2)
    # One that is newer than all others needs no comparison.
    evil, chosen = next(each for each in forged(theirs, id) if each[1] < id)
    for known, taken in ((theirs, True), (ours, False)):
        assert not known.is_twin("d", BEGINNING, Position(1, 1), "s", id)
        assert known.is_twin("d", Position(1, 1), Position(1, 2), evil, chosen) is taken


def forged(known, id):
    """Sources, and the id that one of each would have to take."""
    for number in count():
        evil = f"evil{number}"
        masks = zip(known._mask("d/1", "s"), known._mask("d/1", evil), strict=True)
        mixed = zip(bytes.fromhex(id.replace("-", "")), masks, strict=True)
        yield evil, str(uuid.UUID(bytes=bytes(a ^ b ^ c for a, (b, c) in mixed)))


def test_what_was_looked_at_before_is_told_the_same_again(tmp_path):
    known = Identities(tmp_path / "i")
    known.begin("d", BEGINNING)
    first = [known.is_twin("d", Position(1, at), Position(1, at + 1), "s", "x") for at in (0, 1)]
    again = [known.is_twin("d", Position(1, at), Position(1, at + 1), "s", "x") for at in (0, 1)]
    assert first == again == [False, True]


def test_another_source_or_domain_is_another_identity(tmp_path):
    known = Identities(tmp_path / "i")
    for domain in ("d", "e"):
        known.begin(domain, BEGINNING)
    assert not known.is_twin("d", BEGINNING, Position(1, 1), "s", "x")
    assert not known.is_twin("d", Position(1, 1), Position(1, 2), "t", "x")
    assert not known.is_twin("e", BEGINNING, Position(1, 1), "s", "x")


def test_a_damaged_run_is_made_again(tmp_path):
    known = Identities(tmp_path / "i")
    known.begin("d", BEGINNING)
    known.is_twin("d", BEGINNING, Position(1, 1), "s", "x")
    known.flush()
    (run,) = (tmp_path / "i").glob("*.run")
    run.write_bytes(run.read_bytes()[:20])
    known = Identities(tmp_path / "i")
    known.begin("d", BEGINNING)
    assert known.reached("d") == BEGINNING
    assert not known.is_twin("d", BEGINNING, Position(1, 1), "s", "x")


def test_runs_of_long_ago_are_forgotten_and_the_newest_is_kept(tmp_path):
    known = Identities(tmp_path / "i")
    known.begin("d", BEGINNING)
    for at in range(3):
        known.is_twin("d", Position(1, at), Position(1, at + 1), "s", f"x{at}")
        known.flush()
    first, second, newest = sorted((tmp_path / "i").glob("*.run"))
    for run in (first, newest):
        os.utime(run, (1000, 1000))
    size = first.stat().st_size
    assert forget_before(tmp_path / "i", 2000.0) == size
    assert sorted((tmp_path / "i").glob("*.run")) == [second, newest]
    known = Identities(tmp_path / "i")
    assert known.reached("d") == Position(1, 3)
    again = [
        known.is_twin("d", Position(2, at), Position(2, at + 1), "s", f"x{at}") for at in range(3)
    ]
    assert again == [False, True, True]


def test_half_a_run_of_a_killed_dispatcher_is_removed(tmp_path):
    folder = tmp_path / "i"
    folder.mkdir()
    (folder / ".00000001.run.77.abc.tmp").write_bytes(b"half")
    Identities(folder)
    assert list(folder.iterdir()) == []


def test_what_lies_in_segments_that_are_gone_is_forgotten(tmp_path):
    home = Home(tmp_path)
    home.segments.mkdir(parents=True)
    known = Identities(tmp_path / "i")
    told = []
    with DomainLog(home, "a") as log:
        feed = Feed("a", log, known, told.append)
        feed.begin(BEGINNING)
        for segment in range(1, 5):
            for _ in range(2):
                Log(home).append("a.b", source="s", id=f"x{segment}")
            rotate(home, "a")
            # A closed one is read to its end when it is known that nobody writes to it any more.
            while feed.read(Position(segment, 0)).next.segment == segment:
                feed._chunks.clear()
            if segment == 2:
                while not remove_segment(log, 1):
                    pass  # for as long as it may be that somebody just opens it
                assert set(known._twins["a"].stretches()) == {1, 2}
        assert set(known._twins["a"].stretches()) == {2, 3, 4}
        while not remove_segment(log, 2):
            pass
        feed.begin(Position(3, 0))
        assert set(known._twins["a"].stretches()) == {3, 4}
    assert not told
