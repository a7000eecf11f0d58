"""Dead letters: which are open, what they have in common, what was tried, and that none is lost."""

import json
import shutil

import pytest

from hookline.dispatch import letters
from hookline.dispatch.dead_letter import decode_letter
from hookline.dispatch.ledger import letter_of
from hookline.dispatch.letters import Wanted
from hookline.model.clock import SystemClock
from hookline.model.errors import BadData
from hookline.model.position import Position

CLOCK = SystemClock()
FAILING = 'echo "no row $(jq .data "$1")" >&2; exit 3'


def line(number, **more):
    fields = {
        "letter": f"h:e{number}", "time": f"2026-11-21T00:00:{number:02d}.000000Z", "handler": "h",
        "domain": "a", "segment": 1, "offset": number, "attempts": 5, "verdict": "failed",
        "exit": 1, "error": f"no row {number}",
        "event": {"id": f"e{number}", "source": "s", "type": "a.b"},
    }  # fmt: skip
    return json.dumps({**fields, **more}) + "\n"


def read_lines(path):
    return path.read_text().splitlines()


def write(home, *lines):
    home.dead_letters.write_text("".join(lines))


def test_torn_and_doubled_lines_are_passed_over(bench):
    write(bench.home, line(1), '{"letter":"h:e2","ti\n', line(1, error="again"), line(3))
    assert [each.letter for each in letters.letters(bench.home)] == ["h:e1", "h:e3"]


def test_what_is_no_letter_is_told_with_its_place(bench):
    lines = line(1), "\0" * 30 + "\n", '{"letter":"h:e2","ti\n', line(3)
    write(bench.home, *lines)
    first = len(lines[0])
    places = list(letters.damaged_places(bench.home))
    assert places == [Position(1, first), Position(1, first + 31)]


def test_a_group_has_what_its_letters_have_in_common(bench):
    other = {"event": {"id": "e9", "source": "s", "type": "a.c"}}
    write(bench.home, line(1), line(2, exit=2), line(9, **other), line(10))
    big, small = letters.groups(letters.each_open(bench.home))
    assert (big.letters, big.exit, big.error) == (3, 1, "no row 10")
    assert (big.first[17:19], big.last[17:19]) == ("01", "10")
    assert big.types == {"a.b": 2, "a.c": 1}
    assert (small.letters, small.exit) == (1, 2)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (Wanted(), "123"),
        (Wanted(names=("h:e1", "g")), "13"),
        (Wanted(handler="h"), "12"),
        (Wanted(type="c.*"), "3"),
        (Wanted(since="2026-11-21T00:00:02.000000Z"), "23"),
        (Wanted(until="2026-11-21T00:00:02.000000Z"), "1"),
        (Wanted(handler="h", type="c.*"), ""),
    ],
)
def test_letters_are_chosen(bench, wanted, chosen):
    third = {"handler": "g", "event": {"id": "e3", "source": "s", "type": "c.d"}}
    write(bench.home, line(1), line(2), line(3, letter="g:e3", **third))
    assert "".join(each.letter[-1] for each in letters.each_open(bench.home, wanted)) == chosen


def test_what_was_tried_is_in_the_journal(bench):
    bench.shell("on-a-b.sh", FAILING, "# attempts: 2   backoff: 1ms")
    bench.shell("on-a.sh", "exit 1", "# on: a.*")
    bench.emit("a.b", 1)
    bench.run_until(bench.letters)
    (letter,) = letters.open_letters(bench.home)
    letters.drop(bench.home, letter, CLOCK)
    told = letters.attempts_of(bench.home, letter)
    assert [(each.action, each.attempt, each.error) for each in told] == [
        ("attempt", 1, "no row 1"), ("attempt", 2, "no row 1"), ("drop", 0, ""),
    ]  # fmt: skip


def test_a_letter_without_its_event_can_only_be_dropped(bench):
    write(bench.home, line(1, event=None))
    (letter,) = letters.open_letters(bench.home)
    with pytest.raises(BadData, match="only drop is left"):
        letters.replay(bench.home, letter, CLOCK)
    assert letters.drop_all(bench.home, [letter], CLOCK, "useless") == 1
    assert letters.open_letters(bench.home) == []


