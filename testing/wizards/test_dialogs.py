"""With whiptail, the same by dialogs: a stand-in notes what it is told to show, and answers."""

import re
import shutil

import pytest

from testing.wizards.home import GOOD

# Each call takes the next line of `answers`: an exit status, and what was chosen. What it is to
# show is kept, its arguments with a line for each.
STAND_IN = r"""#!/bin/bash
cd -- "${0%/*}"
printf '%s\n' "$@" >"shown.$(ls shown.* 2>/dev/null | wc -l)"
read -r status choice <answers
sed -i 1d answers
printf '%s' "$choice" >&2
exit "$status"
"""


@pytest.fixture
def dialogs(wizard, tmp_path, monkeypatch):
    """Runs the wizard with these answers, and returns what each dialog was to show."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "whiptail").write_text(STAND_IN)
    (folder / "whiptail").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/local/bin:/usr/bin:/bin")

    def answered(*answers, **size):
        (folder / "answers").write_text("".join(f"{answer}\n" for answer in answers))
        screen = wizard.terminal(**size)
        assert screen.ended() == 0
        assert not (folder / "answers").read_text()
        count = len(list(folder.glob("shown.*")))
        return [(folder / f"shown.{n}").read_text().splitlines() for n in range(count)]

    return answered


def kind(shown):
    return next(word for word in shown if word in {"--menu", "--msgbox", "--yesno"})


def test_what_the_menu_does_the_dialogs_do(wizard, dialogs):
    wizard.daemon("old", start="direct")
    shown = dialogs("0 1", "0", "0 2", "0 old", "0", "0 7", "1", "0 7", "0", "0", "0 0")
    assert [kind(each) for each in shown] == [
        "--menu", "--msgbox", "--menu", "--menu", "--msgbox",
        "--menu", "--yesno", "--menu", "--yesno", "--msgbox", "--menu",
    ]  # fmt: skip
    menu, table, _, which, started, _, sure, _, _, stopped, _ = shown
    assert menu[-18:] == [
        "1", "refresh", "2", "start a daemon", "3", "stop a daemon", "4", "restart a daemon",
        "5", "logs of a daemon", "6", "start all", "7", "stop all", "8", "health check",
        "0", "exit",
    ]  # fmt: skip
    assert any(line.startswith("  1 old   stopped") for line in table)
    assert which[-2:] == ["old", "The old: stopped"]
    assert any(line.startswith("old: running (process ") for line in started)
    assert "Stop all daemons?" in sure
    assert "--defaultno" in sure
    assert "old: stopped (SIGTERM)" in stopped


def test_what_nobody_starts_is_offered_and_what_has_failed_too(wizard, dialogs):
    wizard.daemon("old")
    request = dialogs("0 2", "0 old", "0", "0", "1")
    assert kind(request[2]) == "--yesno"
    assert "Start old without it?" in request[2]
    assert kind(request[3]) == "--msgbox"
    assert any(line.startswith("old: running (process ") for line in request[3])


@pytest.mark.skipif(not shutil.which("whiptail"), reason="there is no whiptail")
def test_on_the_smallest_screen_for_dialogs_the_menu_says_how_they_are(wizard):
    wizard.daemon("good", GOOD)
    screen = wizard.terminal(lines=20, columns=60, HOME=str(wizard.root.parent))
    shown = screen.shows("start a daemon")
    assert "Daemons of ~/home: 1 stopped" in shown
    assert "waits for one." in shown
    assert "Esc: back" in shown
    screen.type("\r")
    (row,) = re.findall("│ *(1 good .*?) *│", screen.shows("1 good"))
    assert row == "1 good  stopped                     The good"
    screen.type("\r")
    screen.hides("1 good")
    screen.type("\x1b")
    assert screen.ended() == 0


def test_escape_is_the_end_and_nothing_is_asked_where_it_would_not_fit(wizard, dialogs):
    wizard.daemon("good", GOOD)
    assert [kind(each) for each in dialogs("255")] == ["--menu"]
    small = wizard.terminal(lines=12, columns=40)
    small.shows("Your choice:")
    small.type("\x04")
    assert small.ended() == 0
