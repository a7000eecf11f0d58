"""What the bench says of a run, and that a run comes to its end without any peer."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from testing.bench import page
from testing.bench.curve import Curve, Panel
from testing.bench.figure import (
    OURS,
    QUICK,
    Failed,
    Figure,
    NotThere,
    Paced,
    Result,
    Target,
)
from testing.bench.growth import GROWTH
from testing.bench.load import CHECKOUT

SVG = "{http://www.w3.org/2000/svg}"


def figure(contenders, targets=(), **more):
    return Figure(
        name="f", title="F", unit="events/s", contenders=contenders, targets=targets, **more
    )


def result(targets=(), **values):
    names = {"ours": OURS}
    given = {names.get(name, name): list(rounds) for name, rounds in values.items()}
    return Result(figure=figure(dict.fromkeys(given, lambda: 0.0), targets), values=given)


def curve(*lines):
    panel = Panel(title="cost of an event", unit="µs", lines=dict(lines))
    return Curve(name="c", title="A <curve>", along="events", panels=(panel,))


def test_contenders_take_turns():
    turns = []
    contenders = {name: lambda name=name: turns.append(name) or 1.0 for name in (OURS, "a", "b")}
    figure(contenders).run(replace(QUICK, rounds=2), print)
    assert turns == [OURS, "a", "b", OURS, "a", "b"]


@pytest.mark.parametrize("error", [NotThere, Failed])
def test_a_contender_that_is_not_there_is_told_and_the_others_are_measured(error):
    def gone():
        raise error("get it there")

    done = figure(
        {OURS: lambda: 8000.0, "peer": gone, "other": lambda: 2000.0},
        (Target(at=">=", bound=4, against="peer"), Target(at=">=", bound=4, against="other")),
    ).run(QUICK, print)
    assert [row[3:7] for row in page.table([done], [])[1:]] == [
        ("get it there", "", ">= 4 x peer", "not measured"),
        ("2 k/s", "4.00", ">= 4 x other", "yes"),
    ]


def test_the_next_measurement_is_as_long_as_the_last_one_says():
    counts = []
    paced = Paced(lambda count: counts.append(count) or 500.0, "events/s", 1000, 0.5)
    paced()
    paced()
    assert counts == [500, 250]


def test_a_ratio_is_taken_within_each_round():
    # The machine was ten times slower in the last round, for both.
    assert result(ours=(200, 220, 20), peer=(100, 100, 10)).ratio("peer") == 2.0


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        (Target(at=">=", bound=2, against="peer"), True),
        (Target(at=">=", bound=2.1, against="peer"), False),
        (Target(at="<=", bound=200), True),
        (Target(at="<=", bound=199), False),
        (Target(at=">=", bound=2, against="nobody"), None),
    ],
)
def test_a_target_is_reached_missed_or_not_measured(target, reached):
    assert result(ours=(200,), peer=(100,)).reached(target) is reached


def test_a_backlog_has_to_be_quick_small_and_flat():
    lines = {
        page.COST: {10**4: 10.0, 10**6: 12.1},
        page.FIRST: {10**4: 0.5, 10**6: 1.1},
        page.MEMORY: {10**4: 20.0, 10**6: 90.0},
    }
    panels = [Panel(title=of, unit="", lines={page.PROCESSOR: lines[of]}) for of in lines]
    events = Curve(name="events", title="", along="", panels=tuple(panels))
    assert [(row[1], row[6]) for row in page.table([], [events])[1:]] == [
        ("1.10 s", "no"),
        ("90 MB", "yes"),
        ("1.21 x the cheapest", "no"),
    ]


def test_what_is_written_by_hand_survives():
    text = "by hand\n<!-- measured: a -->\nold\n<!-- end -->\nmore by hand\n"
    assert page.put(text, {"a": r"new \1"}) == text.replace("old", r"new \1")
    with pytest.raises(KeyError):
        page.put(text, {"b": ""})


def test_the_page_has_a_place_for_all_that_is_measured():
    names = [*page.sections(QUICK, {}, [], []), *GROWTH]
    page.put(page.PAGE.read_text(), dict.fromkeys(names, ""))


def test_a_cell_cannot_break_a_table():
    assert page.as_markdown([("a", "b"), ("x|y", "z")]).splitlines()[2] == "| x\\|y | z |"


def test_a_picture_is_xml_and_tells_each_point():
    svg = ET.fromstring(curve(("one", {10: 1.0, 1000: 4.0}), ("two", {10: 2.0})).svg())  # our own
    assert svg.find(f"{SVG}title").text == "A <curve>"
    told = [each.text for each in svg.iter(f"{SVG}title")][1:]
    assert told == ["one: 1 µs at 10", "one: 4 µs at 1k", "two: 2 µs at 10"]


def test_in_a_picture_more_is_higher_and_later_is_further_right():
    svg = ET.fromstring(curve(("one", {10: 1.0, 100: 10.0, 1000: 100.0})).svg())  # our own
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in svg.iter(f"{SVG}circle")]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x0 < x1 < x2
    assert y0 > y1 > y2
    # Logarithmic: as far from 1 to 10 as from 10 to 100.
    assert abs((x1 - x0) - (x2 - x1)) < 0.2
    assert abs((y0 - y1) - (y1 - y2)) < 0.2


def test_a_run_comes_to_its_end_without_any_peer(tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("bash", "df", "git"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [sys.executable, "-m", "testing.bench", "--quick", "--json", "--folder", str(tmp_path),
         "--only", "emit-command", "--only", "drain-batch", "--only", "growth-writers"],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    figures = {each["name"]: each for each in said["figures"]}
    assert figures["emit-command"]["values"][OURS][0] > 0
    assert figures["emit-command"]["targets"][0]["reached"] is None
    assert "redis-cli is not there" in figures["emit-command"]["missing"]["redis-cli XADD"]
    assert figures["drain-batch"]["values"][OURS][0] > 0
    appended_us = said["curves"][0]["panels"][0]["lines"]["append"]
    assert list(appended_us) == ["1", "2", "4", "8", "16", "32", "64"]
    assert {each.name for each in tmp_path.iterdir()} == {"bin"}
