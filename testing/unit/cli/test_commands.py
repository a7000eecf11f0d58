"""The commands as their users call them, in a home that `init` has made."""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from hookline.app.config import Config
from hookline.cli.main import main
from hookline.dispatch.lock import Lock
from hookline.model.clock import SystemClock

CHECKOUT = Path(__file__).resolve().parents[3]

HANDLER = """#!/bin/bash
# attempts: 2   backoff: 10ms
exit "$(jq .data.exit "$1")"
"""


def install(home, name, text=HANDLER):
    path = home.handlers / name
    path.write_text(text)
    path.chmod(0o750)


def test_nothing_of_the_state_is_for_everybody_to_read(made):
    install(made, "on-a-b.sh")
    main(["emit", "a.b", "exit:=0"])
    main(["dispatch", "--once"])
    files = [path for path in made.state.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"dispatch.db", "dispatcher.pid"} <= {path.name for path in files}
    assert [path for path in files if path.stat().st_mode & 0o007] == []


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_init_makes_a_home_once_and_keeps_what_is_there(made):
    assert (made.root / "scripts/events/lib/event-logger.sh").exists()
    made.config.joinpath("hookline.toml").write_text('envelope = "cortex"\n')
    assert main(["init", str(made.root)]) == 0
    assert 'envelope = "cortex"' in made.config.joinpath("hookline.toml").read_text()
    assert oct(made.handlers.stat().st_mode & 0o777) == "0o750"


def test_a_new_home_has_every_setting_at_its_default_and_so_has_the_checkout(made):
    text = (made.config / "hookline.toml").read_text()
    assert text == (CHECKOUT / "coordination" / "config" / "hookline.toml").read_text()
    assert tomllib.loads(text) == json.loads(msgspec.json.encode(Config()))


