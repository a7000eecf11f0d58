import json
import os

import pytest

from hookline.app.golden import golden_text
from hookline.app.trial import try_handler
from hookline.model.clock import SystemClock
from hookline.model.errors import BadData

LINE = (
    b'{"specversion":"1.0","id":"e1","source":"test","type":"task.failed",'
    b'"time":"2026-01-01T00:00:00.000000Z","data":{"n":1}}'
)


@pytest.fixture
def handler(home):
    def write(body, name="on-task-failed.sh", head="#!/bin/bash\n", mode=0o750):
        path = home.handlers / name
        path.write_text(head + body)
        path.chmod(mode)
        return path

    return write


def trial(home, path, state=None):
    return try_handler(home, path, LINE, SystemClock(), state)


def test_it_tells_verdict_and_output(home, handler):
    found = trial(home, handler("cat; echo oops >&2; exit 65\n"))
    assert (found.verdict, found.exit, found.then) == ("rejected", 65, "dead-letter")
    assert json.loads(found.stdout)["id"] == "e1"
    assert found.stderr == "oops\n"
    assert not found.done


def test_a_stream_program_answers_for_the_one_event_and_ends(home, handler):
    answer = 'read -r event; echo seen; echo "e1 65 no" >&3'
    found = trial(home, handler(answer, head="#!/bin/bash\n# run: stream\n"))
    assert (found.verdict, found.exit, found.error) == ("rejected", 65, "no")
    assert found.stdout == "seen\n"