def test_a_letter_that_cannot_be_written_leaves_its_event_waiting(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ATTEMPT" >>"$OUT"; exit 65')
    event = bench.emit("a.b")
    bench.home.dead_letters.mkdir()
    dispatcher = bench.dispatcher()
    try:
        for _ in range(20):
            dispatcher.tick(0.05)
    finally:
        dispatcher.close()
    assert bench.said() == ["1"]
    assert "then" not in bench.home.deliveries.read_text()

    bench.home.dead_letters.rmdir()
    bench.drain()
    assert [letter["event"]["id"] for letter in bench.letters()] == [event]
    assert len(letters.open_letters(bench.home)) == 1
    bench.drain()
    assert len(bench.letters()) == 1


def test_a_replay_that_fails_again_is_a_letter_of_its_own(bench):
    bench.shell("on-a-b.sh", "exit 65")
    event = bench.emit("a.b")
    bench.drain()
    for _ in range(2):
        (letter,) = letters.open_letters(bench.home)
        letters.replay(bench.home, letter, CLOCK)
        bench.drain()
    names = [each["letter"] for each in bench.letters()]
    first = letter_of("on-a-b.sh", "a", "test", event, "")
    assert names == [first, f"{first}:1", f"{first}:2"]
    assert [each.get("replayof") for each in bench.letters()] == [None, *names[:2]]
    assert all("replayof" not in each["event"] for each in bench.letters())


def test_a_letter_without_its_log_is_replayed_from_itself_and_keeps_its_key(bench):
    bench.shell("on-a-b.sh", "exit 65", "# key: data.k  concurrency: 2")
    bench.emit("a.b", {"k": 1})
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    shutil.rmtree(bench.home.events)
    for folder in (bench.home.events, bench.home.queue, bench.home.segments):
        folder.mkdir()
    bench.shell("on-a-b.sh", 'jq -r .data.k "$1" >>"$OUT"', "# key: data.k  concurrency: 2")
    letters.replay(bench.home, letter, CLOCK)
    bench.drain()
    assert bench.said() == ["1"]


def test_of_two_letters_of_an_old_name_the_events_own_is_taken(bench):
    bench.shell("on-a-b.sh", 'jq -r .id "$1" >>"$OUT"')
    bench.drain()
    old = {"letter": "on-a-b.sh:x:1", "handler": "on-a-b.sh"}
    # The second letter of an event x, and that of an event x:1.
    for event in ("x", "x:1"):
        told = {"id": event, "source": "s", "type": "a.b", "specversion": "1.0"}
        letter = line(1, **old, event={**told, "time": "2026-11-21T00:00:00Z", "data": 1})
        with bench.home.dead_letters.open("a") as file:
            file.write(letter)
    _, asked = (decode_letter(each.encode()) for each in read_lines(bench.home.dead_letters))
    letters.replay(bench.home, asked, CLOCK)
    bench.drain()
    assert bench.said() == ["x:1"]


def test_an_event_at_its_place_with_another_source_is_another(bench):
    bench.shell("on-a-b.sh", "exit 65")
    bench.emit("a.b", 1, id="same", source="s")
    bench.drain()
    (letter,) = letters.open_letters(bench.home)
    log = bench.home.live("a")
    log.write_bytes(log.read_bytes().replace(b'"s"', b'"t"'))
    bench.shell("on-a-b.sh", 'jq -r .source "$1" >>"$OUT"')
    letters.replay(bench.home, letter, CLOCK)
    bench.drain()
    assert "s" in bench.said()


def test_events_that_share_an_id_have_letters_of_their_own(bench):
    bench.shell("on-any.sh", FAILING, "# on: *   attempts: 1")
    shared = [("a.b", 1, "s"), ("a.b", 2, "t"), ("c.d", 3, "s")]
    for type, data, source in shared:
        bench.emit(type, data, id="same", source=source)
    bench.drain()
    found = letters.open_letters(bench.home)
    assert len(found) == 3
    assert list(letters.each_open(bench.home, Wanted(names=("on-any.sh:same",)))) == found
    told = letters.attempts_of(bench.home, found[0])
    assert [(each.domain, each.source) for each in told] == [(found[0].domain, "s")]

    bench.shell("on-any.sh", 'jq .data "$1" >>"$OUT"', "# on: *")
    (dropped,) = (each for each in found if json.loads(bytes(each.event))["data"] == 1)
    letters.drop(bench.home, dropped, CLOCK)
    for live in ("a", "c"):
        bench.home.live(live).unlink()
    for letter in letters.each_open(bench.home):
        letters.replay(bench.home, letter, CLOCK)
    bench.drain()
    assert sorted(bench.said()) == ["2", "3"]
    assert letters.open_letters(bench.home) == []
