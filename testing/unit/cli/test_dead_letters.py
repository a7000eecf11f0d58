"""`hookline dead-letters`: what was given up, grouped, shown, replayed, dropped, purged."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext

import pytest

from hookline.cli.main import main
from hookline.dispatch import asks, letters
from hookline.dispatch.journal import open_letters_log
from hookline.dispatch.lock import holder
from hookline.log.rotate import rotate_stream


class Terminal(io.StringIO):
    """A terminal that nobody draws."""

    def isatty(self):
        return True


FAILING = """#!/bin/bash
# attempts: 1
echo "no row $(jq .data "$1") in $EVENT_ID" >&2; exit 3
"""


@pytest.fixture
def failed(home):
    """Three letters of one fault, and one of another handler."""
    for name, text in (("on-a-b.sh", FAILING), ("on-c-d.sh", "#!/bin/bash\nexit 65\n")):
        home.handlers.joinpath(name).write_text(text)
        home.handlers.joinpath(name).chmod(0o750)
    for number in range(3):
        main(["emit", "a.b", "--id", f"e{number}", "--data", str(number)])
    main(["emit", "c.d", "--id", "other"])
    main(["dispatch", "--once"])
    return home


def run(capsys, *arguments):
    """The exit status and what was printed on stdout."""
    capsys.readouterr()
    status = main(["dead-letters", *arguments])
    return status, capsys.readouterr().out


def lines(capsys, *arguments):
    status, out = run(capsys, *arguments, "--json")
    assert status == 0
    return [json.loads(line) for line in out.splitlines()]


def mend(home):
    for name in ("on-a-b.sh", "on-c-d.sh"):
        home.handlers.joinpath(name).write_text(
            '#!/bin/bash\necho "$EVENT_ID $EVENT_REPLAYOF" >>"$HOOKLINE_HOME/out"\n'
        )


def delivered(home):
    assert main(["dispatch", "--once"]) == 0
    out = home.root / "out"
    return out.read_text().splitlines() if out.exists() else []


def plain(letter):
    """Its name without the hash."""
    return letter.partition("~")[0]


def open_names(home):
    return [plain(letter.letter) for letter in letters.open_letters(home)]


@pytest.mark.usefixtures("failed")
def test_a_name_that_the_other_options_leave_out_is_said_so(capsys):
    status = main(["dead-letters", "replay", "on-a-b.sh", "--fingerprint", "zzz"])
    assert status == os.EX_USAGE
    assert "'on-a-b.sh' among those that the other options choose" in capsys.readouterr().err


def test_a_rate_that_is_none_is_refused_before_anything_is_shown(failed, capsys):
    status, out = run(capsys, "replay", "--all", "--rate", "0")
    assert (status, out) == (os.EX_USAGE, "")
    assert len(open_names(failed)) == 4


@pytest.mark.usefixtures("failed")
def test_a_paused_handler_is_told_of_and_it_is_not_for_a_dispatcher_to_help(capsys):
    main(["handlers", "pause", "on-a-b.sh"])
    main(["dispatch", "--once"])
    why = "on-a-b.sh is paused (by hand): hookline handlers resume on-a-b.sh\n"
    for which, dispatch in (("on-a-b.sh:e0", False), ("--all", True)):
        capsys.readouterr()
        assert main(["dead-letters", "replay", which]) == os.EX_TEMPFAIL
        err = capsys.readouterr().err
        assert why in err
        assert ("dispatch --once" in err) == dispatch


@pytest.mark.usefixtures("failed")
def test_letters_are_grouped_by_their_fault(capsys):
    first, other = lines(capsys, "list")
    assert (first["handler"], first["letters"], first["exit"]) == ("on-a-b.sh", 3, 3)
    assert first["types"] == {"a.b": 3}
    assert first["error"].startswith("no row 2 in ")
    assert first["first"] < first["last"]
    assert (other["handler"], other["letters"]) == ("on-c-d.sh", 1)
    status, table = run(capsys)
    assert status == 0
    assert [line.split("\t")[:3] for line in table.splitlines()] == [
        ["FINGERPRINT", "LETTERS", "HANDLER"],
        [first["fingerprint"], "3", "on-a-b.sh"],
        [other["fingerprint"], "1", "on-c-d.sh"],
    ]


@pytest.mark.usefixtures("failed")
def test_letters_one_by_one_and_filtered(capsys):
    def names(*arguments):
        return [plain(each["letter"]) for each in lines(capsys, "list", "--each", *arguments)]

    every = [f"on-a-b.sh:e{n}" for n in range(3)] + ["on-c-d.sh:other"]
    fault = lines(capsys, "list")[0]["fingerprint"]
    assert sorted(names()) == every
    assert names("--handler", "on-c-d.sh") == every[3:]
    assert names("--type", "a.*") == every[:3]
    assert names("--fingerprint", fault) == every[:3]
    assert names(fault, "-n", "2") == every[:2]
    assert sorted(names("on-a-b.sh:e1", "on-c-d.sh")) == [every[1], every[3]]
    assert names("--since", "1h", "--until", "2999-01-01") != []
    assert names("--until", "1h") == []
    assert "on-a-b.sh:e0" in run(capsys, "list", "--each")[1]


def test_an_old_line_without_a_fingerprint_gets_it_when_it_is_read(failed, capsys):
    before = lines(capsys, "list")
    text = failed.dead_letters.read_text()
    failed.dead_letters.write_text(
        "".join(
            json.dumps({k: v for k, v in json.loads(line).items() if k != "fingerprint"}) + "\n"
            for line in text.splitlines()
        )
    )
    assert lines(capsys, "list") == before


@pytest.mark.usefixtures("failed")
def test_a_letter_is_shown_with_all_that_is_known_of_it(capsys):
    status, page = run(capsys, "show", "on-a-b.sh:e1")
    assert status == 0
    for part in (
        '    "id": "e1"', '  "data": 1', "no row 1 in e1", "after 1 attempt: exit 3",
        "attempt 1: failed", "hookline dead-letters replay on-a-b.sh:e1",
    ):  # fmt: skip
        assert part.strip() in page, part
    status, page = run(capsys, "show", "on-a-b.sh")
    assert "on-a-b.sh:e2" in page
    assert "2 more open letters like this one" in page
    assert [each["event"]["id"] for each in lines(capsys, "show", "on-a-b.sh")] == [
        "e0",
        "e1",
        "e2",
    ]


@pytest.mark.usefixtures("failed")
def test_a_decided_letter_is_shown_by_its_name(capsys):
    run(capsys, "drop", "on-c-d.sh:other")
    assert "decided      dropped" in run(capsys, "show", "on-c-d.sh:other")[1]
    assert run(capsys, "show", "on-c-d.sh")[0] == os.EX_USAGE


def test_a_terminal_obeys_nothing_that_a_handler_printed(home, capsys):
    handler = home.handlers / "on-a-b.sh"
    hostile = r"printf 'a\\tb \\033[2J\\r\\n\\033]0;x\\a' >&2; exit 1"
    handler.write_text(f"#!/bin/bash\n# attempts: 1\n{hostile}\n")
    handler.chmod(0o750)
    main(["emit", "a.b", "--id", "e"])
    main(["dispatch", "--once"])
    for arguments in (["list"], ["list", "--each"], ["show", "on-a-b.sh"]):
        out = run(capsys, *arguments)[1]
        assert not set(out) & {"\033", "\r", "\a"}, arguments


def test_nor_in_json(home, monkeypatch):
    handler = home.handlers / "on-a-b.sh"
    hostile = r"printf 'x\302\2332Jy' >&2; exit 1"
    handler.write_text(f"#!/bin/bash\n# attempts: 1\n{hostile}\n")
    handler.chmod(0o750)
    main(["emit", "a.b"])
    main(["dispatch", "--once"])
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["dead-letters", "show", "on-a-b.sh", "--json"]) == 0
    assert "\x9b" not in sys.stdout.getvalue()
    assert json.loads(sys.stdout.getvalue())["error"] == "x\x9b2Jy"


def test_a_traceback_stands_by_itself(home, capsys):
    handler = home.handlers / "on-a.py"
    handler.write_text(
        "# run: python   attempts: 1\nimport sys\nfrom hookline import on\n@on('a.b')\n"
        "def f(event):\n    print('said', file=sys.stderr, flush=True)\n    {}['x']\n"
    )
    main(["emit", "a.b"])
    main(["dispatch", "--once"])
    (letter,) = lines(capsys, "list", "--each")
    assert (letter["error"], letter["stderr"]) == ("KeyError: 'x'", "said\n")
    assert letter["traceback"].splitlines()[-1] == "KeyError: 'x'"
    assert "line 7, in f" in run(capsys, "show", "on-a.py")[1]


def test_some_are_replayed_and_the_rest_later_and_none_twice(failed, capsys):
    mend(failed)
    status, out = run(capsys, "replay", "on-a-b.sh", "-n", "2")
    assert status == 0
    assert "2 dead letters to replay\n         2  on-a-b.sh\n" in out
    assert "asked for the replay of 2 of 2" in out
    assert sorted(open_names(failed)) == ["on-a-b.sh:e2", "on-c-d.sh:other"]
    assert lines(capsys, "replay", "--all") == [
        {
            "action": "replay", "letters": 2, "done": 2,
            "handlers": {"on-a-b.sh": 1, "on-c-d.sh": 1}, "absent": {},
        }
    ]  # fmt: skip
    assert lines(capsys, "replay", "--all")[0]["letters"] == 0
    assert sorted(map(plain, delivered(failed))) == [
        *(f"e{n} on-a-b.sh:e{n}" for n in range(3)), "other on-c-d.sh:other",
    ]  # fmt: skip


def test_the_same_letters_replayed_twice_at_once_are_delivered_once(failed, capsys):
    mend(failed)
    capsys.readouterr()
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(main(["dead-letters", "replay", "--all"]))
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]
    assert len(delivered(failed)) == 4
    assert len(delivered(failed)) == 4


def test_an_interrupted_replay_says_how_to_go_on(failed, capsys, monkeypatch):
    mend(failed)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(letters.replay_all, "__kwdefaults__", {"sleep": interrupt})
    assert main(["dead-letters", "replay", "--all", "--rate", "1"]) == 130
    assert "asked for 1 of 4; the same command again goes on" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setenv("HOOKLINE_HOME", str(failed.root))
    assert main(["dead-letters", "replay", "--all"]) == 0
    assert len(delivered(failed)) == 4


def test_what_fails_again_meanwhile_is_not_replayed_once_more(failed, capsys, monkeypatch):
    def fail_again(wait_s):
        time.sleep(wait_s)  # the pace that is asked for
        text = failed.dead_letters.read_text()
        again = {**json.loads(text.splitlines()[-1]), "letter": f"on-a-b.sh:e:{len(text)}"}
        failed.dead_letters.write_text(f"{text}{json.dumps(again)}\n")

    monkeypatch.setattr(letters.replay_all, "__kwdefaults__", {"sleep": fail_again})
    assert lines(capsys, "replay", "--all", "--rate", "1")[0]["done"] == 4
    assert len(open_names(failed)) == 3


def test_no_more_are_replayed_than_may_wait(failed, capsys, monkeypatch):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    mend(failed)
    assert run(capsys, "replay", "--all")[0] == os.EX_TEMPFAIL
    assert open_names(failed) == ["on-a-b.sh:e2"]
    assert len(delivered(failed)) == 3
    assert run(capsys, "replay", "--all")[0] == 0
    assert len(delivered(failed)) == 4


@pytest.mark.parametrize("running", [True, False])
def test_a_handler_that_is_paused_takes_no_room_from_another(failed, capsys, monkeypatch, running):
    monkeypatch.setattr(asks, "OPEN_MAX", 2)
    mend(failed)
    # Those of the handler that is paused come first.
    in_order = sorted(failed.dead_letters.read_text().splitlines(keepends=True))
    failed.dead_letters.write_text("".join(in_order))
    main(["handlers", "pause", "on-a-b.sh"])
    main(["dispatch", "--once"])
    run(capsys, "replay", "on-a-b.sh", "-n", "2")
    with alive(failed) if running else nullcontext():
        assert main(["dead-letters", "replay", "--all"]) == os.EX_TEMPFAIL
    err = capsys.readouterr().err
    assert (
        "as many replays as may wait for on-a-b.sh are asked for. on-a-b.sh is paused (by hand): "
        "hookline handlers resume on-a-b.sh, then the same command again"
    ) in err
    assert open_names(failed) == ["on-a-b.sh:e2"]


@contextmanager
def alive(home):
    """A dispatcher of another process."""
    process = subprocess.Popen([sys.executable, "-m", "hookline", "dispatch"])
    try:
        while holder(home) is None:
            assert process.poll() is None
            time.sleep(0.02)  # a lock of another process: nobody tells
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_letters_of_a_handler_that_is_gone_stay_and_the_others_are_replayed(failed, capsys):
    mend(failed)
    failed.handlers.joinpath("on-c-d.sh").unlink()
    status, out = run(capsys, "replay", "--all", "--dry-run")
    assert (status, out) == (os.EX_TEMPFAIL, "3 dead letters to replay\n         3  on-a-b.sh\n")
    assert main(["dead-letters", "replay", "--all"]) == os.EX_TEMPFAIL
    told = capsys.readouterr()
    assert "asked for the replay of 3 of 3" in told.out
    assert (
        "passed over, 1 letter of on-c-d.sh: no handler 'on-c-d.sh' in "
        f"{failed.handlers} (is it gone?): put its file back (hookline handlers lists "
        "those that are there); or give them up: hookline dead-letters drop --handler on-c-d.sh\n"
    ) in told.err
    assert open_names(failed) == ["on-c-d.sh:other"]
    assert len(delivered(failed)) == 3


def test_only_letters_of_a_handler_that_is_gone_are_refused(failed, capsys):
    failed.handlers.joinpath("on-a-b.sh").unlink()
    before = failed.deliveries.read_bytes()
    for which in ("on-a-b.sh", "on-a-b.sh:e1"):
        status, out = run(capsys, "replay", which, "--json")
        assert status == os.EX_USAGE
        assert [*json.loads(out)["absent"]] == ["on-a-b.sh"]
    assert failed.deliveries.read_bytes() == before
    assert lines(capsys, "replay", "on-c-d.sh", "-n", "1")[0]["done"] == 1
    assert run(capsys, "drop", "on-a-b.sh")[0] == 0


def test_what_waits_for_a_handler_that_is_gone_is_shown(failed, capsys):
    main(["handlers", "pause", "on-a-b.sh"])
    run(capsys, "replay", "on-a-b.sh", "-n", "2")
    failed.handlers.joinpath("on-a-b.sh").unlink()
    main(["dispatch", "--once"])
    capsys.readouterr()
    need = (
        "on-a-b.sh is gone; deliveries that wait for it: 2, replays among them: 2; "
        f"put its file back into {failed.handlers}, or one that ends with exit 99"
    )
    for command in ("status", "handlers"):
        main([command])
        told = capsys.readouterr()
        assert need in told.out + told.err
        assert "paused" not in told.out + told.err
    assert main(["status", "--json"]) == os.EX_TEMPFAIL
    told = json.loads(capsys.readouterr().out)
    assert any(each.startswith(need) for each in told["needs"])
    main(["handlers", "--json"])
    *_, shown = map(json.loads, capsys.readouterr().out.splitlines())
    assert [shown[key] for key in ("name", "state", "waiting", "replays", "dead_letters")] == [
        "on-a-b.sh", "gone", 2, 2, 1,
    ]  # fmt: skip


def test_a_dry_run_changes_nothing(failed, capsys):
    for action in ("replay", "drop"):
        assert "4 dead letters" in run(capsys, action, "--all", "--dry-run")[1]
    assert len(open_names(failed)) == 4


@pytest.mark.parametrize("command", [["drop", "--all"], ["purge", "--older-than", "0s"]])
@pytest.mark.parametrize(("answer", "left"), [("n\n", 4), ("\n", 4), ("", 4), ("y\n", 0)])
def test_a_person_is_asked(failed, monkeypatch, command, answer, left):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["dead-letters", *command]) == 0
    assert f"{command[0]} them? [y/N]" in sys.stdout.getvalue()
    assert ("nothing was done\n" in sys.stdout.getvalue()) == (left > 0)
    assert len(open_names(failed)) == left


@pytest.mark.parametrize("command", [["drop", "--all"], ["purge", "--older-than", "0s"]])
def test_yes_is_an_answer(failed, monkeypatch, command):
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["dead-letters", *command, "--yes"]) == 0
    assert open_names(failed) == []


def test_a_person_is_not_asked_for_nothing(failed, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["dead-letters", "purge", "--older-than", "1d"]) == 0
    assert "[y/N]" not in sys.stdout.getvalue()
    assert len(open_names(failed)) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["drop", "nothing"],
        ["show", "nothing"],
        ["list", "--type", "*x"],
        ["list", "-n", "0"],
        ["list", "--since", "soon"],
        ["replay", "--all", "--rate", "0"],
        ["purge", "--older-than", "old"],
    ],
)
def test_what_cannot_be_meant_is_usage(failed, capsys, arguments):
    assert run(capsys, *arguments)[0] == os.EX_USAGE
    assert len(open_names(failed)) == 4


def test_purged_letters_are_counted_and_alerted(failed, capsys):
    (told,) = lines(capsys, "purge", "--older-than", "0s", "--dry-run")
    assert told["dropped"] == {"on-a-b.sh": 3, "on-c-d.sh": 1}
    assert len(open_names(failed)) == 4
    assert lines(capsys, "purge")[0]["dropped"] == {}
    status, out = run(capsys, "purge", "--older-than", "0s")
    assert status == 0
    assert "dropped: 4" in out
    assert open_names(failed) == []
    alerts = [json.loads(line) for line in failed.live("system").read_text().splitlines()]
    assert {(each["data"]["alert_type"], each["data"]["handler"]) for each in alerts} == {
        ("dead_letters_purged", "on-a-b.sh"),
        ("dead_letters_purged", "on-c-d.sh"),
    }


def test_a_part_that_a_replay_still_needs_is_held_and_it_is_said_for_whom(failed, capsys):
    for _ in range(2):
        with open_letters_log(failed) as queue:
            rotate_stream(queue)
        failed.dead_letters.write_bytes(b"\n")
    for path in failed.segments.iterdir():
        os.utime(path, (0, 0))
    main(["handlers", "pause", "on-a-b.sh"])
    run(capsys, "replay", "on-a-b.sh", "-n", "2")
    for arguments in (["--dry-run"], []):
        status, out = run(capsys, "purge", *arguments)
        assert status == 0
        assert out.splitlines()[-2:] == [
            "files of old letters held for replays that are pending: 1",
            "         2  on-a-b.sh: hookline handlers",
        ]
    (told,) = lines(capsys, "purge")
    assert (told["files"], told["held"], told["held_files"]) == (0, {"on-a-b.sh": 2}, 1)
    assert main(["archive"]) == 0
    assert (
        "held        1 file of dead letters: on-a-b.sh has still to replay 2 of them; "
        "next: hookline handlers"
    ) in capsys.readouterr().out
    assert len(list(failed.segments.iterdir())) == 2


def test_never_purges_nothing(failed, capsys):
    failed.config.joinpath("hookline.toml").write_text('[dead_letters]\nkeep = "never"\n')
    assert run(capsys, "purge") == (0, "")
    failed.config.joinpath("hookline.toml").write_text('[dead_letters]\nkeep = "30"\n')
    assert run(capsys, "purge")[0] == os.EX_CONFIG


def test_the_archive_purges_too(failed, capsys):
    failed.config.joinpath("hookline.toml").write_text('[dead_letters]\nkeep = "0s"\n')
    assert main(["archive", "--json"]) == 0
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]
    assert [step["files"] for step in steps if step.get("what") == "dead letter"] == [4]
    assert open_names(failed) == []


def test_a_limit_that_cannot_be_is_named(failed, capsys):
    failed.config.joinpath("hookline.toml").write_text("[dispatch]\npause_after = -1\n")
    capsys.readouterr()
    assert main(["dispatch", "--once"]) == os.EX_CONFIG
    assert "pause_after" in capsys.readouterr().err
