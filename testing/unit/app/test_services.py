"""Units laid down and taken away; systemctl is a program that remembers what it was asked for."""

import json
import os

import pytest

from hookline.app.doctor import examine
from hookline.app.services import Services, installed, is_waited_for
from hookline.cli.main import main
from hookline.log.home import Home
from hookline.model.errors import CannotCreate, TryAgain

PROGRAM = '[program.worker]\ncommand = ["/bin/true"]\n'


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/systemd/user"


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """What it was asked to do; `state` is what it says of the system."""

    class Systemctl:
        def __init__(self):
            self.path = tmp_path / "bin/systemctl"
            self.path.parent.mkdir()
            self.state("running")
            monkeypatch.setenv("PATH", f"{self.path.parent}:{os.environ['PATH']}")

        def state(self, state, active="inactive"):
            self.path.write_text(
                f"""#!/bin/bash
                [[ $1 != --user ]] || shift
                case $1 in
                --version) echo "systemd 252 (252.1)" ;;
                is-system-running) echo {state} ;;
                is-active) echo {active}; [[ {active} == active ]] ;;
                list-units) printf '%s loaded active running x\n' "${{@:5:2}}" ;;
                *) echo "$*" >>"$0.asked" ;;
                esac
                """
            )
            self.path.chmod(0o755)

        def asked(self):
            path = self.path.with_name("systemctl.asked")
            said = path.read_text().splitlines() if path.exists() else []
            path.unlink(missing_ok=True)
            return said

    return Systemctl()


@pytest.fixture
def packaged(home, tmp_path):
    (home.config / "programs.toml").write_text(PROGRAM)
    return lambda: Services(home, "system", packaged=str(tmp_path / "image"))


def install(services, **more):
    how = {"on_demand": False, "enable": False, "now": False, **more}
    return [(step.action, os.path.basename(step.what)) for step in services.install(**how)]


def test_once_more_there_is_nothing_to_do(packaged):
    assert {action for action, _ in install(packaged())} == {"wrote"}
    before = {path: path.stat().st_mtime_ns for path in packaged().found()}
    assert {action for action, _ in install(packaged())} == {"kept"}
    assert {path: path.stat().st_mtime_ns for path in packaged().found()} == before


def test_what_was_changed_by_hand_is_put_right_and_what_is_gone_is_taken_away(home, packaged):
    install(packaged())
    unit = packaged().folder / f"{packaged().place.prefix}-dispatcher.service"
    text = unit.read_text()
    unit.write_text(text + "Nice=5\n")
    (home.config / "programs.toml").write_text("")
    done = dict.fromkeys(install(packaged()))
    assert ("wrote", unit.name) in done
    assert ("removed", f"{packaged().place.prefix}-worker.service") in done
    assert unit.read_text() == text


@pytest.mark.parametrize("make", [
    lambda path: path.write_text("[Service]\n"),
    lambda path: path.symlink_to("/dev/null"),
    lambda path: path.write_text("# Written by `hookline daemon install` for /srv/other\n"),
])  # fmt: skip
def test_a_unit_of_somebody_else_stays_and_nothing_is_written(packaged, make):
    unit = packaged().folder / f"{packaged().place.prefix}-dispatcher.service"
    unit.parent.mkdir(parents=True)
    make(unit)
    for work in (install, lambda services: list(services.uninstall())):
        with pytest.raises(CannotCreate, match=r"dispatcher\.service is not a file that"):
            work(packaged())
    assert list(unit.parent.iterdir()) == [unit]


def test_another_home_and_what_people_have_changed_stay(packaged, tmp_path):
    other = Home(tmp_path / "other/home")
    other.coordination.mkdir(parents=True)
    others = Services(other, "system", packaged=str(tmp_path / "image"))
    install(others)
    install(packaged())
    drop_in = packaged().folder / f"{packaged().place.prefix}-dispatcher.service.d/override.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\n")
    wants = packaged().folder / f"{packaged().place.target}.wants"
    wants.mkdir()
    for name in ("dispatcher.service", "daemon@health.service"):
        (wants / f"{packaged().place.prefix}-{name}").symlink_to("/somewhere")
    list(packaged().uninstall())
    assert packaged().found() == []
    assert not wants.exists()
    assert packaged().drop_ins() == [drop_in.parent]
    assert len(others.found()) == len(others.texts())
    assert list(packaged().uninstall()) == []