def test_the_caller_stays_in_its_folder(home, handler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert trial(home, handler("exit 0\n")).done
    assert os.getcwd() == str(tmp_path)


def test_names_that_are_no_text_are_told_escaped(home, handler):
    found = trial(home, handler("touch \"$HOOKLINE_HOME/$(printf 'odd\\xff')\"\n"))
    assert [each.path for each in found.files] == ["odd\\xff"]
    assert json.loads(golden_text(found))["files"][0]["path"] == "odd\\xff"


def test_a_state_that_has_more_than_files_is_refused(home, handler, tmp_path):
    (tmp_path / "state").mkdir()
    os.mkfifo(tmp_path / "state" / "pipe")
    with pytest.raises(BadData, match="is a named pipe"):
        trial(home, handler("exit 0\n"), tmp_path / "state")


def test_a_failure_is_run_once_only(home, handler):
    found = trial(home, handler('echo "$EVENT_ATTEMPT"; exit 1\n'))
    assert (found.verdict, found.then, found.stdout) == ("failed", "retry", "1\n")


def test_the_handler_works_in_a_home_that_is_thrown_away(home, handler):
    (home.coordination / "kept").write_text("as it was\n")
    found = trial(home, handler('echo; echo "$HOOKLINE_HOME"; ls "$HOOKLINE_HOME/coordination"\n'))
    _, root, *names = found.stdout.split("\n")
    assert root == found.home != str(home.root)
    assert "kept" not in names
    assert not home.deliveries.exists()
    assert not list(home.events.glob("*.jsonl"))


def test_files_that_are_large_or_locked_are_told_of(home, handler, monkeypatch):
    monkeypatch.setattr("hookline.app.trial.TEXT_BYTES_MAX", 1000)
    body = """cd "$HOOKLINE_HOME" || exit
printf '%2000d' 1 >large; echo x >locked; chmod 0 locked; mkfifo pipe; mkdir -m 0 closed
"""
    found = trial(home, handler(body))
    assert [(each.path, each.change) for each in found.files] == [
        ("large", "created"), ("locked", "created"), ("pipe", "created"),
    ]  # fmt: skip
    assert found.file("large").text == ""


def test_what_runs_on_is_ended_before_its_files_are_looked_at(home, handler):
    body = """cd "$HOOKLINE_HOME" || exit
(while :; do touch $RANDOM; rm -f ./[0-9]*; done) >/dev/null 2>&1 &
until ls | grep -q '^[0-9]'; do :; done
"""
    for _ in range(3):
        assert trial(home, handler(body)).done


def test_what_it_writes_is_told_with_the_difference(home, handler, tmp_path):
    state = tmp_path / "before"
    (state / "metrics").mkdir(parents=True)
    (state / "metrics" / "n.json").write_text('{\n"n": 1\n}\n')
    (state / "gone").write_text("x")
    (state / "blob").write_bytes(b"\xff")
    (state / "events").mkdir()
    (state / "events" / "task-events.jsonl").write_text("not taken over\n")
    body = """cd "$HOOKLINE_HOME/coordination" || exit
printf '{\\n"n": 2\\n}\\n' >metrics/n.json; echo new >made; rm gone; printf '\\xfe' >blob
mkdir -p ../reports && echo r >../reports/r
"""
    found = trial(home, handler(body), state)
    assert [(each.path, each.change) for each in found.files] == [
        ("coordination/blob", "changed"),
        ("coordination/gone", "deleted"),
        ("coordination/made", "created"),
        ("coordination/metrics/n.json", "changed"),
        ("reports/r", "created"),
    ]
    assert '-"n": 1\n+"n": 2' in found.file("coordination/metrics/n.json").diff
    assert found.file("coordination/made").text == "new\n"
    assert found.file("coordination/blob").diff == ""
    assert (state / "gone").exists()
    assert found.emitted == ()


def test_events_that_it_emits_are_told_and_not_handled(home, handler):
    body = """from hookline import Log, on

@on("task.*")
def handle(event):
    Log().append("task.noted", source="h", data={"n": 2})
    Log().append("other.thing", source="h")
"""
    found = trial(home, handler(body, "on-task.py", "# run: python\n", 0o640))
    assert found.done
    (noted,) = found.emitted_of("task.noted")
    assert (noted.causationid, bytes(noted.data)) == ("e1", b'{"n":2}')
    assert len(found.emitted) == 2


def test_an_exception_is_told_with_the_handlers_own_frames(home, handler):
    body = "from hookline import on\n@on('task.*')\ndef handle(event):\n    1 / 0\n"
    found = trial(home, handler(body, "on-task.py", "# run: python\n", 0o640))
    assert (found.verdict, found.error) == ("failed", "ZeroDivisionError: division by zero")
    assert found.traceback.splitlines()[1].endswith('/on-task.py", line 5, in handle')
    assert "python_host" not in found.traceback


def test_alerts_of_the_bus_are_not_the_handlers(home, handler):
    found = trial(home, handler("exit 78\n"))
    assert found.verdict == "rejected"
    assert found.emitted == ()


@pytest.mark.parametrize("start", ["now", "beginning", "install"])
def test_it_gets_the_event_wherever_it_begins(home, handler, start):
    assert trial(home, handler(f"# from: {start}\nexit 99\n")).verdict == "skipped"


def test_a_timeout_is_a_verdict(home, handler):
    found = trial(home, handler("# timeout: 1s\nexec sleep 997\n"))
    assert found.verdict == "timeout"


def test_a_handler_elsewhere_is_tried_with_the_scripts_of_the_home(home, handler, tmp_path):
    (home.root / "scripts" / "tool").write_text("tool\n")
    path = tmp_path / "on-task-failed.sh"
    path.write_text('#!/bin/bash\ncat "$HOOKLINE_HOME/scripts/tool"\n')
    path.chmod(0o750)
    handler("exit 1\n", "on-task.failed-other.sh")
    assert trial(home, path).stdout == "tool\n"


@pytest.mark.parametrize(
    ("name", "body", "mode", "words"),
    [
        ("on-task-failed.sh", "# timeout: soon\n", 0o750, "timeout"),
        ("on-task-failed.sh", "exit 0\n", 0o640, "not executable"),
        ("on-task-failed.sh", "exit 0\n", 0o777, "would not be run"),
        ("on-worker-lost.sh", "exit 0\n", 0o750, "does not want task.failed; it wants worker.lost"),
        ("handler.sh", "exit 0\n", 0o750, "no name of a handler"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_reason(home, handler, name, body, mode, words):
    with pytest.raises(BadData, match=words):
        trial(home, handler(body, name, mode=mode))


def test_what_is_refused_is_named_where_it_lies(home, handler):
    path = handler("exit 0\n", mode=0o640)
    with pytest.raises(BadData, match=f"chmod \\+x {path}$"):
        trial(home, path)


def test_there_must_be_a_handler_and_a_state(home, handler, tmp_path):
    with pytest.raises(BadData, match="hookline handlers"):
        trial(home, home.handlers / "on-x-y.sh")
    with pytest.raises(BadData, match="is no folder"):
        trial(home, handler("exit 0\n"), tmp_path / "nothing")
