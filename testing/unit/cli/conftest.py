import pytest

from hookline.cli.main import main
from hookline.log.home import Home


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """A home as `hookline init` makes it, without the handlers that come with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOOKLINE_HOME", raising=False)
    assert main(["init", "project"]) == 0
    monkeypatch.setenv("HOOKLINE_HOME", str(tmp_path / "project"))
    home = Home(tmp_path / "project")
    for handler in home.handlers.iterdir():
        handler.unlink()
    capsys.readouterr()
    return home
