"""Finding commands, and turning whatever goes wrong into one line and an exit status."""

import argparse
import errno
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import hookline
from hookline.cli import main as module
from hookline.cli.main import COMMANDS, main
from hookline.model.errors import BadData, HooklineError

CHECKOUT = Path(__file__).parents[3]
START = (
    f"import sys; sys.path.insert(0, {str(CHECKOUT / 'src')!r}); from hookline.cli.main import main"
)
COMMAND = [sys.executable, "-I", "-c", START + "; sys.exit(main())"]


@pytest.fixture
def runs(monkeypatch):
    """Makes `hookline try-it` a command that does what a function does."""

    def make(run):
        command = SimpleNamespace(configure=lambda _parser: None, run=run)
        monkeypatch.setitem(sys.modules, "fake_command", command)
        monkeypatch.setitem(COMMANDS, "try-it", ("fake_command", "a command for a test"))

    return make


def raising(error):
    def run(_args):
        raise error

    return run


def test_the_exit_status_is_the_commands(runs):
    runs(lambda _args: 7)
    assert main(["try-it"]) == 7


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (BadData("it is bad"), 65, "hookline try-it: it is bad"),
        (BadData("two\nlines \x1b[2J"), 65, r"hookline try-it: two\u000alines \u001b[2J"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 77, "/x: Permission denied"),
        (OSError(errno.EMFILE, "Too many open files", "/x"), 75, "/x: Too many open files"),
        (OSError(errno.ENOSPC, "No space left"), 74, "standard output: No space left"),
        (ModuleNotFoundError("no", name="msgspec"), 78, "msgspec is missing: run scripts/setup.sh"),
        (ModuleNotFoundError("no", name="hookline.x"), 70, "please report"),
        (ValueError("odd"), 70, "ValueError at test_main.py:"),
        (RecursionError(), 70, "RecursionError at"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(runs, capsys, monkeypatch, error, status, line):
    monkeypatch.setattr(module, "_abandon_stdout", lambda: None)
    runs(raising(error))
    assert main(["try-it"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_an_interrupt_is_130(runs, capsys):
    runs(raising(KeyboardInterrupt()))
    assert main(["try-it"]) == 130
    assert capsys.readouterr().err == ""


def test_every_exit_status_of_the_family_gets_out(runs, capsys):
    family = [HooklineError, *HooklineError.__subclasses__()]
    for kind in family:
        runs(raising(kind()))
        assert main(["try-it"]) == kind.exit_code
        assert str(kind()) in capsys.readouterr().err


def test_options_may_stand_between_arguments(monkeypatch):
    seen = {}

    def configure(parser):
        parser.add_argument("first")
        parser.add_argument("rest", nargs="*")
        parser.add_argument("--flag", action="store_true")

    def run(args):
        seen.update(vars(args))
        return 0

    command = SimpleNamespace(configure=configure, run=run)
    monkeypatch.setitem(sys.modules, "fake_command", command)
    monkeypatch.setitem(COMMANDS, "try-it", ("fake_command", ""))
    assert main(["try-it", "a", "b", "--flag", "c", "--home", "/h"]) == 0
    assert seen == {"first": "a", "rest": ["b", "c"], "flag": True, "home": "/h"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["emti"], "hookline: no command 'emti', perhaps emit; see: hookline --help"),
        (["\x1b[2J"], r"no command '\u001b[2J'; see"),
        (["--nonsense"], "hookline: unrecognized arguments: --nonsense; see: hookline --help"),
        (["emit"], "hookline emit: a TYPE is wanted"),
        (["emit", "a.b", "--nonsense"], "unrecognized arguments: --nonsense; see: hookline emit -"),
        (["emit", "a.b", "--sou", "x"], "unrecognized arguments: --sou"),
        (["emit", "a.b", "--source"], "argument --source: expected one argument"),
    ],
)
def test_a_mistake_in_the_call_is_64_and_leads_to_the_help(capsys, arguments, line):
    assert main(arguments) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert err.count("\n") == 1


def test_without_a_command_the_commands_are_shown(capsys):
    assert main([]) == 64
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == out


def test_the_version_is_that_of_the_package(capsys):
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert hookline.__version__ == project["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hookline {project['version']}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys, name):
    command = import_module(COMMANDS[name][0])
    command.configure(argparse.ArgumentParser())
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: hookline {name} ")


def test_a_reader_that_has_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "--help"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_under_the_output_is_74():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 74
    assert done.stderr == b"hookline: standard output: No space left on device\n"


def test_closed_streams_are_no_error():
    def close():
        for fd in (0, 1, 2):
            os.close(fd)

    done = subprocess.run([*COMMAND, "--help"], preexec_fn=close, check=False)
    assert done.returncode == 0
    done = subprocess.run([*COMMAND, "emti"], preexec_fn=close, check=False)
    assert done.returncode == 64


def test_a_locale_without_the_character_gets_an_escape(home):
    environ = {"HOOKLINE_HOME": str(home.root), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", START + "; sys.exit(main())"]
    arguments = ["emit", "a.b", "x=\u00e9", "--json"]
    done = subprocess.run([*command, *arguments], env=environ, capture_output=True, check=True)
    assert rb'"x":"\xe9"' in done.stdout
