"""The menu of the wizard, as a person sees it in a terminal."""

import json
import os
import re
import shutil
import signal

import pytest

from testing.waiting import until
from testing.wizards.home import ASKED, GOOD

CHOICE = "Your choice:"
BACK = "Enter: back to the menu"


def state(wizard, name):
    return json.loads(wizard.run("status", name, "--json").stdout)


def back(screen):
    """From what was done to the menu."""
    screen.shows(BACK)
    screen.type("\r")
    screen.hides(BACK)
    screen.shows(CHOICE)


def choose(screen, number, daemon=None):
    screen.shows(CHOICE)
    screen.type(f"{number}\r")
    if daemon:
        screen.shows("Which daemon")
        screen.type(f"{daemon}\r")


def test_one_that_cannot_run_has_failed_and_why(wizard):
    wizard.daemon("bad", "exit 78\n")
    wizard.dispatch()
    screen = wizard.terminal("--plain")
    choose(screen, 6)
    assert "bad: failed: exit 78: its configuration is wrong" in screen.shows(BACK)
    back(screen)
    assert "1 bad   failed" in screen.text()
    choose(screen, 8)
    shown = screen.shows("Restart bad? (y/n)")
    assert "UNHEALTHY bad: it has failed: exit 78" in shown
    screen.type("n\r")
    screen.shows(BACK)
    back(screen)
    choose(screen, 8)
    screen.shows("Restart bad? (y/n)")
    (wizard.root / "scripts/daemons/bad-test-daemon.sh").write_text("#!/bin/bash\n" + GOOD)
    screen.type("y\r")
    screen.shows("bad: running (process ")


def test_without_a_dispatcher_a_request_is_a_request_and_the_legacy_start_is_offered(wizard):
    wizard.daemon("old")
    screen = wizard.terminal("--plain")
    choose(screen, 2, "1")
    shown = screen.shows("l: start old without it")
    assert "nobody starts it now: no dispatcher runs" in shown
    back(screen)
    assert "1 old   requested" in screen.text()
    assert state(wizard, "old")["state"] == "requested"
    choose(screen, 2, "1")
    screen.shows("l: start old without it")
    screen.type("l\r")
    screen.shows("old: running (process ")
    assert state(wizard, "old")["mode"] == "alone"
    log = wizard.coordination / "events/system-events.jsonl"
    request = json.loads(log.read_text().splitlines()[0])
    assert (request["source"], request["priority"]) == ("daemon-control-wizard", "high")
    assert request["data"] == {
        "daemon_type": "old", "daemon_name": "The old",
        "daemon_script": "scripts/daemons/old-test-daemon.sh", "action": "start",
    }  # fmt: skip


def test_a_logger_that_is_taken_away_in_the_middle_leaves_the_legacy_start(wizard):
    wizard.daemon("one")
    wizard.daemon("two")
    screen = wizard.terminal("--plain")
    choose(screen, 2, "1")
    screen.shows("nobody starts it now")
    wizard.logger.unlink()
    back(screen)
    choose(screen, 2, "2")
    shown = screen.shows(BACK)
    assert "two: no event logger: the legacy start" in shown
    assert "two: running (process " in shown
    dropped = [json.loads(path.read_text()) for path in wizard.coordination.glob("events/queue/*")]
    assert [each["type"] for each in dropped] == ["daemon.started"]


def test_ctrl_c_ends_the_waiting_and_at_the_menu_the_wizard(wizard):
    wizard.daemon("slow", "trap 'exit 0' TERM\nsleep 60 & wait\n")
    wizard.dispatch()
    screen = wizard.terminal("--plain")
    choose(screen, 2, "1")
    screen.shows("waiting for slow")
    screen.shows("slow: starting")
    screen.type("\x03")
    assert "slow: no word of its end so far" in screen.shows(BACK)
    screen.type("\x03")
    screen.hides(BACK)
    screen.shows(CHOICE)
    screen.type("\x03")
    assert screen.ended() == 0


def test_a_log_is_followed_until_ctrl_c_and_does_nothing_to_the_terminal(wizard):
    wizard.daemon("loud")
    log = wizard.coordination / "logs/loud.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {n}\n" for n in range(30)) + "\x1b[2Jhostile\x07\u202eé\n")
    screen = wizard.terminal("--plain")
    choose(screen, 5, "1")
    shown = screen.shows("f: follow it")
    assert "line 11\n" in shown
    assert "line 10\n" not in shown
    assert r"\u{1b}[2Jhostile\u{7}\u{202e}é" in shown
    screen.type("f\r")
    screen.shows("line 29")
    with log.open("a") as file:
        file.write("and more\n")
    screen.shows("and more")
    screen.type("\x03")
    choose(screen, 0)
    assert screen.ended() == 0


@pytest.mark.parametrize(
    ("lines", "columns", "env"),
    [
        (10, 30, {}),
        (60, 200, {}),
        (24, 80, {"TERM": "dumb"}),
        (24, 80, {"LC_ALL": "C"}),
    ],
)
def test_every_terminal_shows_it(wizard, lines, columns, env):
    wizard.daemon("good", GOOD)
    screen = wizard.terminal("--plain", lines=lines, columns=columns, **env)
    screen.shows(CHOICE)
    assert "good" in screen.text()
    screen.type("\x04")
    assert screen.ended() == 0
    assert env.get("TERM") != "dumb" or b"\x1b" not in screen.said
    shown = re.sub(r"\x1b\[\d*[A-Za-z]", "", screen.said.decode())
    assert max(map(len, shown.splitlines())) <= columns


