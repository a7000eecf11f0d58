import msgspec
import pytest

from hookline.app.config import load_daemons
from hookline.control.daemon import Daemon
from hookline.model.errors import BadConfig


@pytest.mark.parametrize("script", ["", "/bin/sh", "../x.sh", "scripts/../../x", "a\0b"])
def test_a_script_is_a_path_in_the_home(script):
    with pytest.raises(ValueError, match="script: "):
        Daemon(script=script)


def test_a_time_to_live_is_a_duration():
    assert Daemon(script="x", alive_for="2s").alive_for == "2s"
    with pytest.raises(ValueError, match="alive_for: "):
        Daemon(script="x", alive_for="soon")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[daemon."a b"]\nscript = "x"', "'a b' is no name of a daemon"),
        ('[daemon.x]\nscript = "/x"', r"\$\.daemon\.x"),
        ("[daemon.x]", "script"),
        ('[daemon.x]\nscript = "x"\nstart = "soon"', "start"),
        ('[daemon.x]\nscript = "x"\nspeed = 1', "speed"),
    ],
)
def test_what_is_wrong_in_daemons_toml_is_named(home, text, why):
    home.config.mkdir(parents=True, exist_ok=True)
    (home.config / "daemons.toml").write_text(text)
    with pytest.raises(BadConfig, match=why):
        load_daemons(home)


def test_the_shipped_daemons_are_read(checkout_home):
    assert "health" in load_daemons(checkout_home)


@pytest.fixture
def checkout_home():
    from pathlib import Path

    from hookline.log.home import Home

    return Home(Path(__file__).resolve().parents[3])


def test_a_daemon_is_a_value():
    with pytest.raises(AttributeError):
        Daemon(script="x").script = "y"
    assert msgspec.to_builtins(Daemon(script="x"))["run"] == "asked"
