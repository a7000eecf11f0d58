import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookline.app.selftest import leaks
from hookline.cli.main import main
from hookline.log.home import Home

EVENT = '{"specversion":"1.0","type":"a.b","data":{"n":1}}'


@pytest.fixture(autouse=True)
def handler(home):
    path = home.handlers / "on-a-b.sh"
    path.write_text('#!/bin/bash\njq -c .data "$1"; exit "${CODE:-0}"\n')
    path.chmod(0o750)
    return path


def test_people_see_the_verdict_and_what_came_of_it(handler, capsys):
    handler.write_text("#!/bin/bash\nprintf '\\e[2J' ; echo w >\"$HOOKLINE_HOME/coordination/w\"\n")
    assert main(["try", "on-a-b.sh", EVENT]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("on-a-b.sh: done (exit 0) in ")
    assert rest == ["stdout  \\u001b[2J", "created coordination/w", "  @@ -0,0 +1 @@", "  +w"]


def test_programs_get_all_of_it_as_json(capsys):
    assert main(["try", "on-a-b.sh", EVENT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["stdout"], told["emitted"], told["files"]) == (
        "done", '{"n":1}\n', [], [],
    )  # fmt: skip


def test_another_verdict_exits_1(handler, capsys):
    handler.write_text("#!/bin/bash\nexit 75\n")
    assert main(["try", "on-a-b.sh", EVENT]) == 1
    assert capsys.readouterr().out.startswith("on-a-b.sh: retry (exit 75) in ")


@pytest.mark.parametrize("how", ["id", "type", "file", "stdin", "path"])
def test_the_event_may_be_named_in_many_ways(handler, how, tmp_path, capsys, monkeypatch):
    assert main(["emit", "a.b", "n:=0"]) == 0
    assert main(["emit", "a.b", "n:=1"]) == 0
    newest = capsys.readouterr().out.splitlines()[-1]
    (tmp_path / "e.json").write_text(EVENT)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(EVENT.encode())))
    event = {"id": newest, "type": "a.b", "file": f"@{tmp_path / 'e.json'}", "stdin": "-"}
    name = str(handler) if how == "path" else "on-a-b.sh"
    assert main(["try", name, event.get(how, EVENT), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stdout"] == '{"n":1}\n'


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["on-x-y.sh", EVENT], os.EX_DATAERR, "no handler"),
        (["on-a-b.sh", "a.b"], os.EX_DATAERR, "has an event of type a.b"),
        (["on-a-b.sh", "nobody"], os.EX_DATAERR, "has an event 'nobody'"),
        (["on-a-b.sh", "{"], os.EX_DATAERR, "hookline try: "),
        (["on-a-b.sh", '{"type":"a.b"}'], os.EX_DATAERR, 'enough is: {"specversion":"1.0"'),
        (["on-a-b.sh", "@/nowhere"], os.EX_DATAERR, "cannot be read"),
        (["on-a-b.sh", EVENT, "--update"], os.EX_USAGE, "--golden"),
        (["on-a-b.sh", EVENT, "--golden", "/nowhere/g"], os.EX_DATAERR, "--update"),
        (["on-a-b.sh", EVENT, "--state", "nowhere"], os.EX_DATAERR, "no folder"),
        (
            ["on-a-b.sh", EVENT, "--golden", "/nowhere/g", "--update"],
            os.EX_CANTCREAT,
            "mkdir -p",
        ),
        (["on-a-b.sh"], os.EX_USAGE, "EVENT"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, status, words, capsys):
    assert main(["try", *arguments]) == status
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_golden_file_is_made_kept_to_and_written_anew(handler, tmp_path, capsys):
    golden = ["--golden", str(tmp_path / "g.json")]
    assert main(["try", "on-a-b.sh", EVENT, *golden, "--update"]) == 0
    assert "wrote" in capsys.readouterr().err
    assert main(["try", "on-a-b.sh", EVENT, *golden]) == 0
    assert capsys.readouterr().out == ""
    handler.write_text("#!/bin/bash\nexit 1\n")
    assert main(["try", "on-a-b.sh", EVENT, *golden]) == 1
    told = capsys.readouterr()
    assert '-  "verdict": "done",' in told.out
    assert '+  "verdict": "failed",' in told.out
    assert "--update" in told.err
    assert main(["try", "on-a-b.sh", EVENT, *golden, "--update"]) == 0
    assert main(["try", "on-a-b.sh", EVENT, *golden]) == 0


def test_what_a_golden_file_differs_in_is_in_the_one_object_of_json(handler, tmp_path, capsys):
    golden = ["--golden", str(tmp_path / "g.json"), "--json"]
    assert main(["try", "on-a-b.sh", EVENT, *golden, "--update"]) == 0
    assert json.loads(capsys.readouterr().out)["golden"] == {"same": True, "diff": []}
    handler.write_text("#!/bin/bash\nexit 1\n")
    assert main(["try", "on-a-b.sh", EVENT, *golden]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["golden"]["same"]) == ("failed", False)
    assert '-  "verdict": "done",' in told["golden"]["diff"]


def test_the_state_of_the_home_itself_can_be_the_beginning(home, handler, capsys):
    (home.coordination / "seen").write_text("before\n")
    handler.write_text('#!/bin/bash\necho after >"$HOOKLINE_HOME/coordination/seen"\n')
    assert main(["try", "on-a-b.sh", EVENT, "--state", str(home.coordination)]) == 0
    out = capsys.readouterr().out
    assert "changed coordination/seen" in out
    assert "-before" in out
    assert (home.coordination / "seen").read_text() == "before\n"


SOURCE = Path(__file__).resolve().parents[3] / "src"

# One of its children is in its process group, one is not, and it takes no heed of TERM.
ENDLESS = """#!/bin/bash
trap '' TERM INT HUP
sleep 600 &
setsid sleep 600 &
touch "$HOOKLINE_HOME/began"
while :; do sleep 600; done
"""
ENDLESS_PY = """# run: python
import os, subprocess, time
from hookline import on

@on("a.*")
def handle(event):
    subprocess.Popen(["sleep", "600"])
    open(os.environ["HOOKLINE_HOME"] + "/began", "w")
    time.sleep(600)
"""


def begun(name, temporary):
    """`hookline try` in a process of its own, whose handler has begun; and its throw-away home."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hookline", "try", name, EVENT],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    while not (marks := list(temporary.glob("hookline-try.*/home/began"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # a file of another process: nobody tells
    return process, Home(marks[0].parent)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name
)
@pytest.mark.parametrize("name", ["on-a-b.sh", "on-a.py"])
def test_a_signal_ends_the_run_at_once_and_leaves_nothing(home, handler, tmp_path, name, number):
    handler.write_text(ENDLESS)
    if name == "on-a.py":
        (home.handlers / name).write_text(ENDLESS_PY)
    process, place = begun(name, tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "", "")
    assert leaks.marked(place) == []
    assert list(tmp_path.glob("hookline-try.*")) == []


def test_what_a_killed_try_leaves_is_removed_by_the_next(handler, tmp_path, monkeypatch):
    handler.write_text(ENDLESS)
    process, place = begun("on-a-b.sh", tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handler.write_text("#!/bin/bash\n")
    assert main(["try", "on-a-b.sh", EVENT]) == 0
    assert len(leaks.marked(place)) >= 3, "that of one at work is not"
    process.kill()
    process.communicate(timeout=60)
    assert main(["try", "on-a-b.sh", EVENT]) == 0
    assert leaks.marked(place) == []
    assert list(tmp_path.glob("hookline-try.*")) == []


def test_what_runs_on_after_the_run_is_ended_with_the_home(handler, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handler.write_text(
        '#!/bin/bash\ncd "$HOOKLINE_HOME" || exit\n'
        "(while :; do mkdir -p d; echo x >d/$RANDOM; done) >/dev/null 2>&1 &\n"
        'mkdir -p locked/up; chmod 0 locked\necho "$HOOKLINE_HOME"\n'
    )
    assert main(["try", "on-a-b.sh", EVENT, "--json"]) == 0
    place = Home(Path(json.loads(capsys.readouterr().out)["home"]))
    assert leaks.marked(place) == []
    assert list(tmp_path.glob("hookline-try.*")) == []
