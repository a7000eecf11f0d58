"""`hookline migrate cron`: from a crontab or timers to schedules that run."""

import io
import json
import os
import pwd
import sys

import pytest

from hookline.app import moving
from hookline.cli.main import main

TAB = """\
# Ada's
HOME={home}
*/5 * * * * echo "it's $((1 + 1))" >>out; cat >>out%one%two
@reboot /usr/bin/thing
@daily echo daily >>out
"""
TABLES = """
[schedule.echo]
cron = "*/5 * * * *"
event = "cron.echo"
about = "from tab"
catch_up = "none"

[schedule.echo-2]
cron = "0 0 * * *"
event = "cron.echo_2"
about = "from tab"
catch_up = "none"
"""


@pytest.fixture
def tab(home, tmp_path, monkeypatch):
    monkeypatch.chdir(home.root.parent)
    monkeypatch.setattr(moving, "machine_zone", lambda: "UTC")
    path = tmp_path / "tab"
    path.write_text(TAB.replace("{home}", str(tmp_path)))
    return path


def run(capsys, *arguments):
    """The exit status, stdout and stderr."""
    capsys.readouterr()
    status = main(["migrate", "cron", *arguments])
    return status, *capsys.readouterr()


def written(home):
    path = home.config / "schedules.toml"
    return path.read_text() if path.exists() else ""


@pytest.mark.usefixtures("tab")
def test_without_write_it_only_shows_what_it_would_write(home, capsys):
    status, out, err = run(capsys, "tab")
    assert status == os.EX_DATAERR
    assert TABLES in out
    assert f"# {home.handlers}/on-cron-echo.sh:\n#!/usr/bin/env bash\n" in out
    assert "line 4 of tab: left where it is: a schedule has no start of the machine" in err
    assert "2 jobs can be moved; to do so: --write" in err
    assert written(home) == ""
    assert list(home.handlers.iterdir()) == []


@pytest.mark.usefixtures("tab")
def test_what_is_written_runs_at_its_tick_as_cron_ran_it(home, capsys, tmp_path):
    status, out, err = run(capsys, "tab", "--write")
    assert status == os.EX_DATAERR
    assert written(home).endswith(TABLES)
    assert sorted(each.name for each in home.handlers.iterdir()) == [
        "on-cron-echo-2.sh",
        "on-cron-echo.sh",
    ]
    assert {oct(each.stat().st_mode & 0o777) for each in home.handlers.iterdir()} == {"0o750"}
    assert "take these out, or both will run: line 3 of tab, line 5 of tab" in err
    assert main(["schedule", "trigger", "echo"]) == 0
    assert main(["dispatch", "--once"]) == 0
    assert (tmp_path / "out").read_text() == "it's 2\none\ntwo\n"
    assert main(["schedule", "trigger", "echo-2"]) == 0
    assert main(["dispatch", "--once"]) == 0
    assert (tmp_path / "out").read_text().endswith("two\ndaily\n")
    assert out.splitlines()[-1] == f"wrote {home.config}/schedules.toml"


@pytest.mark.usefixtures("tab")
def test_what_is_there_stays_as_it_is_and_the_second_time_nothing_is_done(home, capsys):
    path = home.config / "schedules.toml"
    path.write_text('# mine\n[schedule.echo]\nevery="5s"\nevent="a.b"\n[schedule.echo.data]\nx=1')
    before = path.read_text()
    run(capsys, "tab", "--write")
    after = path.read_text()
    assert after == f"{before}\n{TABLES}".replace("echo-2", "echo-3").replace(
        "echo_2", "echo_3"
    ).replace("[schedule.echo]\ncron", "[schedule.echo-2]\ncron").replace(
        'cron.echo"', 'cron.echo_2"'
    )
    handlers = {each: each.read_text() for each in home.handlers.iterdir()}
    assert len(handlers) == 2
    _, out, err = run(capsys, "tab", "--write")
    assert out == ""
    assert "line 3 of tab: is here already, as echo-2" in err
    assert path.read_text() == after
    assert {each: each.read_text() for each in home.handlers.iterdir()} == handlers


@pytest.mark.usefixtures("tab")
def test_a_line_that_has_moved_in_the_crontab_is_still_the_same_job(tab, capsys):
    run(capsys, "tab", "--write")
    tab.write_text(f"# one line more\n{tab.read_text()}")
    _, out, _ = run(capsys, "tab", "--write")
    assert out == ""


@pytest.mark.usefixtures("tab")
def test_a_handler_of_somebody_else_is_not_overwritten(home, capsys):
    own = home.handlers / "on-cron-echo.sh"
    own.write_text("mine")
    run(capsys, "tab", "--write")
    assert own.read_text() == "mine"
    assert '[schedule.echo-2]\ncron = "*/5' in written(home)


