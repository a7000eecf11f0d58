"""The ledger is a fold over the journal, and the index is that fold, saved."""

import re

import pytest

from hookline.dispatch import ledger as journal
from hookline.dispatch.journal import STATE_FILE, load_ledger
from hookline.dispatch.ledger import Entry, Ledger, fold, letter_of
from hookline.dispatch.state import State
from hookline.dispatch.subscription import Cursor
from hookline.model.position import Position
from testing.unit.bench import OBEY

NOW = "2026-11-21T00:00:00.000000Z"


def entry(action, offset=0, **more):
    return Entry(action=action, time=NOW, handler="h", domain="d", segment=1, offset=offset, **more)


def folded(*entries):
    ledger = Ledger()
    fold(ledger, entries)
    return ledger.handlers.get("h")


def test_a_line_that_is_no_entry_is_passed_over():
    assert journal.decode(b'{"action":"from a later version"}') is None
    assert journal.decode(b'{"action":"attempt","time":') is None


@pytest.mark.parametrize(
    "line",
    [
        '{"action":"paused","time":"x","handler":"h"}',
        '{"action":"paused","time":"2026-13-01T00:00:00.000000Z","handler":"h"}',
        '{"action":"paused","time":"2026-11-21T00:00:00","handler":"h"}',
        f'{{"action":"replay","time":"{NOW}","handler":"h","segment":99999999999999999999}}',
        f'{{"action":"replay","time":"{NOW}","handler":"h","segment":-4}}',
        f'{{"action":"cursor","time":"{NOW}","handler":"h","segment":1,"offset":{1 << 63}}}',
        f'{{"action":"batch","time":"{NOW}","handler":"h","segment":1,"end":[0,9]}}',
        f'{{"action":"batch","time":"{NOW}","handler":"h","segment":1,"end":[1,9],"mark":-1}}',
        f'{{"action":"subscribed","time":"{NOW}","handler":"h","from":{{"d":[1,-1]}}}}',
        f'{{"action":"attempt","time":"{NOW}","attempt":1,"then":"retry","due":1e300}}',
        f'{{"action":"attempt","time":"{NOW}","handler":"h","domain":"d","then":"held"}}',
        f'{{"action":"attempt","time":"{NOW}","handler":"h","attempt":0,"then":"settled"}}',
        f'{{"action":"begun","time":"{NOW}","handler":"h","attempt":0}}',
        f'{{"action":"begun","time":"{NOW}","snapshot":"s","handler":"h","then":"retry"}}',
        f'{{"action":"attempt","time":"{NOW}","snapshot":"s","handler":"h","then":"held"}}',
        f'{{"action":"subscribed","time":"{NOW}","handler":"h","from":{{"../d":[1,0]}}}}',
        f'{{"action":"subscribed","time":"{NOW}","handler":"h","from":{{"a b":[1,0]}}}}',
        f'{{"action":"subscribed","time":"{NOW}","handler":"h","from":{{"":[1,0]}}}}',
        f'{{"action":"subscribed","time":"{NOW}","handler":"h","from":{{"{"d" * 300}":[1,0]}}}}',
        f'{{"action":"replay","time":"{NOW}","handler":"h","domain":"../d","segment":1}}',
        f'{{"action":"replay","time":"{NOW}","handler":"h","domain":"{"d" * 300}","segment":1}}',
        f'{{"action":"replay","time":"{NOW}","handler":"h\\u0000","domain":"d","segment":1}}',
    ],
)
def test_a_line_that_is_same_as_cannot_be_is_passed_over(line):
    assert journal.decode(line.encode()) is None


def test_a_line_without_a_position_is_of_the_beginning():
    assert folded(Entry(action="cursor", time=NOW, handler="h", domain="d")).cursors == {
        "d": Cursor(Position(1, 0))
    }


def test_an_entry_survives_its_line():
    made = entry("attempt", 7, event="e", attempt=2, verdict="failed", then="retry", due=1.5)
    assert journal.decode(journal.encode(made)) == made


def test_a_settled_attempt_beyond_the_cursor_is_remembered():
    progress = folded(entry("attempt", 100, event="e", attempt=1, then="settled"))
    assert progress.settled == {"d": {Position(1, 100): "e"}}


def test_the_cursor_takes_what_is_before_it():
    progress = folded(
        entry("attempt", 100, event="e", attempt=1, then="settled"),
        entry("cursor", 200, mark=100, event="e", source="s"),
    )
    assert progress.cursors == {"d": Cursor(Position(1, 200), 100, "e", "s")}
    assert progress.settled == {}


def test_a_cursor_never_goes_back():
    progress = folded(entry("cursor", 200), entry("cursor", 100))
    assert progress.cursors["d"].position == Position(1, 200)


def test_a_retry_waits_and_its_end_settles_it():
    retry = entry("attempt", 100, event="e", attempt=1, then="retry", due=5.0)
    (pending,) = folded(retry).pending.values()
    assert (pending.attempt, pending.due_at_s, pending.running) == (1, 5.0, False)
    assert not folded(retry, entry("attempt", 100, event="e", attempt=2, then="settled")).pending