def test_systemd_is_told_of_what_has_changed_and_of_nothing_else(home, systemctl):
    install(Services(home, "user"))
    assert systemctl.asked() == ["daemon-reload"]
    install(Services(home, "user"))
    assert systemctl.asked() == []
    services = Services(home, "user")
    prefix = services.place.prefix
    install(services, now=True)
    assert systemctl.asked() == [
        f"disable --now {prefix}-once.path {prefix}-once.timer",
        f"enable --now {prefix}.target {prefix}-dispatcher.service",
    ]
    unit = services.folder / f"{prefix}-dispatcher.service"
    unit.write_text(f"{services.place.marker}\n")
    install(services, on_demand=True, now=True)
    assert systemctl.asked() == [
        "daemon-reload",
        f"try-restart {prefix}-dispatcher.service",
        f"disable --now {prefix}-dispatcher.service",
        f"enable --now {prefix}.target {prefix}-once.path {prefix}-once.timer",
    ]
    list(services.uninstall())
    stop, reload, reset = systemctl.asked()
    assert stop == f"stop {prefix}-daemon@*.path {prefix}-daemon@*.service"
    assert (reload, reset) == ("daemon-reload", f"reset-failed {prefix}*")


def test_where_no_systemd_answers_the_units_are_written_all_the_same(home, systemctl):
    systemctl.state("offline")
    with pytest.raises(TryAgain, match=r"units are written.*: where one does, systemctl --user en"):
        install(Services(home, "user"), now=True)
    assert len(Services(home, "user").found()) == 7
    assert systemctl.asked() == []


@pytest.mark.usefixtures("systemctl")
def test_the_scopes_with_units_are_found(home):
    assert list(installed(home)) == []
    install(Services(home, "user"))
    assert [each.place.scope for each in installed(home)] == ["user"]


def test_a_daemon_is_waited_for_where_its_unit_is_enabled(home, user_folder):
    assert not is_waited_for(home, "x")
    wants = user_folder / f"{Services(home, 'user').place.target}.wants"
    wants.mkdir(parents=True)
    (wants / f"{Services(home, 'user').place.prefix}-daemon@x.path").symlink_to("../some")
    assert is_waited_for(home, "x")
    assert not is_waited_for(home, "y")


def examined(home):
    return [each for each in examine(home) if each.check == "systemd"]


def test_the_doctor_says_how_the_units_do(home, systemctl):
    assert examined(home) == []
    install(Services(home, "user"))
    assert "deliver nothing now" in examined(home)[0].found
    systemctl.state("running", active="active")
    assert examined(home)[0].found.endswith("/systemd/user run the home")
    assert not examined(home)[0].note
    unit = Services(home, "user").folder / Services(home, "user").place.target
    unit.write_text(f"{Services(home, 'user').place.marker}\n")
    assert examined(home)[0].next == "hookline daemon install --user --now"


# -- the commands ------------------------------------------------------------------------


def test_the_command_tells_what_it_did_and_what_comes_next(home, systemctl, capsys):
    systemctl.state("offline")
    assert main(["daemon", "install", "--user"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("wrote ")
    assert "next: systemctl --user enable --now hookline-home-" in out
    assert "hookline up runs the same" in err
    assert main(["daemon", "install", "--user"]) == 0
    assert capsys.readouterr().out.startswith("unchanged: 7 units\nnext: ")
    assert main(["daemon", "uninstall", "--user", "--json"]) == 0
    removed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["action"] for each in removed} == {"removed"}
    assert main(["daemon", "uninstall", "--user"]) == 0
    assert capsys.readouterr().out.startswith("nothing to do")
    assert not list(Services(home, "user").folder.iterdir())


@pytest.mark.usefixtures("home", "systemctl")
def test_to_print_them_touches_nothing(capsys, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert main(["daemon", "install", "--system", "--print"]) == 0
    assert "\n[Install]\nWantedBy=multi-user.target\n" in capsys.readouterr().out
    assert main(["daemon", "install", "--dry-run", "--json"]) == 0
    assert all(json.loads(line)["text"] for line in capsys.readouterr().out.splitlines())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("home")
def test_the_units_of_the_system_are_roots(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for action in ("install", "uninstall"):
        assert main(["daemon", action, "--system"]) == os.EX_NOPERM
        assert "sudo hookline daemon ... --system, or --user" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_an_image_starts_nothing(tmp_path, capsys):
    assert main(["daemon", "install", "--root", str(tmp_path), "--now"]) == os.EX_USAGE
    assert "--root asks no systemd" in capsys.readouterr().err


@pytest.mark.usefixtures("systemctl")
def test_units_of_a_home_that_is_gone_can_be_removed(tmp_path, monkeypatch):
    home = Home(tmp_path / "gone")
    monkeypatch.setenv("HOOKLINE_HOME", str(home.root))
    services = Services(home, "user")
    unit = services.folder / services.place.target
    unit.parent.mkdir(parents=True)
    unit.write_text(f"{services.place.marker}\n")
    assert main(["daemon", "uninstall", "--user"]) == 0
    assert not unit.exists()
