"""The units of a home: systemd has no complaint, whatever the home is called, and what they say."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hookline.control.units import Place, Program, both_ways, daemon_unit, units, wanted
from hookline.model.errors import BadConfig
from hookline.schedule.units import read_unit, specified, split

PROGRAMS = [
    Program("archiver", ["/bin/true", "a"], "closes\nold 50% logs", 600.0),
    Program("scheduler", ["/bin/true"], notify=True),
    Program("worker", ["/bin/true", "$x"]),
]
ODD = ["my bus", "100%u", 'it\'s "so"', "$HOME ${x}", "[a]*?", "back\\slash", "größe"]


def place(home="/srv/bus", **more):
    given = {
        "home": home, "writable": [home], "hookline": ["/bin/true"], "path": "/bin:/a b",
        "scope": "system", "user": "daemon", "version": 252,
    }  # fmt: skip
    return Place(**{**given, **more})


def unit(kind, **more):
    where = place(**more)
    return read_unit([units(where, PROGRAMS)[f"{where.prefix}{kind}"]])


def value(unit, key, section="Service"):
    return [each for name, each in unit[section] if name == key]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("scope", ["user", "system"])
def test_systemd_finds_nothing_wrong_with_them(scope, tmp_path):
    said = subprocess.check_output(["systemctl", "--version"], text=True)
    files = []
    for name in ["bus", *ODD]:
        home = tmp_path / name
        home.mkdir()
        shutil.copy("/bin/true", home)
        where = place(str(home), scope=scope, version=int(said.split()[1]))
        own = Program("own", [f"{home}/true"])
        for file, text in units(where, [*PROGRAMS, own]).items():
            (tmp_path / file).write_text(text)
            files.append(tmp_path / file)
    done = subprocess.run(
        ["systemd-analyze", f"--{scope}", "verify", *files],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("name", ODD)
def test_a_home_of_any_name_is_named_as_it_is(name):
    home = f"/srv/{name}"
    service = unit("-dispatcher.service", home=home)
    settings = split(specified(value(service, "Environment")[0], "x"))
    assert f"HOOKLINE_HOME={home}" in settings
    assert "PATH=/bin:/a b" in settings
    assert specified(value(service, "WorkingDirectory")[0], "x") == home
    assert split(specified(value(service, "ReadWritePaths")[0], "x")) == [home, "/tmp", "/var/tmp"]


def test_a_command_gets_its_arguments_as_they_are():
    assert value(unit("-worker.service"), "ExecStart") == ['/bin/true "$$x"']
    assert value(unit("-daemon@.service"), "ExecStart") == ["/bin/true daemon run %i"]


@pytest.mark.parametrize("name", ODD)
def test_a_program_in_a_home_of_any_name_is_started_as_itself(name, tmp_path):
    own = tmp_path / name / "own.sh"
    own.parent.mkdir()
    own.write_text('#!/bin/sh\nprintf "%s|" "$0" "$@"\n')
    own.chmod(0o750)
    where = place()
    service = read_unit([
        units(where, [Program("own", [str(own), "a b", "$x"])])[f"{where.prefix}-own.service"]
    ])  # fmt: skip
    words = split(specified(value(service, "ExecStart")[0], "x"))
    words = [words[0], *(word.replace("$$", "$") for word in words[1:])]
    assert not set(words[0]) & set("\"'\\")
    assert subprocess.check_output(words, text=True) == f"{own}|a b|$x|"


def test_the_units_of_two_homes_have_different_names():
    names = {place(home).prefix for home in ("/srv/bus", "/opt/bus", "/srv/a bus", "/srv/a-bus")}
    assert len(names) == 4
    assert place("/srv/my bus!").prefix.startswith("hookline-my-bus-")
    assert place("/srv/...").prefix.startswith("hookline-home-")


@pytest.mark.parametrize("home", ["/srv/a\nb", "/srv/a ", "/srv/a\\", "/srv/a\x7fb"])
def test_a_home_that_no_unit_can_name_is_refused(home):
    with pytest.raises(BadConfig, match="a unit cannot name this folder"):
        units(place(home), [])


def test_a_program_that_is_called_as_a_unit_of_ours_is_refused():
    with pytest.raises(BadConfig, match="rename the program"):
        units(place(), [Program("once", ["/bin/true"])])


def test_pauses_grow_where_systemd_can_do_that():
    assert "RestartSteps=" not in "".join(units(place(version=253), PROGRAMS).values())
    assert value(unit("-dispatcher.service", version=254), "RestartSteps") == ["6"]


def test_the_user_has_only_what_needs_no_namespace():
    """In one, root's files are nobody's, and the dispatcher trusts no handler."""
    of_user = "".join(units(place(scope="user"), PROGRAMS).values())
    assert not any(key in of_user for key in ("Protect", "ReadWritePaths", "User=", "Private"))
    assert "NoNewPrivileges=yes" in of_user


def test_who_is_not_root_has_no_capability():
    assert "CapabilityBoundingSet=\n" in "".join(units(place(), []).values())
    assert "CapabilityBoundingSet" not in "".join(units(place(user="root"), []).values())


def test_a_dispatcher_that_stays_and_one_on_demand_take_turns():
    conflicts = value(unit("-dispatcher.service"), "Conflicts", "Unit")[0].split()
    stays, on_demand = both_ways(place())
    assert set(on_demand) < set(conflicts)
    assert set(wanted(place(), [], {}, on_demand=False)) == {place().target, *stays}
    assert set(wanted(place(), [], {}, on_demand=True)) == {place().target, *on_demand}


def test_what_is_to_start_by_itself_is_enabled():
    found = wanted(place(), PROGRAMS, {"health": True, "x": False}, on_demand=False)
    endings = [each.removeprefix(place().prefix) for each in found]
    assert endings == [
        ".target", "-dispatcher.service", "-archiver.timer", "-scheduler.service",
        "-worker.service", "-daemon@health.path", "-daemon@x.path", "-daemon@health.service",
    ]  # fmt: skip
    assert found[-1] == daemon_unit(place(), "health")


def test_what_is_forbidden_is_explained_and_what_is_not_is_not_there():
    page = (Path(__file__).parents[3] / "docs/OPERATIONS.md").read_text()
    explained, left_out = page.partition("### Hardening")[2].split("| not in the units |")
    keys = {key for key, _ in unit("-dispatcher.service")["Service"]}
    hardening = {key for key in keys if key.startswith(("Protect", "Restrict", "System", "No"))}
    hardening -= {"Restart", "RestartSec", "NotifyAccess"}
    assert hardening
    assert {key for key in hardening if f"`{key}=" not in explained} == set()
    table = left_out.partition("\n\n")[0]
    assert keys & set(re.findall(r"`(\w+)=`", table)) == set()


def test_a_daemon_is_started_by_a_file_that_its_end_removes():
    paths = value(unit("-daemon@.path", home="/srv/100% bus"), "PathExists", "Path")
    assert paths == ["/srv/100%% bus/coordination/daemons/%i/asked"]
    service = unit("-daemon@.service", home="/srv/100% bus")
    assert value(service, "WorkingDirectory") == ["/srv/100%% bus"]
    assert value(service, "ExecStopPost") == ["rm -f -- coordination/daemons/%i/asked"]


def test_the_drop_box_is_looked_at_for_what_a_dispatcher_takes():
    """Of a file that nobody takes, a path unit would make a loop."""
    glob = value(unit("-once.path", home="/srv/[a]"), "PathExistsGlob", "Path")
    assert glob == ["/srv/\\[a]/coordination/events/queue/*.json"]
    service = unit("-once.service")
    assert value(service, "ExecStopPost") == ["sleep 5"]
    assert value(service, "StartLimitIntervalSec", "Unit") == ["0"]
