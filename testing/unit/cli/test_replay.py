"""`hookline replay`: events of the past, once more, to one handler."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from hookline.cli import replay as cli
from hookline.cli.main import main
from hookline.cli.replay import positive
from hookline.dispatch import asks, replays
from hookline.log.rotate import rotate, rotate_stream
from hookline.log.stream import Stream
from hookline.model.errors import Usage
from testing.unit.app.archives import archive

SOURCE = Path(__file__).resolve().parents[3] / "src"

NOTING = '#!/bin/bash\n# on: a.*\necho "$EVENT_ID $EVENT_REPLAYOF" >>"$HOOKLINE_HOME/out"\n'


@pytest.fixture
def logged(home):
    """A home with four events, three of which a handler wants and has had."""
    home.handlers.joinpath("on-a.sh").write_text(NOTING)
    home.handlers.joinpath("on-a.sh").chmod(0o750)
    for number, type in enumerate(("a.b", "a.b", "a.c", "d.e")):
        main(["emit", type, "--id", f"e{number}"])
    main(["dispatch", "--once"])
    home.root.joinpath("out").unlink()
    return home


def run(capsys, *arguments):
    """The exit status, stdout and stderr."""
    capsys.readouterr()
    status = main(["replay", *arguments])
    return status, *capsys.readouterr()


def delivered(home):
    assert main(["dispatch", "--once"]) == 0
    out = home.root / "out"
    return out.read_text().splitlines() if out.exists() else []


def test_the_preview_counts_and_a_dry_run_ends_there(logged, capsys):
    before = logged.deliveries.read_bytes()
    status, out, _ = run(capsys, "--to", "on-a.sh", "--dry-run")
    assert status == 0
    assert out.splitlines()[0] == "3 events for on-a.sh"
    assert out.splitlines()[2:] == ["         2  a.b", "         1  a.c"]
    assert logged.deliveries.read_bytes() == before
    assert delivered(logged) == []


def test_what_the_handler_wants_is_delivered_again_and_marked(logged, capsys):
    status, out, err = run(capsys, "--to", "on-a.sh", "--name", "again")
    assert status == 0
    assert "asked for 3 of 3 events as again" in out
    assert "hookline dispatch --once delivers them" in err
    assert delivered(logged) == [f"e{n} again" for n in range(3)]
    capsys.readouterr()
    assert main(["explain", "e1"]) == 0
    assert ", the replay of again" in capsys.readouterr().out


@pytest.mark.usefixtures("logged")
def test_a_paused_handler_has_to_be_resumed_before_it_gets_them(capsys):
    main(["handlers", "pause", "on-a.sh"])
    status, out, err = run(capsys, "--to", "on-a.sh", "--name", "again")
    assert status == os.EX_TEMPFAIL
    assert "asked for 3 of 3 events as again" in out
    assert err == (
        "hookline replay: on-a.sh is paused (by hand): hookline handlers resume on-a.sh\n"
    )


@pytest.mark.parametrize(
    ("choice", "events"),
    [
        (["--type", "a.c"], ["e2"]),
        (["--type", "a.c", "--type", "a.b"], ["e0", "e1", "e2"]),
        (["--id", "e1"], ["e1"]),
        (["--id", "e1", "--id", "e2"], ["e1", "e2"]),
        (["--type", "d.*"], []),
        (["--until", "1h"], []),
        (["--since", "1h"], ["e0", "e1", "e2"]),
    ],
)
def test_events_are_chosen(logged, capsys, choice, events):
    status, out, _ = run(capsys, "--to", "on-a.sh", "--name", "x", *choice, "--json")
    assert status == 0
    told = json.loads(out)
    assert (told["replay"], told["handler"]) == ("x", "on-a.sh")
    assert (told["events"], told["asked"]) == (len(events), len(events))
    assert delivered(logged) == [f"{event} x" for event in events]


def test_a_replay_goes_on_by_its_name_and_the_same_again_adds_nothing(logged, capsys, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    command = ["--to", "on-a.sh", "--name", "weekly"]
    status, out, err = run(capsys, *command)
    assert status == os.EX_TEMPFAIL
    assert "asked for 2 of 3" in out
    assert "then hookline replay --resume weekly" in err
    main(["emit", "a.b", "--id", "late"])
    assert len(delivered(logged)) == 3
    assert run(capsys, "--resume", "weekly")[0] == 0
    assert [line for line in delivered(logged) if "weekly" in line] == [
        f"e{n} weekly" for n in range(3)
    ]
    assert len(delivered(logged)) == 4


@pytest.mark.parametrize("more", [[], ["--type", "a.b"], ["--since", "1h"], ["--dry-run"]])
def test_a_name_is_one_replays_alone(logged, capsys, monkeypatch, more):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    command = ["--to", "on-a.sh", "--name", "weekly", *more]
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    status, out, err = run(capsys, *command)
    assert (status, out) == (os.EX_USAGE, "")
    assert (
        "the replay weekly was begun: hookline replay --resume weekly (or --end weekly); "
        "or choose another --name"
    ) in err
    run(capsys, "--end", "weekly")
    status, out, err = run(capsys, *command)
    assert (status, out) == (os.EX_USAGE, "")
    assert "the replay weekly is over: choose another --name" in err
    assert delivered(logged) == ["e0 weekly", "e1 weekly"]


def test_a_replay_that_is_over_is_not_resumed(logged, capsys):
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    before = logged.deliveries.read_bytes()
    status, out, err = run(capsys, "--resume", "weekly")
    assert (status, out) == (os.EX_USAGE, "")
    assert "is over" in err
    assert logged.deliveries.read_bytes() == before


@pytest.mark.parametrize(
    ("which", "options"),
    [
        ("--resume", [["--since", "1h"], ["--until", "1h"], ["--to", "on-a.sh"], ["--id", "e0"],
                      ["--type", "a.b"], ["--name", "x"]]),
        ("--end", [["--dry-run"], ["--resume", "weekly"], ["--yes"], ["--rate", "1"],
                   ["--speed", "1"], ["--to", "on-a.sh"], ["--since", "1h"]]),
    ],
)  # fmt: skip
def test_to_go_on_and_to_end_take_nothing_that_they_would_pass_over(
    logged, capsys, monkeypatch, which, options
):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    before = logged.deliveries.read_bytes()
    for option in options:
        status, out, err = run(capsys, which, "weekly", *option)
        assert (status, out) == (os.EX_USAGE, "")
        assert f"{which} takes no {option[0]}:" in err
    assert logged.deliveries.read_bytes() == before


@pytest.mark.usefixtures("logged")
def test_the_status_names_the_replays_that_are_not_over(capsys, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    run(capsys, "--to", "on-a.sh", "--name", "over", "--id", "e0")
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    main(["dispatch", "--once"])
    capsys.readouterr()
    assert main(["status"]) == os.EX_TEMPFAIL
    line = (
        "the replay weekly to on-a.sh is not over, 1 event asked for: "
        "hookline replay --resume weekly (or --end weekly)"
    )
    assert line in capsys.readouterr().out
    assert main(["status", "--json"]) == os.EX_TEMPFAIL
    told = json.loads(capsys.readouterr().out)
    assert told["needs"] == [line]
    assert told["replays"] == [
        {
            "replay": "weekly", "handler": "on-a.sh", "asked": 1, "is_asked_for": False,
            "next": "hookline replay --resume weekly (or --end weekly)",
        }
    ]  # fmt: skip
    run(capsys, "--resume", "weekly")
    main(["dispatch", "--once"])
    assert main(["status"]) == 0


def test_ctrl_c_says_how_to_go_on(logged, capsys, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(replays.ask, "__kwdefaults__", {"sleep": interrupt})
    status, _, err = run(capsys, "--to", "on-a.sh", "--name", "slow", "--rate", "1/s")
    assert status == 130
    assert "asked for 1 of 3 events; to go on: hookline replay --resume slow" in err
    monkeypatch.undo()
    monkeypatch.setenv("HOOKLINE_HOME", str(logged.root))
    assert run(capsys, "--resume", "slow")[0] == 0
    assert delivered(logged) == [f"e{n} slow" for n in range(3)]


def test_a_handler_that_is_gone_is_said_and_nothing_is_asked(logged, capsys, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    run(capsys, "--to", "on-a.sh", "--name", "gone")
    before = logged.deliveries.read_bytes()
    logged.handlers.joinpath("on-a.sh").unlink()
    for arguments in (["--to", "on-a.sh"], ["--resume", "gone"]):
        status, _, err = run(capsys, *arguments)
        assert status == os.EX_USAGE
        assert "no handler 'on-a.sh'" in err
        assert "(is it gone?)" in err
    assert logged.deliveries.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--resume", "nothing"],
        ["--to", "on-a.sh", "--speed", "0"],
        ["--to", "on-a.sh", "--since", "soon"],
        ["--to", "on-a.sh", "--since", "1h", "--until", "2h"],
        ["--to", "on-a.sh", "--type", "A"],
        ["--to", "on-a.sh", "--name", "A"],
    ],
)
def test_what_cannot_be_meant_is_said(logged, capsys, arguments):
    assert run(capsys, *arguments)[0] == os.EX_USAGE
    assert delivered(logged) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until", "1h"], "on-a.sh wants a.*; no event ever and before "),
        (["--type", "d.e"], "on-a.sh wants a.*, --type is d.e; no event ever and before "),
    ],
)
def test_where_nothing_is_chosen_the_reason_is_said(logged, capsys, arguments, words):
    status, out, err = run(capsys, "--to", "on-a.sh", *arguments)
    assert (status, out) == (0, "0 events for on-a.sh\n")
    assert words in err
    assert delivered(logged) == []


def test_an_event_that_is_not_found_is_named_and_the_others_are_asked_for(
    logged, capsys, monkeypatch
):
    monkeypatch.setattr(asks, "OPEN_MAX", 1)
    options = [part for each in ("e0", "e1", "e3", "nope") for part in ("--id", each)]
    status, out, err = run(capsys, "--to", "on-a.sh", "--name", "some", *options)
    assert status == os.EX_DATAERR
    assert "asked for 1 of 2 events as some" in out
    assert re.search(r"among what on-a.sh wants ever and before \S+Z: 'e3', 'nope': ", err)
    delivered(logged)
    status, out, err = run(capsys, "--resume", "some", "--json")
    assert (status, json.loads(out)["troubles"]) == (0, [])
    assert delivered(logged) == ["e0 some", "e1 some"]


def test_a_damaged_segment_is_named_once_and_the_rest_is_asked_for(logged, capsys):
    rotate_stream(Stream.of_domain(logged, "a"))
    segment = logged.segments / "a-events.00000001.jsonl"
    segment.rename(logged.segments / "a-events.00000001.jsonl.zst")
    main(["emit", "a.b", "--id", "behind"])
    status, out, err = run(capsys, "--to", "on-a.sh", "--name", "x", "--json")
    assert status == os.EX_DATAERR
    told = json.loads(out)
    assert (told["events"], told["asked"]) == (1, 1)
    (trouble,) = told["troubles"]
    assert trouble.startswith(f"segment 1 of a-events is damaged ({segment}.zst): ")
    assert trouble.endswith(": hookline verify a")
    assert err.count("is damaged") == 1


def archived(home):
    archive(home, "cleanup", days=91)


def damaged(home):
    first = home.segments / "a-events.00000001.jsonl"
    first.rename(f"{first}.zst")


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (archived, "went meanwhile with the segments that an archiver deleted (delete_after in "),
        (damaged, "could not be read any more"),
    ],
)
def test_when_fewer_are_asked_for_than_were_shown_it_is_told_why(
    logged, capsys, monkeypatch, meanwhile, why
):
    for id in ("e4", "e5"):
        rotate(logged, "a")
        main(["emit", "a.b", "--id", id])
    main(["dispatch", "--once"])
    logged.root.joinpath("out").unlink()
    monkeypatch.setattr(cli, "agreed", lambda *_: meanwhile(logged) or True)
    status, out, err = run(capsys, "--to", "on-a.sh", "--name", "x")
    assert status == os.EX_DATAERR
    assert out.splitlines()[0] == "5 events for on-a.sh"
    assert out.splitlines()[-1] == "asked for 2 of 5 events as x"
    assert f"hookline replay: asked for 2 of 5 events shown: the rest {why}" in err
    assert replays.find(logged, "x").is_over
    assert delivered(logged) == ["e4 x", "e5 x"]


def test_and_a_program_is_told_so_too(logged, capsys, monkeypatch):
    for _ in range(2):
        rotate(logged, "a")
        main(["emit", "a.b"])
    main(["dispatch", "--once"])
    monkeypatch.setattr(cli, "agreed", lambda *_: archived(logged) or True)
    status, out, _ = run(capsys, "--to", "on-a.sh", "--json")
    told = json.loads(out)
    assert (status, told["events"], told["asked"]) == (os.EX_DATAERR, 5, 2)
    assert "asked for 2 of 5 events shown" in told["troubles"][0]


def over(home):
    return [json.loads(line) for line in home.deliveries.read_text().splitlines()
            if '"replayed"' in line]  # fmt: skip


def test_when_all_was_asked_for_the_journal_says_so_once(logged, capsys, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    assert over(logged) == []
    delivered(logged)
    assert run(capsys, "--resume", "weekly")[0] == 0
    (entry,) = over(logged)
    assert (entry["replayof"], entry["handler"], "reason" in entry) == ("weekly", "on-a.sh", False)


def test_one_that_was_killed_before_it_could_say_so_says_it_when_it_is_resumed(logged, capsys):
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    lines = logged.deliveries.read_text().splitlines(keepends=True)
    logged.deliveries.write_text("".join(line for line in lines if '"replayed"' not in line))
    assert run(capsys, "--resume", "weekly", "--dry-run")[0] == 0
    assert over(logged) == []
    assert run(capsys, "--resume", "weekly")[0] == 0
    assert len(over(logged)) == 1


def test_a_replay_is_given_up_once(logged, capsys, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    run(capsys, "--to", "on-a.sh", "--name", "weekly")
    for _ in range(2):
        status, out, _ = run(capsys, "--end", "weekly")
        assert (status, out) == (0, "weekly is over: 2 events asked for\n")
    assert [each["reason"] for each in over(logged)] == ["given up"]
    assert delivered(logged) == ["e0 weekly", "e1 weekly"]
    assert json.loads(run(capsys, "--end", "weekly", "--json")[1])["asked"] == 2
    assert replays.find(logged, "weekly").is_over
    assert run(capsys, "--end", "nothing")[0] == os.EX_USAGE


@pytest.mark.parametrize(("answer", "again"), [("n", []), ("y", ["e0", "e1", "e2"])])
def test_a_person_is_asked(logged, monkeypatch, answer, again):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["replay", "--to", "on-a.sh"]) == 0
    assert [line.split()[0] for line in delivered(logged)] == again


def test_who_is_told_to_end_says_how_to_go_on(logged, capsys):
    asking = subprocess.Popen(
        [
            sys.executable, "-m", "hookline", "replay", "--to", "on-a.sh",
            "--rate", "0.01", "--name", "slow",
        ],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while b'"action":"replay"' not in logged.deliveries.read_bytes():
        assert asking.poll() is None
        time.sleep(0.02)  # an entry of another process: nobody tells
    main(["status", "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["replays"][0]["is_asked_for"]
    assert not [need for need in told["needs"] if "replay slow" in need]
    asking.terminate()
    # Told while it syncs the first one, it has not counted it.
    assert re.search(
        "asked for [01] of 3 events; to go on: hookline replay --resume slow",
        asking.communicate(timeout=60)[1],
    )
    assert asking.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(("text", "number"), [("2", 2.0), ("0.5/s", 0.5), (None, None)])
def test_a_rate_is_a_number(text, number):
    assert positive(text, "--rate") == number


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "fast", "1/h"])
def test_and_nothing_else(text):
    with pytest.raises(Usage, match="--rate"):
        positive(text, "--rate")


def test_what_another_has_asked_for_by_the_time_of_the_lock_is_not_asked_for_again(
    logged, capsys, monkeypatch
):
    lock = replays.alone

    @contextmanager
    def late(home, name):
        monkeypatch.setattr(replays, "alone", lock)
        assert main(["replay", "--to", "on-a.sh", "--name", name]) == 0
        with lock(home, name):
            yield

    monkeypatch.setattr(replays, "alone", late)
    status, _, err = run(capsys, "--to", "on-a.sh", "--name", "twice")
    assert status == os.EX_USAGE
    assert "the replay twice is over" in err
    assert delivered(logged) == [f"e{n} twice" for n in range(3)]


def test_a_dry_run_needs_no_lock_and_writes_nothing(logged, capsys):
    before = sorted(logged.root.rglob("*"))
    with replays.alone(logged, "weekly"):
        logged.state.joinpath("replays.lock").unlink()
        status, out, _ = run(capsys, "--to", "on-a.sh", "--name", "weekly", "--dry-run")
    assert (status, out.splitlines()[0]) == (0, "3 events for on-a.sh")
    assert sorted(logged.root.rglob("*")) == before
