"""Events of the past, once more, to one handler."""

import contextlib
import json
import os
import shutil
import signal
import time

import pytest

from hookline.dispatch import asks, replays
from hookline.dispatch.asks import NoRoom
from hookline.dispatch.journal import STATE_FILE, load_ledger
from hookline.dispatch.pace import Pace
from hookline.dispatch.replays import Begun, Replay
from hookline.dispatch.state import State
from hookline.log.rotate import rotate
from hookline.model.clock import SystemClock
from hookline.model.errors import BadData, TryAgain

END = "2999-01-01T00:00:00.000000Z"
CLOCK = SystemClock()


def replay_of(handler="on-a-b.sh", **more):
    return Replay(**{"name": "weekly", "handler": handler, "until": END, "types": ("*",), **more})


def ask(bench, replay, sleep=None, pace=None):
    begun = replays.find(bench.home, replay.name) or replays.begin(bench.home, replay, CLOCK)
    events = replays.chosen(bench.home, begun, pytest.fail)
    pace = pace or Pace(None, None, 0.0)
    replays.ask(bench.home, begun, events, pace, CLOCK, sleep=sleep or pytest.fail)
    return begun


def test_a_replay_gives_the_events_again_in_their_order_and_marked(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID $EVENT_REPLAYOF $(jq -r .replayof "$1")" >>"$OUT"')
    ids = [bench.emit("a.b", {"n": n}) for n in range(3)]
    bench.drain()
    assert bench.said() == [f"{each}  null" for each in ids]
    ask(bench, replay_of())
    bench.drain()
    assert bench.said()[3:] == [f"{each} weekly weekly" for each in ids]
    assert [entry["replayof"] for entry in bench.journal() if "replayof" in entry][-3:] == (
        ["weekly"] * 3
    )
    bench.drain()
    assert len(bench.said()) == 6


def test_a_python_handler_is_told_too(bench):
    bench.handler(
        "on-a.py",
        "# run: python\nimport os\nfrom hookline import on\n@on('a.*')\ndef f(event):\n"
        "    print(event.id, event.replayof, event.value(), file=open(os.environ['OUT'], 'a'))\n",
    )
    event = bench.emit("a.b", {"n": 1})
    bench.drain()
    ask(bench, replay_of("on-a.py"))
    bench.drain()
    assert bench.said() == [f"{event} None {{'n': 1}}", f"{event} weekly {{'n': 1}}"]


def test_only_what_is_wanted_is_chosen(bench):
    events = [bench.emit(type) for type in ("a.b", "a.c", "d.b", "d.e")]

    def chosen(**more):
        begun = Begun(replay=replay_of(**more))
        return [each.record.event.id for each in replays.chosen(bench.home, begun, pytest.fail)]

    assert chosen() == events
    assert chosen(types=("a.*",)) == events[:2]
    assert chosen(types=("a.c", "*.e")) == [events[1], events[3]]
    assert chosen(ids=(events[2],)) == [events[2]]
    assert chosen(since=END) == []
    assert chosen(until="2000-01-01T00:00:00.000000Z") == []


def test_an_interrupted_replay_goes_on_without_doubling(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"', "# from: now")
    bench.drain()
    ids = [bench.emit("a.b") for _ in range(20)]

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(bench, replay_of(), interrupt, Pace(None, 1.0, CLOCK.monotonic_s()))
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID $EVENT_REPLAYOF" >>"$OUT"', "# from: now")
    assert replays.find(bench.home, "weekly").asked == 1
    assert ask(bench, replay_of()).asked == 20
    assert ask(bench, replay_of()).asked == 20
    bench.drain()
    assert sorted(line for line in bench.said() if "weekly" in line) == [
        f"{each} weekly" for each in ids
    ]


def test_a_replay_survives_the_index_and_the_dispatcher(bench):
    handler = bench.shell("on-a-b.sh", "[[ ! $EVENT_REPLAYOF ]] || exit 75")
    bench.emit("a.b")
    bench.drain()
    ask(bench, replay_of())
    bench.drain()
    for file in bench.home.state.iterdir():
        if file.is_file():
            file.unlink()
    pending = load_ledger(bench.home, None).handlers["on-a-b.sh"].pending.values()
    assert [(each.replay, each.attempt) for each in pending] == [("weekly", 1)]
    handler.write_text('#!/bin/bash\necho "$EVENT_REPLAYOF $EVENT_ATTEMPT" >>"$OUT"\n')
    bench.run_until(bench.said)
    assert bench.said() == ["weekly 2"]


def test_no_more_is_asked_for_than_may_wait(bench, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 7)
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID $EVENT_REPLAYOF" >>"$OUT"')
    ids = [bench.emit("a.b") for _ in range(20)]
    for asked in (7, 14):
        with pytest.raises(NoRoom):
            ask(bench, replay_of())
        assert replays.find(bench.home, "weekly").asked == asked
        bench.drain()
    ask(bench, replay_of())
    bench.drain()
    assert [line for line in bench.said() if "weekly" in line] == [f"{e} weekly" for e in ids]


def test_a_running_dispatcher_makes_room(bench, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    bench.shell("on-a-b.sh", 'echo "$EVENT_REPLAYOF" >>"$OUT"')
    for _ in range(20):
        bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            ask(bench, replay_of(), lambda _: dispatcher.drain())
            dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said().count("weekly") == 20
    assert dispatcher.roster.listeners["on-a-b.sh"].subscription._replays == set()


def test_who_asks_for_a_paused_handler_does_not_wait_for_ever(bench, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    bench.shell("on-a-b.sh", "exit 78")
    for _ in range(9):
        bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        dispatcher.drain()
        with pytest.raises(NoRoom, match=r"hookline handlers resume on-a-b.sh$"):
            ask(bench, replay_of(), lambda _: dispatcher.drain())
    finally:
        dispatcher.close()
    assert replays.find(bench.home, "weekly").asked == 4


@pytest.mark.parametrize("how", ["gone", "refused", "refused: .* chmod go-w", "cannot be run"])
def test_who_asks_behind_a_handler_that_does_nothing_does_not_wait_for_ever(
    bench, monkeypatch, how
):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    bench.shell("on-a-b.sh", "true")
    for _ in range(9):
        bench.emit("a.b")
    bench.drain()
    if how == "gone":
        bench.home.handlers.joinpath("on-a-b.sh").unlink()
    elif how == "refused":
        bench.shell("on-a-b.sh", "true", "# timeout: never")
    elif "chmod" in how:
        bench.home.handlers.chmod(0o777)
    else:
        bench.shell("on-a-b.sh", "exit 126")
    dispatcher = bench.dispatcher()
    ends_s = time.monotonic() + 60

    def look(_):
        assert time.monotonic() < ends_s
        dispatcher.drain()

    try:
        with pytest.raises(NoRoom, match=f"on-a-b.sh (is )?{how}"):
            ask(bench, replay_of(), look)
    finally:
        dispatcher.close()
    assert replays.find(bench.home, "weekly").asked == 4


def test_who_asks_gives_up_when_nothing_moves_for_a_minute_whatever_the_reason(bench, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    works = "# run: python\nfrom hookline import on\n@on('a.b')\ndef f(event): pass\n"
    bench.handler("on-a-b.py", works)
    for _ in range(9):
        bench.emit("a.b")
    bench.drain()
    # A refusal that only its dispatcher knows of.
    bench.handler("on-a-b.py", "# run: python\nimport no_such_module\n")
    dispatcher = bench.dispatcher()
    dispatcher.drain()
    waited_s = []
    try:
        with pytest.raises(NoRoom, match="has done nothing for 60 s: see hookline handlers"):
            ask(bench, replay_of("on-a-b.py"), lambda s: dispatcher.drain() or waited_s.append(s))
    finally:
        dispatcher.close()
    assert 60 < sum(waited_s) < 61
    assert replays.find(bench.home, "weekly").asked == 4


def runs_in_index(bench):
    with contextlib.closing(State(bench.home.state / STATE_FILE, readonly=True)) as state:
        return state.replays("on-a-b.sh")[1]


def test_who_asks_waits_for_as_long_as_something_runs(bench, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    monkeypatch.setattr(asks, "STILL_S", 0.0)
    bench.shell("on-a-b.sh", 'until [[ -e "$HOOKLINE_HOME/go" ]]; do read -rt 0.01 <><(:); done')
    for _ in range(9):
        bench.emit("a.b")
    dispatcher = bench.dispatcher()
    looks = []

    def look(_):
        looks.append(bench.home.root)
        if len(looks) > 20:
            bench.home.root.joinpath("go").touch()
            dispatcher.drain()
        dispatcher.tick(0.01)

    try:
        with dispatcher.signals():
            while not runs_in_index(bench):
                dispatcher.tick(0.01)
            assert ask(bench, replay_of(), look).asked == 9
    finally:
        dispatcher.close()


@pytest.mark.parametrize("how", ["paused", "gone", "held"])
def test_a_handler_that_is_stopped_keeps_no_other_from_its_replays(bench, monkeypatch, how):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    bench.shell("on-a-b.sh", "exit 78" if how == "paused" else "exit 126")
    bench.shell("on-a.sh", 'echo "$EVENT_REPLAYOF" >>"$OUT"', "# on: a.*")
    for _ in range(9):
        bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        dispatcher.drain()
        if how == "gone":
            bench.home.handlers.joinpath("on-a-b.sh").unlink()
        with pytest.raises(NoRoom):
            ask(bench, replay_of(), lambda _: dispatcher.drain())
        with dispatcher.signals():
            ask(bench, replay_of("on-a.sh", name="daily"), lambda _: dispatcher.drain())
            dispatcher.drain()
    finally:
        dispatcher.close()
    assert bench.said().count("daily") == 9
    with pytest.raises(NoRoom, match=r"on-a-b\.sh"):
        ask(bench, replay_of())


def test_as_many_as_may_wait_are_no_trouble_when_that_is_all(bench, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 4)
    bench.shell("on-a-b.sh", "true")
    for _ in range(4):
        bench.emit("a.b")
    bench.drain()
    assert ask(bench, replay_of()).asked == 4


def test_replays_of_a_key_keep_out_of_each_others_way(bench):
    bench.shell(
        "on-a-b.sh",
        'k=$(jq -r .data.k "$1"); mkdir "$HOOKLINE_HOME/$k" || exit 65; echo "$k" >>"$OUT"; '
        'rmdir "$HOOKLINE_HOME/$k"',
        "# key: data.k   concurrency: 8",
    )
    for n in range(30):
        bench.emit("a.b", {"k": n % 3})
    ask(bench, replay_of())
    bench.drain()
    assert len(bench.said()) == 60
    assert bench.letters() == []


def test_an_event_whose_segment_is_gone_becomes_a_letter_that_says_so(bench):
    bench.shell("on-a-b.sh", 'echo "$EVENT_ID" >>"$OUT"')
    bench.emit("a.b")
    bench.drain()
    ask(bench, replay_of())
    rotate(bench.home, "a")
    bench.emit("a.b")
    rotate(bench.home, "a")
    bench.home.segments.joinpath("a-events.00000001.jsonl").unlink()
    bench.drain()
    (letter,) = bench.letters()
    assert letter["error"] == "its line is not in the log any more"
    assert letter["letter"].endswith(":weekly")
    assert letter["replayof"] == "weekly"


def test_one_that_was_given_up_and_is_begun_again_is_not_over(bench):
    begun = replays.begin(bench.home, replay_of(), CLOCK)
    for over in (True, False):
        (replays.finish if over else replays.begin)(bench.home, begun.replay, CLOCK)
        assert replays.find(bench.home, "weekly").is_over == over


def test_one_at_a_time_asks_under_a_name(bench):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with replays.alone(bench.home, "weekly"):
            os.write(write, b"x")
            signal.pause()
        os._exit(0)
    try:
        os.read(read, 1)
        with pytest.raises(TryAgain, match="weekly"), replays.alone(bench.home, "weekly"):
            pass
        with replays.alone(bench.home, "daily"):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("name", ["", "Weekly", "7", "on-a.sh:e", "x" * 65, "a b"])
def test_a_name_that_could_be_taken_for_a_letter_is_refused(name):
    with pytest.raises(BadData, match="name of a replay"):
        replay_of(name=name)


def test_a_preview_counts(bench):
    for type in ("a.b", "a.b", "a.c"):
        bench.emit(type)
    begun = Begun(replay=replay_of())
    told = replays.preview(replays.chosen(bench.home, begun, pytest.fail))
    assert (told.events, dict(told.types)) == (3, {"a.b": 2, "a.c": 1})
    first, *_, last = (json.loads(x)["time"] for x in bench.home.live("a").read_text().splitlines())
    assert (told.first, told.last) == (first, last)


def test_the_state_that_is_deleted_meanwhile_takes_no_lock_with_it(bench, monkeypatch):
    monkeypatch.setattr(replays, "LOCK_WAIT_S", 0.0)
    with replays.none_goes(bench.home):
        shutil.rmtree(bench.home.state, ignore_errors=True)
        bench.home.state.mkdir()
        with pytest.raises(TryAgain, match="being replayed"), replays.none_begins(bench.home):
            pass
