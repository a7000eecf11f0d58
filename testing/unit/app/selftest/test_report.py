"""The verdict on a storm: whatever is taken away from a good history is seen."""

import json

import pytest

from hookline.app.selftest.handlers import HANDLERS
from hookline.app.selftest.place import place_below
from hookline.app.selftest.report import file_system, judge
from hookline.app.selftest.storm import Plan, Tally, notes_folder
from hookline.log.append import append_event
from hookline.log.rotate import rotate
from hookline.model.errors import BadConfig, CannotCreate

PLAN = Plan(seed=7, lasts_s=1.0)
FIRST, SECOND = (
    {
        "id": identity,
        "source": "append",
        "type": "storm.task",
        "time": "2026-11-21T00:00:00.000000Z",
        "data": b'{"n":1,"k":"k0","fails":0}',
    }
    for identity in ("first", "second")
)


def note(path, *lines):
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def forget(path, word):
    path.write_text("".join(x for x in path.read_text().splitlines(True) if word not in x))


@pytest.fixture
def runs(home):
    """The handlers' notes, by their names; two events were appended, handled and noted."""
    notes_folder(home).mkdir()
    note(notes_folder(home) / "append", "try first storm.task", "first storm.task")
    note(notes_folder(home) / "batch", "second storm.task")
    append_event(home.root, FIRST)
    rotate(home, "storm")
    append_event(home.root, SECOND)
    found = {}
    for name in HANDLERS:
        key = "all" if name == "on-storm.py" else "k0"
        found[name] = home.root / f"{name}.runs"
        for begun, event in ((100, "first"), (200, "second")):
            ran = f"begin {event} {key} 1 {begun}", f"end {event} {key} 1 {begun + 50} 0"
            note(found[name], *ran)
    return found


@pytest.mark.usefixtures("runs")
def test_a_good_history_is_counted(home):
    report = judge(home, PLAN, Tally(starts=[90], kills=[80]))
    assert report.problems == []
    assert (report.seed, report.acknowledged, report.logged, report.delivered) == (7, 2, 2, 8)
    assert (report.lost, report.doubled, report.order_violations) == (0, 0, 0)
    assert report.recovery_s_max == pytest.approx(0.0, abs=0.01)


def test_an_event_that_one_of_the_handlers_never_had_is_lost(home, runs):
    forget(runs["on-storm.py"], "second")
    report = judge(home, PLAN, Tally())
    assert report.lost == 1
    assert report.problems == ["on-storm.py: lost: second"]


def test_a_dead_letter_of_another_handler_saves_no_event(home, runs):
    forget(runs["on-storm.py"], "second")
    letter = {"handler": "on-storm-task.sh", "event": {"id": "second"}}
    note(home.dead_letters, json.dumps(letter))
    assert judge(home, PLAN, Tally()).lost == 1
    note(home.dead_letters, json.dumps({**letter, "handler": "on-storm.py"}))
    assert judge(home, PLAN, Tally()).lost == 0


def test_a_second_run_is_explained_by_a_kill_only(home, runs):
    again = "begin second all 1 2000300", "end second all 1 2000310 0"
    note(runs["on-storm.py"], *again)
    assert judge(home, PLAN, Tally(kills=[210])).problems == []
    report = judge(home, PLAN, Tally(kills=[3000000]))
    assert report.doubled == 1
    assert report.problems == ["on-storm.py: second ran again, and nobody had been killed"]


def test_another_order_than_that_of_the_log_is_seen(home, runs):
    swapped = runs["on-storm.py"].read_text().splitlines()
    runs["on-storm.py"].write_text(
        "\n".join(x.replace(" 1 1", " 1 3") if "first" in x else x for x in swapped) + "\n"
    )
    report = judge(home, PLAN, Tally())
    assert report.order_violations == 1
    assert report.problems == ["on-storm.py: key all: events began out of order"]


@pytest.mark.usefixtures("runs")
def test_torn_lines_and_those_that_are_set_aside_must_be_as_many(home):
    with home.live("storm").open("a") as log:
        log.write('{"specversion":"1.0","id":"torn\n')
    report = judge(home, PLAN, Tally(torn=1))
    assert report.problems == ["1 lines were torn, 1 are read so, 0 are set aside"]
    (home.rejected / "storm-events.00000002.5.json").touch()
    assert judge(home, PLAN, Tally(torn=1)).problems == []


def test_a_torn_end_of_a_closed_segment_is_read_too(home):
    with home.live("storm").open("a") as log:
        log.write('{"specversion":"1.0","id":"torn')
    rotate(home, "storm")
    (home.rejected / "storm-events.00000001.0.json").touch()
    notes_folder(home).mkdir()
    assert judge(home, PLAN, Tally(torn=1)).problems == []


@pytest.mark.usefixtures("runs")
def test_what_went_wrong_on_the_way_is_a_problem(home):
    assert judge(home, PLAN, Tally(problems=["a writer ended"])).problems == ["a writer ended"]


def test_the_file_system_is_named_by_its_mount(tmp_path):
    assert file_system(tmp_path) not in ("", "?")
    assert file_system(tmp_path.__class__("/proc/self")) == "proc"


def test_a_place_is_removed_unless_it_is_kept(tmp_path):
    with place_below(tmp_path) as place:
        assert place.home.handlers.is_dir()
    assert list(tmp_path.iterdir()) == []
    with place_below(tmp_path) as place:
        place.keep = True
    assert list(tmp_path.iterdir()) == [place.home.root]
    assert not (place.home.root / "throw-away").exists()


def test_a_place_is_removed_when_it_goes_wrong(tmp_path):
    with pytest.raises(ZeroDivisionError), place_below(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_no_place_where_there_is_no_folder_or_everybody_may_write(tmp_path):
    with pytest.raises(CannotCreate, match="--dir"), place_below(tmp_path / "none"):
        raise AssertionError
    tmp_path.chmod(0o777)
    with pytest.raises(BadConfig, match="--dir"), place_below(tmp_path):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []
