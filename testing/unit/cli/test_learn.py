"""`hookline learn` as its users call it."""

import json

import pytest

from hookline.cli.main import main
from hookline.log.log import Log


@pytest.fixture
def learn(home, capsys):
    """Calls the command; what it printed, and how it ended."""

    def call(*arguments, status=0):
        assert main(["learn", *arguments]) == status
        out, call.err = capsys.readouterr()
        return out

    call.home = home
    call.folder = home.coordination / "moe-learning"
    return call


def work(home, expert="dev"):
    log = Log(home)
    log.append("routing.decision_made", source="t", data={"task_id": "t", "master": expert})
    log.append("task.completed", source="t", data={"task_id": "t"})


def request(learn, data):
    event = Log(learn.home).append("learning.cycle_requested", source="t", data=data)
    path = learn.home.root / event.id
    path.write_bytes(learn.home.live("learning").read_bytes().splitlines()[-1])
    return str(path)


def test_a_cycle_is_told_in_a_line_and_its_report_shown(learn):
    work(learn.home)
    out = learn()
    assert "daily: 1 decision, 1 outcome, 1 expert, 0 patterns; coordination/moe-learning/" in out
    assert learn("report").startswith("# Learning, ")
    (line,) = learn("--json").splitlines()
    assert json.loads(line)["outcomes"] == 1
    (line,) = learn("report", "--json").splitlines()
    assert json.loads(line)["experts"]["dev"]["successes"] == 1


def test_the_report_of_a_day(learn):
    learn("--for", "2020-01-02")
    learn()
    assert learn("report", "--for", "2020-01-02").startswith("# Learning, 2020-01-02\n")
    assert not learn("report").startswith("# Learning, 2020-01-02\n")


def test_a_report_on_a_terminal_obeys_nobody(learn):
    work(learn.home)
    learn()
    (page,) = (learn.folder / "reports").iterdir()
    page.write_text("a\x1b]52;c\x07b\n")
    assert learn("report") == "a\\u001b]52;c\\u0007b\n"


def test_without_a_report_it_says_what_makes_one(learn):
    for arguments in (["report"], ["report", "--json"], ["report", "--for", "2020-01-01"]):
        assert learn(*arguments, status=65) == ""
        assert learn.err.startswith("hookline learn: there is no '")
        assert learn.err.endswith(": hookline learn makes one\n")


def test_only_since_a_time(learn):
    work(learn.home)
    assert json.loads(learn("--since", "1h", "--json"))["decisions"] == 1
    assert json.loads(learn("--since", "0s", "--json"))["decisions"] == 0


def test_for_a_request_it_is_silent_and_runs_once(learn):
    file = request(learn, {"cycle_type": "weekly"})
    assert (learn("--event", file), learn.err) == ("", "")
    before = learn.home.live("learning").read_bytes()
    assert (learn("--event", file, "--json"), learn.err) == ("", "")
    assert learn.home.live("learning").read_bytes() == before


def test_how_it_stands_with_the_day(learn):
    assert learn("status", "--for", "2020-01-01") == ("DATE\tSTATE\tREQUESTS\n2020-01-01\tdue\t0\n")
    learn()
    assert json.loads(learn("status", "--json"))["state"] == "done"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--for", "2020-02-30"], 65), (["--for", "9999-01-01"], 65), (["--type", "A"], 65),
        (["report", "--for", "../x"], 65), (["status", "--for", "x"], 65),
        (["--event", "/nonexistent"], 65), (["--event", "x", "--for", "2020-01-01"], 64),
        (["report", "--since", "1h"], 64), (["report", "--json", "--for", "2020-01-01"], 64),
        (["status", "--event", "x"], 64), (["--since", "soon"], 64), (["--for", ""], 64),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_in_a_line_and_nothing_is_written(learn, arguments, status):
    learn(*arguments, status=status)
    assert learn.err.count("\n") == 1
    assert not learn.folder.exists()
    assert not learn.home.live("learning").exists()