def test_a_held_attempt_is_given_back():
    again = entry("attempt", 100, event="e", attempt=2, then="held", exit=127)
    progress = folded(again)
    (pending,) = progress.pending.values()
    assert pending.attempt == 1
    assert progress.held == "exit 127: it cannot be run"
    assert not folded(entry("attempt", 100, event="e", attempt=1, then="held")).pending


def test_a_run_under_way_counts_until_its_end_is_told():
    begun = entry("begun", 100, event="e", attempt=2)
    (pending,) = folded(begun, begun).pending.values()
    assert (pending.attempt, pending.running) == (2, True)
    done = entry("attempt", 100, event="e", attempt=2, then="settled")
    assert not folded(begun, done, begun).pending
    assert not folded(entry("cursor", 200), begun).pending
    assert not folded(entry("begun", 100, event="e", attempt=1, replay=1)).pending


def test_a_log_that_was_replaced_takes_the_cursor_back():
    progress = folded(entry("cursor", 200), entry("rewound", 0), entry("cursor", 50))
    assert progress.cursors["d"].position == Position(1, 50)
    assert folded(entry("cursor", 50), entry("rewound", 200)).cursors["d"].position[1] == 50


def test_a_handler_remembers_where_it_began():
    ledger = Ledger()
    first = entry("subscribed", since=3.0, start={"d": Position(1, 10)})
    fold(ledger, [first, entry("subscribed", since=3.0, start={"d": Position(1, 90)})])
    assert ledger.starts() == {"d": Position(1, 10)}


def test_a_batch_settles_all_that_lies_in_it():
    progress = folded(
        entry("attempt", 100, event="e", attempt=1, then="retry", due=5.0),
        entry("batch", 50, end=Position(1, 300), mark=200, event="z", source="s", events=3),
    )
    assert progress.cursors["d"].position == Position(1, 300)
    assert not progress.pending


def test_a_replay_is_asked_for_once():
    ask = entry("replay", 100, event="e", letter="h:e", replay="h:e")
    done = entry("attempt", 100, event="e", attempt=1, replay="h:e", then="settled")
    ledger = Ledger()
    fold(ledger, [ask, done, ask])
    assert ledger.closed == {"h:e"}
    assert not ledger.handlers["h"].pending


def test_a_handler_is_paused_and_let_go():
    assert folded(entry("paused", reason="tired")).paused == "tired"
    assert folded(entry("paused", reason="tired"), entry("resumed")).paused == ""


def test_the_index_is_the_fold_saved(bench):
    bench.shell("on-a-b.sh", OBEY, "# key: subject  concurrency: 2")
    bench.shell("on-a-c.sh", "exit 78")
    for n, status in enumerate((0, 75, 65, 0, 99, 75, 0, 0)):
        bench.emit("a.b", status, subject=f"k{n % 3}")
    bench.emit("a.c", None)
    bench.drain()
    state = State(bench.home.state / STATE_FILE)
    index = load_ledger(bench.home, state)
    state.close()
    again = load_ledger(bench.home, None)
    assert index == again
    assert index.handlers["on-a-b.sh"].pending
    assert index.handlers["on-a-c.sh"].paused


def test_a_ledger_survives_its_index(tmp_path):
    ledger = Ledger(folded=Position(2, 7), closed={"h:e"}, journal="j")
    fold(
        ledger,
        [
            entry("subscribed", since=3.0, start={"d": Position(1, 10)}),
            entry(
                "attempt", 100, event="e", source="s", type="d.t", attempt=1, then="retry", due=5.0
            ),
            entry("attempt", 150, event="f", attempt=1, then="settled"),
            entry("paused", reason="tired"),
        ],
    )
    state = State(tmp_path / STATE_FILE)
    state.save(ledger)
    assert state.load() == ledger
    state.close()


@pytest.mark.parametrize(
    ("replay", "letter"),
    [
        ("", "h:e~b"),
        ("h:e~b", "h:e~b:1"),
        ("h:e~b:9", "h:e~b:10"),
        ("weekly", "h:e~b:weekly"),
        ("h:e~b:weekly", "h:e~b:weekly:1"),
        ("h:e~b:weekly:1", "h:e~b:weekly:2"),
        # Letters of older versions.
        ("h:e", "h:e~b:1"),
        ("h:e:9", "h:e~b:10"),
        ("h:e:weekly", "h:e~b:weekly:1"),
    ],
)
@pytest.mark.parametrize("event", ["e", "a:7", "7"])
def test_a_letter_is_named_after_what_it_repeats(event, replay, letter):
    first = letter_of("h", "d", "s", event, "")

    def named(text):
        return text.replace("h:e~b", first).replace("h:e", f"h:{event}")

    assert re.fullmatch(rf"h:{event}~[0-9a-f]{{8}}", first)
    assert letter_of("h", "d", "s", event, named(replay)) == named(letter)


def test_letters_of_different_events_never_share_a_name():
    identities = [(d, s, e) for d in "ab" for s in ("s", "s:1") for e in ("x", "x:1", "x:1:1")]
    names = []
    for domain, source, event in identities:
        replay = ""
        for _ in range(3):
            replay = letter_of("h", domain, source, event, replay)
            names.append(replay)
        names.append(letter_of("h", domain, source, event, "weekly"))
    assert len(set(names)) == len(names) == 4 * len(identities)