def test_init_in_a_file_says_so(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file")]) == os.EX_CANTCREAT
    assert "is not a folder" in capsys.readouterr().err


def test_dispatch_once_delivers_and_leaves_letters_to_be_replayed(made, capsys):
    install(made, "on-a-b.sh")
    for status in (0, 65):
        assert main(["emit", "a.b", f"exit:={status}"]) == 0
    assert main(["dispatch", "--once"]) == 0
    capsys.readouterr()
    main(["dead-letters", "list", "--each", "--json"])
    (letter,) = lines_of(capsys)
    assert (letter["handler"], letter["exit"]) == ("on-a-b.sh", 65)
    assert letter["event"]["data"] == {"exit": 65}

    install(made, "on-a-b.sh", "#!/bin/bash\nexit 0\n")
    assert main(["dead-letters", "replay", letter["letter"], "--dry-run"]) == 0
    assert "1 dead letter to replay" in capsys.readouterr().out
    assert main(["dead-letters", "replay", letter["letter"]]) == 0
    assert "nobody dispatches now" in capsys.readouterr().err
    assert main(["dispatch", "--once"]) == 0
    capsys.readouterr()
    main(["dead-letters", "--json"])
    assert lines_of(capsys) == []


@pytest.mark.usefixtures("made")
def test_a_letter_that_is_not_there_is_a_usage_error(capsys):
    assert main(["dead-letters", "drop", "nothing"]) == os.EX_USAGE
    assert "dead-letters list" in capsys.readouterr().err
    assert main(["dead-letters", "replay"]) == os.EX_USAGE


def test_status_is_same_as_needs_somebody(made, capsys):
    install(made, "on-a-b.sh")
    assert main(["status"]) == 0
    assert "all is well" in capsys.readouterr().out
    main(["emit", "a.b", "exit:=65"])
    main(["dispatch", "--once"])
    capsys.readouterr()
    assert main(["status", "--json"]) == os.EX_TEMPFAIL
    (found,) = lines_of(capsys)
    assert found["dead_letters"] == 1
    assert found["needs"] == ["1 dead letter: hookline dead-letters list"]


NOBODY = "events wait and nobody dispatches: hookline up, or hookline dispatch --once"


def needs(capsys):
    capsys.readouterr()
    status = main(["status", "--json"])
    (found,) = lines_of(capsys)
    assert status == (os.EX_TEMPFAIL if found["needs"] else 0)
    return found["needs"]


def test_what_is_due_or_dropped_needs_a_dispatcher(made, capsys):
    install(made, "on-a-b.sh")
    main(["emit", "a.b", "exit:=0"])
    main(["dispatch", "--once"])
    assert needs(capsys) == []
    main(["replay", "--to", "on-a-b.sh", "--since", "1h"])
    assert needs(capsys) == [NOBODY]
    lock = Lock(made)
    assert needs(capsys) == []
    lock.close()
    main(["dispatch", "--once"])
    assert needs(capsys) == []
    (made.queue / "e.json").write_text('{"specversion":"1.0","type":"c.d"}')
    assert needs(capsys) == [NOBODY]


def test_events_for_a_handler_that_never_ran_need_a_dispatcher(made, capsys):
    install(made, "on-a-b.sh")
    assert needs(capsys) == []
    main(["emit", "a.b", "exit:=0"])
    assert needs(capsys) == [NOBODY]
    main(["dispatch", "--once"])
    assert needs(capsys) == []


LATER = """# run: python
from hookline import Retry, on

@on("a.*")
def handle(event):
    if event.replayof:
        raise Retry(after_s=3600)
"""


def test_a_replay_that_is_tried_again_needs_a_dispatcher_when_it_is_due(made, capsys, monkeypatch):
    install(made, "on-a.py", LATER)
    main(["emit", "a.b"])
    main(["dispatch", "--once"])
    main(["replay", "--to", "on-a.py", "--since", "1h"])
    main(["dispatch", "--once"])
    assert needs(capsys) == []
    later = SystemClock().now() + timedelta(hours=3)
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    assert needs(capsys) == [NOBODY]


def once(capsys, *options):
    capsys.readouterr()
    assert main(["dispatch", "--once", *options]) == 0
    return capsys.readouterr().err.splitlines()


def test_dispatch_once_is_same_as_cron_is_to_mail_and_else_nothing(made, capsys):
    install(made, "on-a-b.sh", HANDLER.replace("attempts: 2", "attempts: 1"))
    install(made, "on-c-d.sh", "#!/nowhere\n")
    main(["emit", "a.b", "exit:=0"])
    assert once(capsys) == []
    for _ in range(12):
        main(["emit", "a.b", "exit:=1"])
    main(["emit", "c.d"])
    paused, broken, letters = once(capsys)
    assert paused.startswith("hookline: on-a-b.sh is paused (10 dead letters in a row, ")
    assert paused.endswith("): hookline handlers resume on-a-b.sh")
    assert broken.startswith("hookline: on-c-d.sh cannot be run, and its events wait: ")
    assert letters == "hookline: 10 dead letters more: hookline dead-letters list"
    assert once(capsys) == [broken], "what was paused before is no news"


# Waits for the other handler's pause to be written, then takes away where letters go.
SPOILER = """#!/bin/bash
cd "$HOOKLINE_HOME/coordination"
until grep -q '"action":"paused"' deliveries.jsonl; do sleep 0.05; done
mv dead-letters.jsonl kept && mkdir dead-letters.jsonl
exit 65
"""


def test_dispatch_once_is_same_as_it_stopped_also_when_it_could_not_write_all(made, capsys):
    install(made, "on-a-b.sh", "#!/bin/bash\nexit 77\n")
    install(made, "on-c-d.sh", SPOILER)
    install(made, "on-e-f.sh", "#!/nowhere\n")
    for type in ("a.b", "c.d", "e.f"):
        main(["emit", type])
    capsys.readouterr()
    assert main(["dispatch", "--once"]) == os.EX_IOERR
    err = capsys.readouterr().err
    assert "hookline: on-a-b.sh is paused (" in err
    assert "hookline: on-e-f.sh cannot be run, and its events wait: " in err
    assert "more: hookline dead-letters" not in err, "not all of them are there"
    made.dead_letters.rmdir()
    (made.coordination / "kept").rename(made.dead_letters)
    install(made, "on-c-d.sh", "#!/bin/bash\n")
    assert [line for line in once(capsys) if "on-e-f.sh" not in line] == []


def test_dispatch_once_is_same_as_is_to_be_tried_again(made, capsys):
    install(made, "on-a.py", LATER.replace("if event", "if not event"))
    main(["emit", "a.b"])
    (line,) = once(capsys, "--verbose")[-1:]
    assert re.fullmatch(r"hookline: to be tried again: 1 event, the first at \S+Z", line)
    assert once(capsys) == [line]


def test_status_names_the_dispatcher(made, capsys):
    lock = Lock(made)
    capsys.readouterr()
    main(["status", "--json"])
    lock.close()
    assert lines_of(capsys)[0]["dispatcher"] == os.getpid()


def test_handlers_shows_how_far_each_has_got(made, capsys):
    install(made, "on-a-b.sh")
    main(["emit", "a.b", "exit:=0"])
    main(["dispatch", "--once"])
    main(["emit", "a.b", "exit:=0"])
    capsys.readouterr()
    assert main(["handlers", "--json"]) == 0
    (handler,) = lines_of(capsys)
    assert handler["on"] == ["a.b"]
    assert handler["behind_bytes"] > 0


def test_handlers_shows_how_many_events_each_may_have_at_once(made, capsys):
    install(made, "on-a-b.sh")
    install(made, "on-many.sh", "#!/bin/bash\n# on: a.b   batch: 20\n")
    install(made, "on-stream.sh", "#!/bin/bash\n# on: a.b   run: stream   window: 8\n")
    assert main(["handlers", "--json"]) == 0
    at_once = {each["name"]: (each["batch"], each["window"]) for each in lines_of(capsys)}
    assert at_once == {"on-a-b.sh": (1, 1), "on-many.sh": (20, 1), "on-stream.sh": (1, 8)}
    assert main(["handlers"]) == 0
    out = capsys.readouterr().out
    assert "\texec\t" in out
    assert "\texec, batch 20\t" in out
    assert "\tstream, window 8\t" in out


def test_status_looks_only_at_segments_that_there_are(made):
    install(made, "on-a-b.sh")
    main(["emit", "a.b", "exit:=0"])
    main(["dispatch", "--once"])
    (made.segments / "a-events.99999999.jsonl").touch()
    # Nearly a hundred million look-ups would take minutes.
    command = [sys.executable, "-m", "hookline", "status"]
    subprocess.run(command, capture_output=True, check=True, timeout=60)


def test_a_handler_can_be_paused_and_resumed(made, capsys):
    install(made, "on-a-b.sh")
    assert main(["handlers", "pause", "on-a-b.sh", "--reason", "a holiday"]) == 0
    main(["emit", "a.b", "exit:=0"])
    main(["dispatch", "--once"])
    assert not (made.deliveries.read_text().count('"attempt"'))
    capsys.readouterr()
    main(["explain", "a.b", "--json"])
    (row,) = lines_of(capsys)
    assert row["answer"] == "paused"
    assert "a holiday" in row["why"]
    assert main(["handlers", "resume", "on-a-b.sh"]) == 0
    main(["dispatch", "--once"])
    assert made.deliveries.read_text().count('"verdict":"done"') == 1
    assert main(["handlers", "pause", "on-x.sh"]) == os.EX_USAGE


def test_a_folder_that_others_may_write_to_is_refused_with_what_mends_it(made, capsys):
    install(made, "on-a-b.sh")
    made.handlers.chmod(0o777)
    assert main(["handlers"]) == os.EX_DATAERR
    said = capsys.readouterr().err
    command = re.search(r"chmod go-w \S+", said)[0]
    assert main(["doctor"]) == os.EX_CONFIG
    subprocess.run(command, shell=True, check=True)  # noqa: S602  # the very command it names
    capsys.readouterr()
    assert main(["handlers"]) == 0


@pytest.mark.parametrize("mode", [0o770, 0o757])
def test_a_handler_that_others_may_write_to_is_refused(made, capsys, mode):
    install(made, "on-a-b.sh")
    (made.handlers / "on-a-b.sh").chmod(mode)
    assert main(["handlers"]) == os.EX_DATAERR
    assert "chmod go-w" in capsys.readouterr().err


def test_a_link_and_a_folder_above_that_others_may_write_to_are_refused(made, capsys):
    install(made, "on-a-b.sh")
    (made.handlers / "on-a-c.sh").symlink_to(made.handlers / "on-a-b.sh")
    assert main(["handlers"]) == os.EX_DATAERR
    assert "symbolic link" in capsys.readouterr().err
    (made.handlers / "on-a-c.sh").unlink()
    made.root.chmod(0o777)
    assert main(["handlers"]) == os.EX_DATAERR
    assert f"chmod go-w {made.root}\n" in capsys.readouterr().err


def test_explain_tells_what_became_of_an_event(made, capsys):
    install(made, "on-a-b.sh")
    install(made, "on-other-thing.sh")
    main(["emit", "a.b", "exit:=3", "--id", "the-one"])
    capsys.readouterr()
    main(["explain", "the-one", "--json"])
    waiting = {row["handler"]: row["answer"] for row in lines_of(capsys)[1:]}
    assert waiting == {"on-a-b.sh": "waits", "on-other-thing.sh": "no"}
    main(["dispatch", "--once"])
    capsys.readouterr()
    main(["explain", "the-one", "--json"])
    event, told, *_ = lines_of(capsys)  # its second attempt may be due at once
    assert event["id"] == "the-one"
    assert told["answer"] == "failed"
    assert "attempt 1" in told["why"]


def test_explain_shows_who_is_refused_and_does_not_say_that_nobody_wants_it(made, capsys):
    install(made, "on-a-b.sh")
    (made.handlers / "on-a-b.sh").chmod(0o640)
    main(["emit", "a.b", "--id", "the-one"])
    for what in ("a.b", "the-one"):
        capsys.readouterr()
        assert main(["explain", what]) == 0
        out, err = capsys.readouterr()
        assert "on-a-b.sh\trefused\t" in out
        assert "chmod +x" in out
        assert err == ""
    assert main(["handlers", "pause", "on-a-b.sh"]) == os.EX_USAGE
    assert "on-a-b.sh is refused: " in capsys.readouterr().err


@pytest.mark.usefixtures("made")
def test_explain_of_what_is_nowhere(capsys):
    assert main(["explain", "no-such-event"]) == os.EX_DATAERR
    assert main(["explain", "nobody.wants_this"]) == 0
    assert "unhandled" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ['envelop = "cortex"', 'envelope = "other"', "[handlers]\nenv = 3", "not toml at all"],
)
def test_a_wrong_configuration_is_named(made, capsys, text):
    made.config.joinpath("hookline.toml").write_text(text)
    assert main(["dispatch", "--once"]) == os.EX_CONFIG
    assert "hookline.toml" in capsys.readouterr().err
    assert main(["doctor"]) == os.EX_CONFIG