def test_a_screen_that_is_too_short_shows_all_daemons_one_page_after_the_other(wizard):
    for number in range(1, 6):
        wizard.daemon(f"d{number}", GOOD)
    screen = wizard.terminal("--plain", lines=10, columns=40)
    first = screen.shows("1 to 2 of 5")
    assert "Daemons of" in first
    assert "1 d1" in first
    assert "0 exit" in first
    for page in ("3 to 4 of 5", "5 to 5 of 5", "1 to 2 of 5"):
        screen.type("+\r")
        assert f"{page[0]} d{page[0]}" in screen.shows(page)
    screen.resize(24, 80)
    screen.type("\r")
    screen.hides("+ shows more")
    assert "5 d5" in screen.shows(CHOICE)


@pytest.fixture
def held(tmp_path):
    """What looks how the daemons are does not come to an end while this file is there."""
    hold, held, folder = tmp_path / "hold", tmp_path / "held", tmp_path / "bin"
    folder.mkdir()
    jq = folder / "jq"
    jq.write_text(
        f"#!/bin/bash\n[[ ! -e {hold} ]] || {{ : >{held}; exec sleep 60; }}\n"
        f'exec {shutil.which("jq")} "$@"\n'
    )
    jq.chmod(0o755)

    class Hold:
        path = f"{folder}:{os.environ['PATH']}"

        def begin(self):
            held.unlink(missing_ok=True)
            hold.touch()

        def end(self, screen):
            """By Ctrl-C, once it is held."""
            until(held.exists)
            hold.unlink()
            screen.type("\x03")

    return Hold()


def test_ctrl_c_while_the_menu_looks_how_they_are_ends_the_wizard(wizard, held):
    wizard.daemon("good", GOOD)
    held.begin()
    screen = wizard.terminal("--plain", PATH=held.path)
    held.end(screen)
    assert screen.ended() == 0
    assert CHOICE.encode() not in screen.said


def test_ctrl_c_leaves_the_others_as_they_are(wizard, held):
    for name in ("one", "two"):
        wizard.daemon(name, start="direct")
    screen = wizard.terminal("--plain", PATH=held.path)
    screen.shows(CHOICE)
    for number, words in ((6, "not started: one two"), (7, "not stopped: one two")):
        held.begin()
        choose(screen, number)
        if number == 7:
            screen.shows("(y/n)")
            screen.type("y\r")
        held.end(screen)
        assert words in screen.shows(BACK)
        back(screen)
    held.begin()
    choose(screen, 8)
    held.end(screen)
    screen.hides("Your choice: 8")
    assert b"healthy" not in screen.said


def test_ctrl_c_is_no_yes_and_no_mistake(wizard):
    wizard.daemon("good", GOOD)
    screen = wizard.terminal("stop", "--all")
    screen.shows("(y/n)")
    screen.type("y\x03")
    assert screen.ended() == 0
    assert b"stopped" not in screen.said
    assert b"unbound" not in screen.said


def test_garbage_and_another_size_do_not_break_it(wizard):
    wizard.daemon("good", GOOD)
    screen = wizard.terminal("--plain")
    for garbage in ("99", "$(touch hacked)", "\x1b[A", "é" * 40):
        choose(screen, garbage)
        screen.shows("is none of these")
        back(screen)
    screen.resize(40, 132)
    choose(screen, "8")
    back(screen)
    assert not (wizard.root / "hacked").exists()
    choose(screen, "0")
    assert screen.ended() == 0


def test_colours_are_there_unless_they_are_not_wanted(wizard):
    wizard.daemon("good", GOOD)
    coloured = wizard.terminal("--plain", "status")
    assert coloured.ended() == 0
    assert b"\x1b[2mstopped" in coloured.said
    plain = wizard.terminal("--plain", "status", NO_COLOR="1")
    assert plain.ended() == 0
    assert b"\x1b" not in plain.said


def test_in_a_pipe_the_menu_takes_numbers_and_ends_with_them(wizard):
    wizard.daemon("old", start="direct")
    done = wizard.run(stdin="2\n1\n1\n7\ny\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert done.stdout.index("old: running (process ") < done.stdout.index("old: stopped (SIGTERM)")


def test_a_daemon_whose_supervisor_was_killed_is_shown_and_can_be_stopped(wizard):
    wizard.daemon("good", GOOD)
    wizard.dispatch()
    assert wizard.run("start", "good").returncode == 0
    was = state(wizard, "good")
    assert (was["state"], was["mode"]) == ("running", "supervised")
    assert os.path.exists(f"/proc/{was['pid']}")
    os.kill(was["supervisor"], signal.SIGKILL)
    until(lambda: state(wizard, "good")["mode"] == "alone")
    assert wizard.run("stop", "good").returncode == 0
    is_now = state(wizard, "good")
    assert (is_now["state"], is_now["pid"]) == ("stopped", None)
    assert is_now["is_lost"]


def test_a_crash_loop_is_shown_as_it_goes(wizard, soak_s):
    if not soak_s:
        pytest.skip("it takes 16 s to give up: testing/run.sh --soak MINUTES")
    wizard.daemon("loop", "exit 3\n")
    wizard.dispatch()
    screen = wizard.terminal("start", "loop")
    screen.shows("loop: restarting: exit 3 before it was ready")
    screen.shows("loop: failed: crash loop: 5 ends in a row, the last with exit 3", 60)
    assert screen.ended() == 69


def test_who_asks_for_what_nobody_starts_is_told(wizard):
    wizard.daemon("good", GOOD)
    wizard.dispatch()
    (wizard.root / "scripts/events/handlers" / ASKED).unlink()
    done = wizard.run("start", "good")
    assert done.returncode == 75
    assert f"there is no handler {ASKED}" in done.stdout
