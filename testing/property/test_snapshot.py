"""A ledger is the same whether the whole journal is folded, or the part from a snapshot on, or what
an index has kept of it."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.dispatch import ledger as journal
from hookline.dispatch.ledger import Entry, Ledger, fold
from hookline.dispatch.snapshot import Snapshots, entries_of
from hookline.dispatch.state import State
from hookline.model.position import Position

HANDLERS = ("one", "two")
EVENTS = 8
FOREIGN = frozenset({"replay", "drop"})


class History:
    """Writes a journal as a dispatcher and its commands might, one random step at a time."""

    def __init__(self, draw):
        self._draw = draw
        self.entries: list[Entry] = []
        self._attempts = {name: [0] * EVENTS for name in HANDLERS}
        self._settled = {name: [False] * EVENTS for name in HANDLERS}
        self._letters: list[tuple[str, int]] = []
        self._replays: list[tuple[str, int, str, int]] = []
        for name in HANDLERS:
            self._write("subscribed", name, since=3.5, start={"d": Position(1, 0)})

    def _write(self, action, handler, event=None, **more):
        place = {}
        if event is not None:
            place = {"domain": "d", "segment": 1, "offset": event * 10, "event": f"e{event}"}
            place |= {"source": "s", "type": "d.t"}
        # The clock may be set at any time.
        second = self._draw(st.integers(0, 59))
        self.entries.append(
            Entry(
                action=action,
                time=f"2026-11-21T00:00:{second:02}.250000Z",
                handler=handler,
                **{**place, **more},
            )
        )

    def step(self):
        handler = self._draw(st.sampled_from(HANDLERS))
        unsettled = [n for n in range(EVENTS) if not self._settled[handler][n]]
        what = self._draw(st.sampled_from(
            ["attempt", "attempt", "attempt", "batch", "cursor", "pause", "letter", "replayed",
             "rewound"]
        ))  # fmt: skip
        if what == "attempt" and unsettled:
            self._attempt(handler, self._draw(st.sampled_from(unsettled[:4])))
        elif what == "batch" and unsettled and not self._attempts[handler][unsettled[0]]:
            first = last = unsettled[0]
            while last + 1 in unsettled and self._draw(st.booleans()):
                last += 1
            for n in range(first, last + 1):
                self._settled[handler][n] = True
            self._write(
                "batch", handler, first, mark=last * 10, end=Position(1, last * 10 + 10),
                then="settled", verdict="done", **self._counted(),
            )  # fmt: skip
        elif what == "cursor":
            first = unsettled[0] if unsettled else EVENTS
            self._write("cursor", handler, first, mark=first * 10)
        elif what == "pause":
            reason = self._draw(st.sampled_from(["", "tired"]))
            by = self._draw(st.sampled_from(["", "hand"]))
            installed = None if by else 2.5
            action = "paused" if reason else "resumed"
            self._write(action, handler, reason=reason, by=by, installed=installed)
        elif what == "letter" and self._letters:
            self._decide()
        elif what == "replayed" and self._replays:
            self._replayed()
        elif what == "rewound" and self._draw(st.integers(0, 9)) == 0:
            self._write("rewound", handler, 0)

    def _attempt(self, handler, event):
        self._attempts[handler][event] += 1
        then = self._draw(st.sampled_from(["settled", "retry", "held", "dead-letter"]))
        number = self._attempts[handler][event]
        due = 1795238007.3854713 + number if then == "retry" else None
        self._write(
            "attempt", handler, event, attempt=number, then=then, due=due, exit=3,
            **self._counted(),
        )  # fmt: skip
        if then == "held":
            self._attempts[handler][event] -= 1
        if then in ("settled", "dead-letter"):
            self._settled[handler][event] = True
        if then == "dead-letter":
            self._letters.append((handler, event))

    def _counted(self):
        failures = self._draw(st.sampled_from([None, None, 0, 1, 2]))
        return {} if failures is None else {"failures": failures, "installed": 1.5}

    def _decide(self):
        handler, event = self._letters.pop()
        letter = f"{handler}:e{event}"
        action = self._draw(st.sampled_from(["replay", "drop"]))
        again = letter if action == "replay" else ""
        self._write(action, handler, event, letter=letter, replay=again)
        if again:
            self._replays.append((handler, event, again, 0))

    def _replayed(self):
        handler, event, letter, attempt = self._replays.pop()
        then = self._draw(st.sampled_from(["settled", "retry"]))
        self._write("attempt", handler, event, replay=letter, attempt=attempt + 1, then=then)
        if then == "retry":
            self._replays.append((handler, event, letter, attempt + 1))


def folded(entries, ledger=None):
    ledger = ledger or Ledger()
    fold(ledger, entries)
    return ledger


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_to_begin_with_a_snapshot_is_to_fold_it_all(data):
    history = History(data.draw)
    for _ in range(data.draw(st.integers(0, 40))):
        history.step()
    everything = history.entries
    # The dispatcher has read up to here, and has itself written up to there since.
    read = data.draw(st.integers(0, len(everything)))
    wrote = data.draw(st.integers(read, len(everything)))
    own = [each for each in everything[read:wrote] if each.action not in FOREIGN]
    index = folded(everything[:read] + own)
    index.folded = Position(1, read)
    lines = entries_of(index, "s", everything[0].time)
    kept = lines[: data.draw(st.integers(0, len(lines)))]
    whole = entries_of(index, "t", everything[0].time)
    written = [*everything[:wrote], *kept, *whole, *everything[wrote:]]
    again = [journal.decode(journal.encode(each)) for each in written]

    snapshots = Snapshots()
    for entry in again:
        snapshots.see(entry)
    found = snapshots.newest
    assert found is not None
    assert found.folded == Position(1, read)
    rest = [each for each in again if not each.snapshot][read:]
    found = folded(rest, found)
    found.folded = Position(1, 0)
    assert found == folded(again)


DOMAINS = st.sampled_from(["d", "d", "é", "", "../d", "d" * 97])
NUMBERS = st.sampled_from([0, 1, 1, 1, 2, 3, -1, (1 << 53) - 1, 1 << 53])
MOMENTS = st.sampled_from([0.0, 1.5, 2.5, -1.0, 253_402_300_800.0])
WILD = st.fixed_dictionaries(
    {
        "action": st.sampled_from(
            ["subscribed", "begun", "attempt", "attempt", "batch", "cursor", "rewound", "paused",
             "replay"]
        ),
        "time": st.just("2026-11-21T00:00:00.000000Z"),
        "handler": st.sampled_from(["one", "two"]),
    },
    optional={
        "domain": DOMAINS,
        "segment": NUMBERS,
        "offset": NUMBERS,
        "event": st.sampled_from(["e", "e", "\ud800"]),
        "attempt": NUMBERS,
        "then": st.sampled_from(["settled", "retry", "held", "dead-letter", "?"]),
        "due": MOMENTS,
        "since": MOMENTS,
        "installed": MOMENTS,
        "failures": NUMBERS,
        "end": st.tuples(NUMBERS, NUMBERS),
        "mark": NUMBERS,
        "from": st.dictionaries(DOMAINS, st.tuples(NUMBERS, NUMBERS), max_size=2),
        "replayof": st.sampled_from(["", "again"]),
    },
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(WILD, min_size=1, max_size=4))
def test_whatever_others_write_a_snapshot_of_it_reads_back(lines):
    decoded = [journal.decode(json.dumps(line).encode()) for line in lines]
    ledger = folded(entry for entry in decoded if entry)
    snapshots = Snapshots()
    for entry in entries_of(ledger, "s", "2026-11-21T00:00:00.000000Z"):
        again = journal.decode(journal.encode(entry))
        assert again == entry
        snapshots.see(again)
    assert snapshots.newest is not None


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_index_holds_all_of_a_ledger(data):
    history = History(data.draw)
    for _ in range(data.draw(st.integers(0, 40))):
        history.step()
    ledger = folded(history.entries)
    with tempfile.TemporaryDirectory() as folder:
        state = State(Path(folder) / "index")
        state.save(ledger)
        assert state.load() == ledger
        state.close()


def test_a_snapshot_without_its_end_is_none():
    ledger = folded(
        [Entry(action="subscribed", time="", handler="h", since=1.0, start={"d": Position(1, 0)})]
    )
    lines = entries_of(ledger, "s", "2026-11-21T00:00:00.000000Z")
    for missing in range(len(lines)):
        snapshots = Snapshots()
        for number, line in enumerate(lines):
            if number != missing:
                snapshots.see(line)
        assert snapshots.newest is None