@pytest.mark.usefixtures("tab")
def test_ticks_alone_first_and_their_handlers_later(home, capsys):
    _, _, err = run(capsys, "tab", "--write", "--ticks-only")
    assert list(home.handlers.iterdir()) == []
    assert "migrate compare" in err
    before = written(home)
    _, out, _ = run(capsys, "tab", "--write")
    assert len(out.splitlines()) == 2
    assert written(home) == before


@pytest.mark.usefixtures("tab")
def test_as_json_each_entry_is_a_line(home, capsys):
    status, out, _ = run(capsys, "tab", "--json")
    first, second, third = map(json.loads, out.splitlines())
    assert status == os.EX_DATAERR
    assert (first["action"], first["name"], first["event"]) == ("would move", "echo", "cron.echo")
    assert "one\ntwo" in first["script"]
    assert (second["action"], second["was"]) == ("left", "@reboot /usr/bin/thing")
    assert third["schedules"]["echo-2"].startswith("[schedule.echo-2]\n")
    assert written(home) == ""


@pytest.mark.usefixtures("tab")
def test_a_crontab_comes_from_standard_input_too(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0 1 * * * caf\xe9\n")))
    status, out, _ = run(capsys, "-", "--timezone", "Asia/Tokyo")
    assert status == 0
    assert 'timezone = "Asia/Tokyo"' in out


@pytest.mark.usefixtures("tab")
def test_bytes_that_are_no_utf8_stay_what_they_are(home, tab, capsys):
    tab.write_bytes(b"0 1 * * * echo caf\xe9\n")
    assert run(capsys, "tab", "--write")[0] == 0
    assert b"'echo caf\xe9'" in (home.handlers / "on-cron-echo.sh").read_bytes()
    assert run(capsys, "tab", "--write")[1] == ""


def test_without_a_name_it_is_the_crontab_of_the_user(tab, capsys, monkeypatch, tmp_path):
    command = tmp_path / "bin" / "crontab"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\n[ "$1" = -l ] && exec cat {tab}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    _, out, _ = run(capsys)
    assert 'about = "from the crontab"' in out
    command.write_text("#!/bin/sh\necho 'no crontab for ada' >&2\nexit 1\n")
    status, _, err = run(capsys)
    assert (status, err) == (
        os.EX_DATAERR, "hookline migrate: crontab -l: no crontab for ada\n",
    )  # fmt: skip
    command.unlink()
    monkeypatch.setenv("PATH", str(command.parent))
    assert run(capsys)[0] == os.EX_USAGE


@pytest.mark.usefixtures("tab")
@pytest.mark.parametrize("text", ["schedule = {a = {every = '5s', event = 'a.b'}}", "[schedule.a"])
def test_a_file_that_cannot_be_appended_to_stays_as_it_is(home, capsys, text):
    (home.config / "schedules.toml").write_text(text)
    status, _, err = run(capsys, "tab", "--write")
    assert status == os.EX_CONFIG
    assert "schedules.toml" in err
    assert written(home) == text
    assert list(home.handlers.iterdir()) == []


def test_timers_of_systemd_and_their_services(home, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(moving, "machine_zone", lambda: "Europe/Berlin")
    (tmp_path / "tea.timer").write_text(
        "[Timer]\nOnCalendar=daily\nPersistent=true\nRandomizedDelaySec=30\n"
    )
    changes = tmp_path / "tea.timer.d"
    changes.mkdir()
    (changes / "later.conf").write_text("[Timer]\nOnCalendar=\nOnCalendar=*-*-* 05:00\n")
    user = pwd.getpwuid(os.geteuid()).pw_name
    (tmp_path / "tea.service").write_text(
        f"[Service]\nUser={user}\nWorkingDirectory={tmp_path}\nExecStart=/bin/touch 'the tea'\n"
    )
    (tmp_path / "boot.timer").write_text("[Timer]\nOnBootSec=1min\n")
    (tmp_path / "boot.service").write_text("[Service]\nExecStart=/bin/true\n")
    timers = [str(tmp_path / name) for name in ("tea.timer", "boot.timer")]
    status, out, err = run(capsys, "--systemd", *timers, "--write")
    assert status == os.EX_DATAERR
    assert "boot.timer: left where it is: OnBootSec" in err
    assert written(home).partition("\n\n")[2] == (
        '[schedule.tea]\ncron = "*-*-* 05:00"\ntimezone = "Europe/Berlin"\nevent = "timer.tea"\n'
        'about = "from tea.timer"\njitter = "30s"\ncatch_up = "last"\noverlap = "skip"\n'
    )
    assert main(["schedule", "trigger", "tea"]) == 0
    assert main(["dispatch", "--once"]) == 0
    assert (tmp_path / "the tea").exists()
    assert out


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--system", "--systemd"],
        ["a", "b"],
        ["--systemd", "nowhere.timer"],
        ["--systemd", "/etc/passwd"],
        [""],
    ],
)
def test_what_makes_no_sense_is_a_mistake(arguments, capsys):
    assert run(capsys, *arguments)[0] == os.EX_USAGE
