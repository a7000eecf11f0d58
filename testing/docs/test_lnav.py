"""The formats for lnav, by lnav itself, and what the page says of them."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from hookline.log.log import Log
from hookline.model.event import decode

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ROOT / "share/lnav/hookline.json"
PAGE = (ROOT / "docs/howto/read-with-lnav.md").read_text()
JOURNAL = {
    "action": "attempt", "time": "2026-11-21T22:53:01.045242Z", "handler": "on-a.sh", "domain": "a",
    "segment": 1, "offset": 0, "event": "e1", "source": "s", "type": "a.b", "attempt": 1,
    "verdict": "failed", "exit": 1, "ms": 68.4, "then": "retry", "error": "no luck",
}  # fmt: skip


@pytest.fixture
def lnav(tmp_path):
    """Runs lnav with our formats and no others of ours."""
    shutil.copytree(FORMATS.parent, tmp_path / "lnav/formats/hookline")

    def call(*arguments):
        done = subprocess.run(
            ["lnav", "-n", "-I", tmp_path / "lnav", *arguments],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=50,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return call


@pytest.fixture(autouse=True)
def log(home):
    """A log with a few failures, a journal and a dead letter."""
    log = Log(home)
    for source, error in (("night", "timeout"), ("night", "disk"), ("day", "disk")):
        log.append("task.failed", source=source, data={"error_type": error}, priority="high")
    home.deliveries.write_text(json.dumps(JOURNAL) + "\n")
    letter = {
        **JOURNAL,
        "letter": "on-a.sh:e1~0123abcd",
        "fingerprint": "0123456789",
        "attempts": 5,
    }
    home.dead_letters.write_text(json.dumps(letter) + "\n")
    return log


def test_the_formats_are_what_lnav_takes(lnav):
    assert lnav("-C") == ""


def test_an_event_is_a_line_that_says_what_where_and_with_what(lnav, home):
    lines = lnav(home.live("task")).splitlines()
    assert [line.split(maxsplit=4)[2:] for line in lines] == [
        ["task.failed", "night", '{"error_type":"timeout"}'],
        ["task.failed", "night", '{"error_type":"disk"}'],
        ["task.failed", "day", '{"error_type":"disk"}'],
    ]


def test_an_attempt_and_a_dead_letter_say_what_went_wrong(lnav, home):
    assert re.search(r"failed +on-a\.sh +a\.b +e1 no luck", lnav(home.deliveries))
    assert re.search(r"0123456789 on-a\.sh +failed +no luck", lnav(home.dead_letters))


def test_a_segment_that_was_closed_is_read_as_the_log_is(lnav, log, home):
    log.rotate("task")
    (segment,) = home.segments.iterdir()
    assert lnav(segment).count("task.failed") == 3


def test_priorities_and_verdicts_are_levels(lnav, home):
    for path, level in ((home.live("task"), "warning"), (home.deliveries, "error")):
        shown = lnav(
            "-c", ";select distinct log_level from all_logs", "-c", ":write-csv-to -", path
        )
        assert shown.split() == ["log_level", level]


def test_what_the_page_asks_is_answered(lnav, home):
    typed = re.findall(
        r"^lnav -n .*?(?:deliveries\.jsonl|events/)$", PAGE, re.DOTALL | re.MULTILINE
    )
    answers = [
        lnav(*[word.replace("coordination/", f"{home.coordination}/") for word in words[2:]])
        for words in map(shlex.split, typed)
    ]
    assert [sorted(answer.split()) for answer in answers] == [
        ["day,disk,1", "night,disk,1", "night,timeout,1", "source,error,times"],
        ["handler,verdict,runs,ms", "on-a.sh,failed,1,68"],
    ]


def test_the_samples_are_events_of_ours():
    formats = json.loads(FORMATS.read_text())
    assert decode(formats["hookline_event"]["sample"][0]["line"].encode()).type == "daemon.started"