def test_a_second_dispatcher_exits_with_75(made, capsys):
    lock = Lock(made)
    assert main(["dispatch", "--once"]) == os.EX_TEMPFAIL
    assert "runs already" in capsys.readouterr().err
    lock.close()


def test_the_letter_of_a_failed_replay_is_named_as_it_is(made, capsys):
    install(made, "on-a-b.sh", "#!/bin/bash\nexit 65\n")
    main(["emit", "a.b", "--id", "one"])
    main(["dispatch", "--once"])
    main(["dead-letters", "replay", "on-a-b.sh:one"])
    capsys.readouterr()
    main(["dispatch", "--once", "--verbose"])
    command = re.search(r"hookline (dead-letters show \S+)", capsys.readouterr().err)[1]
    assert main(command.split()) == 0


def test_dispatch_and_init_speak_json(made, capsys):
    install(made, "on-a-b.sh")
    main(["emit", "a.b", "exit:=0"])
    capsys.readouterr()
    assert main(["dispatch", "--once", "--json"]) == 0
    assert [entry["verdict"] for entry in lines_of(capsys)] == ["done"]
    assert main(["init", str(made.root), "--json"]) == 0
    (told,) = lines_of(capsys)
    assert told["root"] == str(made.root)


def test_the_doctor_goes_on_where_a_check_cannot_be_made(home, monkeypatch, capsys):
    def broken(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("hookline.app.doctor.lacks_atomic_append", broken)
    (home.config / "hookline.toml").write_bytes(b"\xff")
    assert main(["doctor"]) == os.EX_CONFIG
    out, err = capsys.readouterr()
    assert err == ""
    assert f"file system: {home.coordination}: Input/output error\n" in out
    assert f"hookline.toml: {home.config}/hookline.toml: 'utf-8' codec" in out
    assert "inotify: " in out
